"""On which nodes an item's pods may run: near their volume, and one timing pod a node."""

from isobench.contracts.status import StageName
from isobench.controller.item import Item
from isobench.controller.jobs.names import ISOLATED, TIMING_LABEL
from isobench.controller.kinds import Object
from isobench.engine.transitions import PAID

EXCLUSIVE = {TIMING_LABEL: "exclusive"}


def placement(item: Item, stage: StageName) -> Object:
    """The part of a pod's spec that says where it runs.

    The item's own volume is bound where its first pod runs, so that all of its pods must fit the nodes that may time.
    """
    found: Object = {} if stage in PAID else {"tolerations": _GONE_NODE}
    timing, shared = item.spec.timing, item.spec.workspace.claim_name
    if stage in ISOLATED or not shared:
        if timing.node_selector:
            found["nodeSelector"] = dict(timing.node_selector)
        if timing.tolerations:
            found["tolerations"] = [*found.get("tolerations", ()), *timing.tolerations]
    if is_exclusive(item, stage):
        found["affinity"] = _ALONE
    return found


def is_exclusive(item: Item, stage: StageName) -> bool:
    """Whether no other exclusive pod may be on its node."""
    return stage in ISOLATED and item.spec.timing.exclusive


_GONE_NODE: list[Object] = [
    {"key": f"node.kubernetes.io/{trouble}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    for trouble in ("not-ready", "unreachable")
]
"""Free work is begun anew soon after its node is gone; paid work gets the cluster's five minutes to come back."""

_ALONE: Object = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "labelSelector": {"matchLabels": EXCLUSIVE},
                "namespaceSelector": {},
                "topologyKey": "kubernetes.io/hostname",
            }
        ]
    }
}

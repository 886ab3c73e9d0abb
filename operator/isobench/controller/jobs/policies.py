"""The deny-all network policy of isolated pods, and which other policies open them again."""

from collections.abc import Iterable, Mapping

from isobench.controller.jobs.names import APP_LABELS, NO_NETWORK
from isobench.controller.kinds import NETWORK_POLICIES, Object

POLICY = "isobench-timing"
_DENY_ALL: Object = {"podSelector": {"matchLabels": NO_NETWORK}, "policyTypes": ["Ingress", "Egress"]}


def deny_all(namespace: str) -> Object:
    """The policy that leaves isolated pods no network. It belongs to nobody, since every item relies on it."""
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.name,
        "metadata": {"name": POLICY, "namespace": namespace, "labels": APP_LABELS},
        "spec": _DENY_ALL,
    }


def denies_all(policy: Object) -> bool:
    """Whether ``policy`` is as `deny_all` makes it."""
    spec = policy["spec"]
    rules = spec.get("ingress"), spec.get("egress")
    selects = spec.get("podSelector") == _DENY_ALL["podSelector"]
    return selects and not any(rules) and set(spec.get("policyTypes", ())) == {"Ingress", "Egress"}


def opening(policies: Iterable[Object], labels: Mapping[str, str]) -> list[str]:
    """The names of policies that allow something to a pod with these ``labels``: policies only ever add up."""
    return sorted(
        policy["metadata"]["name"]
        for policy in policies
        if (policy["spec"].get("ingress") or policy["spec"].get("egress"))
        and selects(policy["spec"].get("podSelector") or {}, labels)
    )


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes an object with these ``labels``; an empty one takes all."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_matches(expression, labels) for expression in selector.get("matchExpressions") or ())


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return True  # an operator of a newer Kubernetes: taken as one that matches, which fails closed

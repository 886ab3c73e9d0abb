"""Whether a paid attempt without a result spent anything: not if the container that would have spent never began.

Only the last word of the attempt's pod says so for certain. A pod that still waits might begin at any moment, so it is
deleted first, and what its kubelet wrote before it let go of it is read from the event of its deletion. Whatever is not
certain is charged: a node that does not answer, a pod that somebody took away, an operator that ended meanwhile.
"""

from dataclasses import replace

from isobench.contracts.spec import SecretRef
from isobench.contracts.status import StageName
from isobench.controller.api import Api
from isobench.controller.clock import Clock
from isobench.controller.item import Item
from isobench.controller.item_actions import refusal
from isobench.controller.item_pods import STAGE_CONTAINER, containers_of, has_ended, is_disrupted, was_made_by
from isobench.controller.jobs.names import ATTEMPT_LABEL
from isobench.controller.kinds import ITEM_UID_LABEL, ITEMS, PODS, STAGE_LABEL, Key, Object, selector_of
from isobench.engine.facts import Failure, JobState, ObservedJob
from isobench.engine.transitions import PAID

LAST_WORD_SECONDS = 20
"""How long a pod's end is waited for: its grace period is half of that."""

_SPENDS = {StageName.GENERATE: STAGE_CONTAINER, StageName.AGENT: "agent"}
"""Without this container nothing is spent: a gateway only answers it."""

_NEVER_LOCATED = "ContainerStatusUnknown"
"""What a kubelet says at a pod's end of containers that it knows nothing of."""


class Unspent:
    """Finds endings that cost nothing, and remembers each: the pod that shows it is gone before it is written."""

    def __init__(self, api: Api, clock: Clock) -> None:
        """Nothing is known yet."""
        self._api, self._clock = api, clock
        self._found: dict[Key, ObservedJob] = {}

    async def looked_for(self, item: Item, lost: ObservedJob) -> ObservedJob:
        """``lost``, as an ending that cost nothing where it is a paid attempt without a result and that is certain."""
        if lost.stage not in PAID or lost.state is not JobState.ENDED or lost.failure is None:
            return lost
        key = Key.of(ITEMS, item.object)
        if key in self._found and self._found[key].uid == lost.uid:
            return self._found[key]
        last = await _last_word(self._api, item, lost)
        if last is None or has_begun(last, lost.stage):
            return lost
        message = f"{lost.failure.message}; nothing was spent: {_remedy(item, lost.stage, lost.failure)}"
        ending = refusal(lost.stage, lost.attempt, lost.failure.reason, message, self._clock())
        self._found[key] = replace(ending, uid=lost.uid)
        return self._found[key]

    def forget(self, key: Key) -> None:
        """The item ``key`` is gone."""
        self._found.pop(key, None)


async def _last_word(api: Api, item: Item, lost: ObservedJob) -> Object | None:
    """The attempt's pod after which nothing of it can begin; None where that is not known, or it may have spent."""
    labels = {ITEM_UID_LABEL: item.uid, STAGE_LABEL: lost.stage, ATTEMPT_LABEL: lost.attempt}
    selector = selector_of(labels)
    found = await api.list(PODS, item.namespace, selector)
    (pod,) = found.items if len(found.items) == 1 else (None,)
    if pod is None or not was_made_by(pod, lost.uid) or has_begun(pod, lost.stage):
        return None
    if is_last_word(pod):
        return pod
    await api.delete_all(PODS, item.namespace, selector)
    async for event in api.watch(PODS, item.namespace, selector, found.resource_version, LAST_WORD_SECONDS):
        if event.type in ("MODIFIED", "DELETED") and is_last_word(event.item, gone=event.type == "DELETED"):
            return event.item
        if event.type in ("ADDED", "DELETED"):
            return None
    return None


def is_last_word(pod: Object, *, gone: bool = False) -> bool:
    """Whether its kubelet has said how ``pod`` ended, or it never had one and is ``gone``; nobody else is believed."""
    if not pod["spec"].get("nodeName"):
        return gone
    return has_ended(pod) and not is_disrupted(pod)


def has_begun(pod: Object, stage: StageName) -> bool:
    """Whether the container that spends at ``stage`` has begun, or may have: a kubelet tells of all or of none."""
    containers = list(containers_of(pod))
    if not containers:
        return (pod.get("status") or {}).get("phase") == "Running"
    spends = [container for container in containers if container["name"] == _SPENDS[stage]]
    return not spends or any(map(_has_begun, spends))


def _has_begun(container: Object) -> bool:
    state = container.get("state") or {}
    ended = state.get("terminated")
    if container.get("restartCount") or container.get("lastState") or container.get("containerID"):
        return True
    if ended is not None:
        return ended.get("reason") != _NEVER_LOCATED or bool(ended.get("startedAt"))
    return state.get("running") is not None


def _remedy(item: Item, stage: StageName, failure: Failure) -> str:
    again = f"ask for it again by `kubectl isobench retry {item.name}`"
    secret = _key_of(item, stage)
    if secret is not None and secret.name in failure.message:
        key = f" (key {secret.key})" if secret.key else ""
        return f"see that the Secret {secret.name}{key} is in the namespace {item.namespace}, then {again}"
    return f"put that right, then {again}"


def _key_of(item: Item, stage: StageName) -> SecretRef | None:
    generate = item.spec.test.generate
    if stage is StageName.AGENT:
        return item.spec.agent.secret_ref
    return None if generate is None else generate.secret_ref

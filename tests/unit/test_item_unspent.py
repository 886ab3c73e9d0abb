"""A paid attempt without a result costs nothing only where its pod's last word says that nothing could be spent."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from building.items import NOON
from building.objects import CREATED, JOB_UID, condition, ended, item, waits
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.controller.api import Listing, WatchEvent
from isobench.controller.item import Item
from isobench.controller.item_unspent import Unspent
from isobench.engine.facts import Failure, JobState, ObservedJob

PREPARE, GENERATE, AGENT = StageName.PREPARE, StageName.GENERATE, StageName.AGENT
MISSING = Failure(Reason.INVALID_SPEC, 'the container stage can\'t be made: secret "llm" not found')
NO_SECRET = waits(reason="CreateContainerConfigError", message='secret "llm" not found')
RUNS = {"name": "stage", "image": "w", "state": {"running": {"startedAt": CREATED}}}
HAS_ENDED = ended(exit_code=1)
NEVER_LOCATED = ended(exit_code=137, reason="ContainerStatusUnknown")
"""What a kubelet says at the end of a container that it has no record of."""


def pod(*containers, init=(), **status):
    """A pod of the attempt's Job as the API server has it: here it is not read from the cache."""
    metadata = {"name": "p", "ownerReferences": [{"uid": JOB_UID}]}
    told = {"containerStatuses": [*containers], "initContainerStatuses": [*init]}
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": told | status}


GENERATED = {"test": {"generate": {"provider": "openai", "model": "m", "secretRef": {"name": "llm"}}}}


class Cluster:
    """An API server with one pod, and what becomes of it once it is deleted: events in order."""

    def __init__(self, *pods, then=()):
        self.pods, self.then, self.deleted = pods, then, []

    async def list(self, _kind, _namespace, selector):
        self.selector = selector
        return Listing(list(self.pods), "7")

    async def delete_all(self, _kind, _namespace, selector):
        self.deleted.append(selector)

    async def watch(self, _kind, _namespace, _selector, version, _seconds):
        assert (version, len(self.deleted)) == ("7", 1), "from before it was deleted on"
        for event in self.then:
            yield WatchEvent(*event)


def asked(cluster, stage=GENERATE, failure=MISSING, state=JobState.ENDED):
    """How the attempt ended after ``cluster`` was asked."""
    read = Item.read(item(**GENERATED))
    lost = ObservedJob(stage, 1, state, failure=failure, uid=JOB_UID)
    return asyncio.run(Unspent(cluster, lambda: NOON).looked_for(read, lost))


def costs_nothing(ending):
    """Whether it is a result that no money belongs to; one without a result is charged."""
    return ending.result is not None and ending.result.cost is None and not ending.result.succeeded


def over(*containers, phase="Failed", **status):
    """A pod whose kubelet has said how it ended."""
    return pod(*containers, phase=phase, **status)


def unscheduled():
    waiting = pod(phase="Pending")
    return waiting | {"spec": {}, "status": {"phase": "Pending"}}


def test_a_pod_that_waits_for_its_secret_is_ended_and_costs_nothing():
    then = [("MODIFIED", pod(NO_SECRET, phase="Pending")), ("DELETED", over(NEVER_LOCATED))]
    cluster = Cluster(pod(NO_SECRET, phase="Pending"), then=then)
    ending = asked(cluster)
    assert costs_nothing(ending)
    assert (ending.result.reason, ending.uid) == (Reason.INVALID_SPEC, JOB_UID)
    assert ending.result.message == (
        'the container stage can\'t be made: secret "llm" not found; nothing was spent: see that the Secret llm is in '
        "the namespace team-a, then ask for it again by `kubectl isobench retry fix-123`"
    )
    assert "isobench.dev/stage=generate,isobench.dev/attempt=1" in cluster.deleted[0], "no other attempt's pod"


def test_a_container_that_began_while_its_pod_was_ended_is_charged():
    then = [("MODIFIED", pod(RUNS, phase="Running")), ("DELETED", over(HAS_ENDED))]
    assert not costs_nothing(asked(Cluster(pod(NO_SECRET, phase="Pending"), then=then)))


@pytest.mark.parametrize(
    "then",
    [
        [],
        [("DELETED", pod(NO_SECRET, phase="Pending"))],
        [("DELETED", over(NO_SECRET, conditions=[condition("DisruptionTarget", "DeletionByPodGC")]))],
        [("ADDED", pod(NO_SECRET, phase="Pending")), ("DELETED", over(NEVER_LOCATED))],
    ],
    ids=["its node does not answer", "removed by force", "removed with its node", "another pod of the Job"],
)
def test_what_is_not_certain_is_charged(then):
    assert not costs_nothing(asked(Cluster(pod(NO_SECRET, phase="Pending"), then=then)))


@pytest.mark.parametrize(
    "container",
    [
        RUNS,
        HAS_ENDED,
        NO_SECRET | {"restartCount": 1},
        NO_SECRET | {"lastState": HAS_ENDED["state"]},
        NO_SECRET | {"containerID": "containerd://1"},
        waits("another"),
    ],
    ids=["runs", "ended", "restarted", "ended before", "was made", "not told of"],
)
def test_a_pod_whose_work_has_begun_is_charged_and_left_alone(container):
    cluster = Cluster(pod(container, phase="Running"))
    assert not costs_nothing(asked(cluster))
    assert cluster.deleted == []


def test_a_pod_that_has_ended_already_needs_no_deletion():
    cluster = Cluster(over(NO_SECRET, reason="DeadlineExceeded"))
    ending = asked(cluster, failure=Failure(Reason.IMAGE_UNAVAILABLE, "the image w:1 can't be pulled"))
    assert costs_nothing(ending)
    assert cluster.deleted == []
    assert "nothing was spent: put that right, then ask for it again" in ending.result.message, "no Secret lacks here"


def test_a_pod_that_no_node_took_costs_nothing_once_it_is_gone():
    assert costs_nothing(asked(Cluster(unscheduled(), then=[("DELETED", unscheduled())])))
    assert not costs_nothing(asked(Cluster(unscheduled(), then=[("MODIFIED", unscheduled())])))


def test_an_agent_that_never_began_costs_nothing_whatever_came_before_it():
    before = [ended("place"), waits("gateway", "CreateContainerConfigError"), waits("agent", "PodInitializing")]
    last = over(waits(reason="PodInitializing"), init=before)
    assert costs_nothing(asked(Cluster(last), AGENT))
    began = [*before[:2], ended("agent")]
    assert not costs_nothing(asked(Cluster(over(waits(), init=began)), AGENT))


def test_nobody_believes_the_pod_of_another_owner_or_two_of_them():
    stranger = over(NO_SECRET) | {"metadata": {"name": "p", "ownerReferences": [{"uid": "another"}]}}
    assert not costs_nothing(asked(Cluster(stranger)))
    assert not costs_nothing(asked(Cluster(over(NO_SECRET), over(NO_SECRET))))
    assert not costs_nothing(asked(Cluster()))


def test_it_is_remembered_while_its_status_can_not_be_written_and_its_pod_is_gone():
    then = [("DELETED", over(NEVER_LOCATED))]
    cluster = Cluster(pod(NO_SECRET, phase="Pending"), then=then)
    paid = Item.read(item(**GENERATED))
    unspent, lost = Unspent(cluster, lambda: NOON), ObservedJob(GENERATE, 1, JobState.ENDED, None, MISSING, JOB_UID)
    first = asyncio.run(unspent.looked_for(paid, lost))
    cluster.pods = ()
    gone = replace(lost, failure=Failure(Reason.STAGE_LOST, "its pod is gone, and its result with it"))
    assert asyncio.run(unspent.looked_for(paid, gone)) == first
    assert not costs_nothing(asyncio.run(unspent.looked_for(paid, replace(gone, attempt=2, uid="another Job's"))))


@pytest.mark.parametrize(
    ("stage", "failure", "state"),
    [(PREPARE, MISSING, JobState.ENDED), (GENERATE, None, JobState.RUNNING), (GENERATE, MISSING, JobState.GONE)],
    ids=["unpaid", "running", "its Job is gone"],
)
def test_only_a_paid_attempt_without_a_result_is_looked_at(stage, failure, state):
    untouchable = SimpleNamespace()
    assert not costs_nothing(asked(untouchable, stage, failure, state))

"""Reconciling: which change wakes whom, and what follows when a reconcile does not go through."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from isobench.controller.api_errors import Conflict, Forbidden, NotLeading, Refused
from isobench.controller.cache import Cache
from isobench.controller.item_jobs import FIRST_LOOK
from isobench.controller.keeping import kept_of_item, kept_of_job
from isobench.controller.kinds import BATCHES, ITEMS, JOBS, PODS, Key
from isobench.controller.metrics import Metrics
from isobench.controller.queue import FIRST_DELAY
from isobench.controller.work import COALESCED, Work

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGUN = "2026-01-01T11:59:55Z"
ITEM, BATCH = Key(ITEMS.plural, "team", "fix-1"), Key(BATCHES.plural, "team", "demo")


def an_object(kind, name, version=1, owner=None, **parts):
    metadata = {"namespace": "team", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    if owner is not None:
        metadata["ownerReferences"] = [{"kind": owner[0].name, "name": owner[1], "uid": f"uid-{owner[1]}"}]
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": {}} | parts


def an_item(version=1, **parts):
    return an_object(ITEMS, "fix-1", version, (BATCHES, "demo"), **parts)


def a_job(version=1, owner=(ITEMS, "fix-1"), **status):
    return an_object(JOBS, "fix-1-timing", version, owner, status=status)


def a_pod(version, reason=None):
    made = an_object(PODS, "fix-1-timing-x", version, (JOBS, "fix-1-timing"))
    made["metadata"] |= {"labels": {}, "creationTimestamp": BEGUN}
    states = [{"name": "stage", "image": "w", "state": {"waiting": {"reason": reason}}}] if reason else []
    return made | {"status": {"phase": "Pending", "containerStatuses": states}}


class Api:
    """Answers reads with one item."""

    def __init__(self, item):
        self.item = item

    async def get(self, kind, namespace, name):
        return self.item


class Scripted:
    """A reconciler that does what the test says."""

    def __init__(self, act):
        self.act = act
        self.called = asyncio.Event()

    async def reconcile(self, key):
        self.called.set()
        return self.act(key)


class Scene:
    """A cache with a leader's work on it."""

    def __init__(self, item=None):
        self.now = 100.0
        self.cache = Cache()
        self.work = Work(self.cache, Api(item), Metrics("test"), lambda: NOON, lambda: self.now)
        self.work.begin()

    def waiting(self):
        async def taken():
            return [await self.work.queue.get() for _ in range(int(self.work.queue.depth()))]

        return asyncio.run(taken())

    def moments(self):
        return {key: moment - self.now for key, moment in self.work.deadlines._moments.items()}

    def reconcile(self, act, key=ITEM):
        """One reconcile of ``key`` that does ``act``."""

        async def reconciled():
            self.work.queue.add(key)
            reconciler = Scripted(act)
            worker = asyncio.create_task(self.work.work({key.kind: reconciler}))
            await reconciler.called.wait()
            await self.work.queue._quiet.wait()
            worker.cancel()
            (ended,) = await asyncio.gather(worker, return_exceptions=True)
            if isinstance(ended, Exception):
                raise ended

        asyncio.run(reconciled())


def fail(error):
    def act(key):
        raise error

    return act


def test_an_item_that_changes_is_woken_at_once_and_its_batch_a_little_later():
    scene = Scene()
    scene.cache.items.put(an_item())
    assert scene.waiting() == [ITEM]
    assert scene.moments() == {BATCH: COALESCED}


def test_a_job_wakes_its_item_when_something_happened_that_matters():
    scene = Scene()
    scene.cache.jobs.put(a_job(1))
    scene.cache.jobs.put(a_job(2, active=1, startTime=BEGUN))
    scene.cache.jobs.put(a_job(3, active=1, startTime=BEGUN, uncountedTerminatedPods={"succeeded": ["x"]}))
    assert scene.waiting() == [ITEM], "its creation; the Job controller's steps in between are nobody's business"
    scene.work.queue.done(ITEM)
    scene.cache.jobs.put(a_job(4, conditions=[{"type": "Complete", "status": "True"}]))
    assert scene.waiting() == [ITEM]
    scene.work.queue.done(ITEM)
    scene.cache.jobs.remove(a_job(5))
    assert scene.waiting() == [ITEM]


def test_a_job_that_should_have_a_pod_and_has_none_is_looked_at_in_a_while():
    scene = Scene()
    scene.cache.jobs.put(a_job(1))
    scene.cache.jobs.put(a_job(2, active=1, startTime=BEGUN))
    assert ITEM not in scene.moments(), "its pod wakes us if anything hinders it"
    scene.cache.jobs.put(a_job(3, active=0, startTime=BEGUN))
    assert scene.moments()[ITEM] == FIRST_LOOK.total_seconds()


def test_a_pod_that_is_hindered_has_its_item_look_in_a_while():
    scene = Scene()
    scene.cache.jobs.put(a_job(1))
    scene.cache.pods.put(a_pod(2))
    scene.cache.pods.put(a_pod(3, reason="ContainerCreating"))
    assert ITEM not in scene.moments()
    scene.cache.pods.put(a_pod(4, reason="ImagePullBackOff"))
    assert scene.moments()[ITEM] == FIRST_LOOK.total_seconds()
    scene.work.deadlines.clear(ITEM)
    scene.cache.pods.put(a_pod(5, reason="ErrImagePull"))
    assert ITEM not in scene.moments(), "whoever looked says when to look again"


def test_a_pod_whose_job_is_unknown_wakes_nobody():
    scene = Scene()
    scene.cache.pods.put(a_pod(4, reason="ImagePullBackOff"))
    assert scene.moments() == {}


def test_a_batchs_own_job_wakes_the_batch():
    scene = Scene()
    scene.cache.jobs.put(a_job(owner=(BATCHES, "demo")))
    assert scene.waiting() == [BATCH]


def test_a_reconcilers_own_write_does_not_wake_the_object_that_it_works_on():
    scene, calls = Scene(), []

    def write(key):
        calls.append(key)
        scene.cache.learn(ITEMS, an_item(2))
        scene.cache.learn(JOBS, a_job())

    scene.reconcile(write)
    assert calls == [ITEM]
    assert BATCH in scene.moments(), "others are woken"


def test_a_change_by_somebody_else_during_a_reconcile_is_looked_at_after_it():
    scene, calls = Scene(), []

    def changed_meanwhile(key):
        calls.append(key)
        if len(calls) == 1:
            scene.work.wake(key)

    async def reconciled():
        scene.work.queue.add(ITEM)
        worker = asyncio.create_task(scene.work.work({ITEMS.plural: Scripted(changed_meanwhile)}))
        while len(calls) < 2:
            await asyncio.sleep(0)
        worker.cancel()

    asyncio.run(reconciled())
    assert calls == [ITEM, ITEM]


def test_the_moment_that_a_reconcile_asks_for_is_kept():
    scene = Scene()
    scene.reconcile(lambda key: NOON + timedelta(seconds=30))
    assert scene.moments() == {ITEM: 30.0}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Forbidden("no rule"), FIRST_DELAY),
        (Refused("busy", retry_after=7), 7.0),
        (ZeroDivisionError(), FIRST_DELAY),
    ],
)
def test_a_failure_is_tried_again_later(error, seconds):
    scene = Scene()
    scene.reconcile(fail(error))
    assert scene.moments() == {ITEM: pytest.approx(seconds)}


def test_a_conflict_reads_the_object_again_and_comes_back_soon():
    scene = Scene(item=an_item(9))
    scene.reconcile(fail(Conflict("changed")))
    assert scene.cache.get(ITEM)["metadata"]["resourceVersion"] == "9"
    assert scene.moments()[ITEM] == pytest.approx(FIRST_DELAY)


def test_losing_the_lease_ends_the_worker():
    with pytest.raises(NotLeading):
        Scene().reconcile(fail(NotLeading("lost")))


def test_a_standby_queues_nothing_and_a_new_leader_queues_everything():
    scene = Scene()
    scene.work.end()
    scene.cache.items.put(an_item())
    assert scene.waiting() == []
    scene.work.begin()
    assert scene.waiting() == [ITEM]


def test_items_of_one_batch_keep_what_they_have_in_common_once():
    timing = {"timing": {"minPairs": 10, "cores": 1}}
    one, other = (kept_of_item(an_item(spec={"commits": {"head": head}} | timing)) for head in "ab")
    assert one["spec"]["timing"] is other["spec"]["timing"]
    assert (one["spec"]["commits"], other["spec"]["commits"]) == ({"head": "a"}, {"head": "b"})


def test_a_job_is_kept_without_its_pod_template():
    job = a_job(conditions=[{"type": "Failed", "status": "True", "reason": "X", "message": "y", "lastProbeTime": "z"}])
    kept = kept_of_job(job | {"spec": {"template": {"big": "x"}, "suspend": True}})
    assert kept["spec"] == {"suspend": True}
    assert kept["status"]["conditions"] == [{"type": "Failed", "status": "True", "reason": "X", "message": "y"}]
    assert kept["metadata"]["ownerReferences"] == job["metadata"]["ownerReferences"]

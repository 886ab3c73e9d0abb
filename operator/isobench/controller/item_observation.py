"""What is seen of an item's attempt now: its Job, and its pods where only they can tell; from the cache if it knows."""

from dataclasses import dataclass
from datetime import datetime

from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus, Waiting
from isobench.controller.api import Api
from isobench.controller.cache import Cache
from isobench.controller.item import Item
from isobench.controller.item_jobs import (
    claimed_job,
    first_look,
    has_begun,
    has_pod,
    is_finished,
    is_suspended,
    next_look,
    works,
)
from isobench.controller.item_pods import Ending, ending, given_up_at, hindrance, is_hindered, is_last_of, pod_of
from isobench.controller.kinds import ITEM_UID_LABEL, PODS, Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.facts import Failure, JobState, ObservedJob

_DELETED = Failure(Reason.STAGE_LOST, "its Job was deleted")


@dataclass(frozen=True)
class Observation:
    """The attempt as it is seen, and what goes with it."""

    jobs: tuple[ObservedJob, ...] = ()
    settled: bool = True
    """Whether all that was started before has ended for certain."""
    look_at: datetime | None = None
    image: str | None = None
    """Identity of the image that the attempt's environment came from."""


async def observe(
    api: Api, cache: Cache, item: Item, status: CommitBenchmarkStatus, now: datetime, settings: ControllerSettings
) -> Observation:
    """The last attempt that ``status`` claims, as it is now."""
    last = status.stages[-1] if status.stages else None
    if last is None:
        return Observation()
    job = claimed_job(cache.jobs_of(item.namespace, item.uid), last)
    if last.state.final:
        return Observation(settled=job is not None and is_finished(job))
    if job is None or last.job_uid not in (None, job["metadata"]["uid"]):
        missed = last.state is StageState.RUNNING or last.job_uid is not None
        gone = ObservedJob(last.name, last.attempt, JobState.GONE, failure=_DELETED)
        return Observation((gone,) if missed else (), settled=False)
    if is_finished(job):
        return _ended(item, status, last, job, await _pods_that_ended(api, cache, item, job))
    return await _unfinished(api, cache, item, last, job, now, settings)


async def pods_of(api: Api, item: Item) -> list[Object]:
    """The item's pods, as the API server has them at this moment."""
    return (await api.list(PODS, item.namespace, f"{ITEM_UID_LABEL}={item.uid}")).items


async def _pods_that_ended(api: Api, cache: Cache, item: Item, job: Object) -> list[Object]:
    """Pods with the one of ``job`` in its last state: remembered ones if it has said its last word in them."""
    remembered = cache.pods_of(item.namespace, item.uid)
    pod = pod_of(job, remembered)
    return remembered if pod is not None and is_last_of(pod, job) else await pods_of(api, item)


def _ended(
    item: Item, status: CommitBenchmarkStatus, last: StageStatus, job: Object, pods: list[Object]
) -> Observation:
    seen = _same_image(status, last, ending(job, pods, last.name, last.attempt))
    failure = seen.failure
    if failure and failure.reason is Reason.STAGE_TIMED_OUT and status.waiting:
        failure = Failure(
            failure.reason, f"{failure.message}; it waited: {status.waiting.why} {status.waiting.message}"
        )
    uid = job["metadata"]["uid"]
    ended = ObservedJob(last.name, last.attempt, JobState.ENDED, seen.result, failure, uid, bounded=True)
    return Observation((ended,), image=seen.image)


def _same_image(status: CommitBenchmarkStatus, last: StageStatus, seen: Ending) -> Ending:
    """A result that came from another image than the arms were built in is none: a tag has moved meanwhile."""
    if last.name is StageName.PREPARE or not seen.image or not status.image or seen.image == status.image:
        return seen
    moved = f"the environment image was {status.image} in prepare and is {seen.image} now: name it by its digest"
    return Ending(failure=Failure(Reason.INFRASTRUCTURE_ERROR, moved))


async def _unfinished(
    api: Api, cache: Cache, item: Item, last: StageStatus, job: Object, now: datetime, settings: ControllerSettings
) -> Observation:
    uid, waiting = job["metadata"]["uid"], None
    look_at: datetime | None = None
    if is_suspended(job):
        waiting = Waiting(why="Queued", message=f"Kueue has not admitted it from the queue {item.spec.queue_name}")
    elif not works(job) and now < first_look(job):
        look_at = first_look(job)
    elif not works(job):
        pod = await _pod(api, cache, item, job)
        found = hindrance(pod, now, settings.pull_seconds, settings.pending_seconds) if pod else _no_pod(job)
        if isinstance(found, Failure):
            ended = ObservedJob(last.name, last.attempt, JobState.ENDED, failure=found, uid=uid, bounded=True)
            return Observation((ended,), settled=False)
        waiting, look_at = found, _next_look(job, pod, now)
    running = ObservedJob(last.name, last.attempt, JobState.RUNNING, uid=uid, waiting=waiting, bounded=True)
    return Observation((running,), look_at=look_at)


def _next_look(job: Object, pod: Object | None, now: datetime) -> datetime:
    look_at = next_look(job, now, hindered=pod is None or is_hindered(pod))
    given_up = given_up_at(pod) if pod else None
    return min(look_at, given_up) if given_up else look_at


async def _pod(api: Api, cache: Cache, item: Item, job: Object) -> Object | None:
    """The pod of an unfinished ``job``; only one that the Job controller counts can have been forgotten."""
    pod = pod_of(job, cache.pods_of(item.namespace, item.uid))
    if pod is None and has_pod(job):
        return pod_of(job, await pods_of(api, item))
    return pod


def _no_pod(job: Object) -> Waiting:
    name = job["metadata"]["name"]
    if not has_begun(job):
        return Waiting(why="NoPod", message=f"the cluster's Job controller has not taken up the Job {name} yet")
    return Waiting(why="NoPod", message=f"the Job {name} has no pod: `kubectl describe job {name}` says why")

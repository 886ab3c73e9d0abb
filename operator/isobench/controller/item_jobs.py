"""What an item's Jobs are at: the attempt that its status claims, and those that nobody waits for. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageStatus
from isobench.controller.jobs.names import attempt_in
from isobench.controller.kinds import Object

FIRST_LOOK = timedelta(seconds=20)
"""How long what keeps a pod from working may take to pass by itself before somebody looks."""

NOT_BEGUN = timedelta(minutes=10)
"""How long the Job controller may leave a Job before anybody is told: of thousands at once each has its turn."""


def claimed_job(jobs: Iterable[Object], claim: StageStatus) -> Object | None:
    """The Job of the attempt ``claim``."""
    return next((job for job in jobs if _attempt(job) == (claim.name, claim.attempt)), None)


def is_finished(job: Object) -> bool:
    """Whether its pods have ended too."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def is_suspended(job: Object) -> bool:
    """Whether it waits in a queue."""
    return bool(job["spec"].get("suspend"))


def works(job: Object) -> bool:
    """Whether its pod is ready: whatever might have kept it from working has not."""
    return bool((job.get("status") or {}).get("ready"))


def has_begun(job: Object) -> bool:
    """Whether the Job controller has taken it up: from then on it has a pod, or something forbids it one."""
    return bool((job.get("status") or {}).get("startTime"))


def has_pod(job: Object) -> bool:
    """Whether the Job controller counts a pod of it that has not ended."""
    status = job.get("status") or {}
    return bool(status.get("active") or status.get("terminating"))


def lacks_a_pod(job: Object) -> bool:
    """Whether it should have a pod by now and has none."""
    return has_begun(job) and not has_pod(job)


def next_look(job: Object, now: datetime, *, hindered: bool) -> datetime:
    """When to look again at a ``job`` that does not work: the longer it has been begun, the more seldom.

    Where nothing hinders it, it is its pod that wakes us, and the look is for a change that we have missed.
    """
    passed = (now - _begun_at(job)) / 4
    return now + (max(FIRST_LOOK, min(passed, NOT_BEGUN)) if hindered else max(NOT_BEGUN, passed))


def first_look(job: Object) -> datetime:
    """When to look why ``job`` does not work yet, unless it works or begins earlier."""
    return _begun_at(job) + (FIRST_LOOK if has_begun(job) else NOT_BEGUN)


def unwanted(jobs: Iterable[Object], status: CommitBenchmarkStatus) -> Iterator[Object]:
    """Jobs that no attempt in ``status`` claims, and unfinished ones of attempts that have ended."""
    ended = {(attempt.name, attempt.attempt): attempt.state.final for attempt in status.stages}
    for job in jobs:
        if job["metadata"].get("deletionTimestamp"):
            continue
        attempt = _attempt(job)
        if attempt is None:
            continue
        if ended.get(attempt, True) and (attempt not in ended or not is_finished(job)):
            yield job


def _begun_at(job: Object) -> datetime:
    """When the Job controller took it up: a queue may have held it for days before; until then, when it was created."""
    started = (job.get("status") or {}).get("startTime")
    return datetime.fromisoformat(started or job["metadata"]["creationTimestamp"])


def _attempt(job: Object) -> tuple[StageName, int] | None:
    return attempt_in(job["metadata"].get("labels") or {})

"""What an item's Jobs are at: the attempt that its status claims, and those that nobody waits for. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageStatus
from isobench.controller.jobs.names import attempt_in
from isobench.controller.kinds import Object

FIRST_LOOK = timedelta(seconds=20)
"""How long a pod may take to be ready before somebody looks why it is not."""

NO_POD = timedelta(minutes=2)
"""How long a Job may have no pod before anybody is told: where a thousand begin at once, each waits for its turn."""


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


def next_look(job: Object, now: datetime) -> datetime:
    """When to look again at what keeps ``job`` from working: the longer that takes, the more seldom."""
    created = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
    return now + max(FIRST_LOOK, (now - created) / 4)


def first_look(job: Object) -> datetime:
    """When to look why ``job`` does not work yet."""
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"]) + FIRST_LOOK


def pod_due(job: Object) -> datetime:
    """From when on it is worth telling that ``job`` has no pod."""
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"]) + NO_POD


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


def _attempt(job: Object) -> tuple[StageName, int] | None:
    return attempt_in(job["metadata"].get("labels") or {})

"""What happens next to an item, given what is known of it now: the transition table applied to facts.

`decide` is level-based: it looks at facts, never at events, and asked twice with the same facts it answers the same.
Everything that can stop waits for something with a deadline.
"""

from datetime import datetime, timedelta

from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus, Waiting
from isobench.engine.endings import (
    UNREADABLE,
    charged_at_its_cap,
    condition_of,
    ended_as,
    finished,
    lost,
    with_condition,
    with_result,
    within_cap,
)
from isobench.engine.facts import OPEN, Decision, Failure, Gates, JobState, ObservedJob, Start, Stop
from isobench.engine.plan import ItemPlan
from isobench.engine.transitions import PAID, TABLE, TEST_MAKERS, Move, ending_of

__all__ = ["BACK_OFF", "GRACE", "Decision", "JobState", "ObservedJob", "Start", "Stop", "ask_again", "decide"]

BACK_OFF = timedelta(seconds=15)
GRACE = timedelta(seconds=120)
LOOK_AT_GATES = timedelta(minutes=10)
SUSPENDED = "Suspended"

_GONE = Failure(Reason.STAGE_LOST, "it ended without a result")


def decide(
    plan: ItemPlan,
    status: CommitBenchmarkStatus,
    observed: tuple[ObservedJob, ...],
    now: datetime,
    gates: Gates = OPEN,
) -> Decision:
    """What to write, to do and to wait for, given the plan, the last written status and what is seen now."""
    if status.terminal:
        return Decision(status)
    return _Deciding(plan, now, gates).of(status, observed)


def ask_again(
    plan: ItemPlan, status: CommitBenchmarkStatus, value: str, now: datetime, *, workspace_kept: bool
) -> CommitBenchmarkStatus:
    """``status`` after a person asked, by the new ``value``, to try again what failed.

    It begins with the first stage that failed, or with the first of all where the workspace is gone. What still runs,
    or was recorded with nothing lost, goes on as it is: the question counts as answered.
    """
    status = status.model_copy(update={"retried": value})
    failed = next((stage for stage in plan.stages if _failed(status, stage)), None)
    if not status.terminal or (failed is None and status.stages):
        return status
    conditions = [condition for condition in status.conditions if condition.type == "NetworkIsolated"]
    status = status.model_copy(update={"conditions": conditions, "waiting": None})
    if failed is None:
        return status
    return _claimed(status, failed if workspace_kept else plan.stages[0], now)


def _failed(status: CommitBenchmarkStatus, stage: StageName) -> bool:
    latest = status.latest(stage)
    return latest is not None and latest.state is not StageState.SUCCEEDED


class _Deciding:
    """One decision: the plan, the moment and the gates, which every step of it looks at."""

    def __init__(self, plan: ItemPlan, now: datetime, gates: Gates) -> None:
        self._plan, self._now, self._gates = plan, now, gates

    def of(self, status: CommitBenchmarkStatus, observed: tuple[ObservedJob, ...]) -> Decision:
        last = status.stages[-1] if status.stages else None
        if last is None:
            return self._start(status, self._plan.stages[0])
        if last.state.final:
            return self._move(status, last)
        job = next((job for job in observed if (job.stage, job.attempt) == (last.name, last.attempt)), None)
        return self._watch(status, last, job)

    def _watch(self, status: CommitBenchmarkStatus, last: StageStatus, job: ObservedJob | None) -> Decision:
        if job is None and last.state is StageState.CREATING:
            return self._begin(status, last)
        if job is not None and job.uid is not None:
            last = last.model_copy(update={"job_uid": job.uid})
        if job is None or job.state is JobState.GONE:
            return self._lose(status, last, (job and job.failure) or _GONE)
        if job.state is JobState.ENDED:
            return self._end(status, last, job)
        return self._run(status, last, job)

    def _run(self, status: CommitBenchmarkStatus, last: StageStatus, job: ObservedJob) -> Decision:
        seconds = self._plan.deadline(last.name)
        deadline = (last.started_at or self._now) + timedelta(seconds=seconds) + GRACE
        if self._now >= deadline and not job.bounded:
            decision = self._lose(status, last, Failure(Reason.STAGE_TIMED_OUT, f"it ran past {seconds:g} s"))
            stop = Stop(last.name, last.attempt)
            return Decision(decision.status, (stop, *decision.actions), decision.requeue_at)
        running = last.model_copy(update={"state": StageState.RUNNING})
        status = _with_stage(status, running).model_copy(update={"waiting": job.waiting})
        return Decision(status, requeue_at=None if job.bounded else deadline)

    def _end(self, status: CommitBenchmarkStatus, last: StageStatus, job: ObservedJob) -> Decision:
        if job.result is None:
            return self._lose(status, last, job.failure)
        result = within_cap(self._plan, job.result)
        ended = ended_as(last, result)
        return self._move(with_result(_with_stage(status, ended), result), ended)

    def _lose(self, status: CommitBenchmarkStatus, last: StageStatus, why: Failure | None) -> Decision:
        ended = lost(last, why or UNREADABLE, self._now)
        status = _with_stage(status, ended)
        if ended.name in PAID:
            status = charged_at_its_cap(self._plan, status, ended.name)
        return self._move(status, ended)

    def _move(self, status: CommitBenchmarkStatus, ended: StageStatus) -> Decision:
        match TABLE[ended.name][ending_of(status, ended)]:
            case Move.NEXT:
                return self._start(status, self._plan.after(ended.name))
            case Move.AGAIN:
                not_before = min(ended.finished_at or self._now, self._now) + BACK_OFF
                return self._start(status, ended.name, not_before)
            case Move.REPAIR:
                return self._start(status, StageName.GENERATE)
            case Move.TIME:
                return self._start(status, StageName.TIMING)
            case Move.COLLECT:
                return self._start(status, StageName.COLLECT)
            case Move.FINISH:
                return Decision(finished(status, self._now))

    def _start(self, status: CommitBenchmarkStatus, stage: StageName, not_before: datetime | None = None) -> Decision:
        held = self._held(stage)
        if held is not None:
            return self._hold(status, held)
        status = _claimed(status, stage, self._now, not_before)
        return self._begin(status, status.stages[-1])

    def _begin(self, status: CommitBenchmarkStatus, claimed: StageStatus) -> Decision:
        """Start what is claimed, after its back-off; one that seems longer than any is a clock that was set back."""
        held = self._held(claimed.name)
        if held is not None:
            return self._hold(status, held)
        status = status.model_copy(update={"waiting": None})
        if claimed.not_before is not None and self._now < claimed.not_before <= self._now + BACK_OFF:
            return Decision(status, requeue_at=claimed.not_before)
        return Decision(status, (Start(claimed.name, claimed.attempt, _feedback(status, claimed)),))

    def _held(self, stage: StageName) -> Waiting | None:
        """Why ``stage`` must not be started now; what was begun is always collected."""
        if stage is StageName.COLLECT:
            return None
        if self._plan.suspended:
            return Waiting(why=SUSPENDED)
        return self._gates.start or (self._gates.pay if stage in PAID else None)

    def _hold(self, status: CommitBenchmarkStatus, why: Waiting) -> Decision:
        look = None if self._plan.suspended else self._now + LOOK_AT_GATES
        return Decision(status.model_copy(update={"waiting": why}), requeue_at=look)


def _claimed(
    status: CommitBenchmarkStatus, stage: StageName, now: datetime, not_before: datetime | None = None
) -> CommitBenchmarkStatus:
    """``status`` with the next attempt at ``stage`` claimed: nobody starts what no status claims."""
    attempt = 1 + sum(earlier.name is stage for earlier in status.stages)
    claim = StageStatus(
        name=stage,
        attempt=attempt,
        state=StageState.CREATING,
        started_at=not_before or now,
        not_before=not_before,
    )
    where = condition_of("Succeeded", "Unknown", stage.value, now)
    conditions = with_condition(status.conditions, where)
    return status.model_copy(update={"stages": [*status.stages, claim], "conditions": conditions})


def _feedback(status: CommitBenchmarkStatus, claimed: StageStatus) -> str | None:
    """Why the test before this one was refused: the message of the attempt that led back to `generate`."""
    before = status.stages[:-1]
    if claimed.name is not StageName.GENERATE or not before or before[-1].name not in TEST_MAKERS:
        return None
    return before[-1].message


def _with_stage(status: CommitBenchmarkStatus, stage: StageStatus) -> CommitBenchmarkStatus:
    return status.model_copy(update={"stages": [*status.stages[:-1], stage]})

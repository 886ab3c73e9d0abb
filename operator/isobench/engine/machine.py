"""What happens next to an item, given what is known of it now: the transition table applied to facts.

`decide` is level-based: it looks at facts, never at events, and asked twice with the same facts it answers the same.
Everything that can stop waits for something with a deadline.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import (
    CommitBenchmarkStatus,
    Condition,
    Cost,
    StageName,
    StageState,
    StageStatus,
    Waiting,
)
from isobench.engine.plan import ItemPlan
from isobench.engine.transitions import PAID, TABLE, TEST_MAKERS, Move, ending_of

BACK_OFF = timedelta(seconds=15)
GRACE = timedelta(seconds=120)


class JobState(StrEnum):
    """What the executor sees of an attempt it was told to start."""

    RUNNING = "running"
    ENDED = "ended"
    GONE = "gone"


@dataclass(frozen=True)
class ObservedJob:
    """One attempt as the executor sees it; ``result`` is there when it ended with a readable one."""

    stage: StageName
    attempt: int
    state: JobState
    result: StageResult | None = None


@dataclass(frozen=True)
class Start:
    """Start this attempt; ``feedback`` is why the last generated test failed."""

    stage: StageName
    attempt: int
    feedback: str | None = None


@dataclass(frozen=True)
class Stop:
    """End this attempt: its deadline has passed."""

    stage: StageName
    attempt: int


@dataclass(frozen=True)
class Decision:
    """The status to write first, then what to do, and when to look again if nothing wakes us earlier."""

    status: CommitBenchmarkStatus
    actions: tuple[Start | Stop, ...] = ()
    requeue_at: datetime | None = None


def decide(plan: ItemPlan, status: CommitBenchmarkStatus, observed: tuple[ObservedJob, ...], now: datetime) -> Decision:
    """What to write, to do and to wait for, given the plan, the last written status and what is seen now."""
    if status.terminal:
        return Decision(status)
    last = status.stages[-1] if status.stages else None
    if last is None:
        return _start(plan, status, plan.stages[0], now)
    if last.state.final:
        return _move(plan, status, last, now)
    job = next((job for job in observed if (job.stage, job.attempt) == (last.name, last.attempt)), None)
    return _watch(plan, status, last, job, now)


def _watch(
    plan: ItemPlan, status: CommitBenchmarkStatus, last: StageStatus, job: ObservedJob | None, now: datetime
) -> Decision:
    if job is None and last.state is StageState.CREATING:
        return _begin(plan, status, last, now)
    if job is None or job.state is JobState.GONE:
        return _ended(plan, status, last, _lost(last, Reason.STAGE_LOST, "it ended without a result", now), now)
    if job.state is JobState.ENDED:
        return _ended(plan, status, last, _observed(last, job.result, now), now, job.result)
    deadline = (last.started_at or now) + timedelta(seconds=plan.deadline(last.name)) + GRACE
    if now >= deadline:
        lost = _lost(last, Reason.STAGE_TIMED_OUT, f"it ran past {plan.deadline(last.name):g} s", now)
        decision = _ended(plan, status, last, lost, now)
        return Decision(decision.status, (Stop(last.name, last.attempt), *decision.actions), decision.requeue_at)
    running = last.model_copy(update={"state": StageState.RUNNING})
    return Decision(_with_stage(status, running), requeue_at=deadline)


def _ended(
    plan: ItemPlan,
    status: CommitBenchmarkStatus,
    last: StageStatus,
    ended: StageStatus,
    now: datetime,
    result: StageResult | None = None,
) -> Decision:
    status = _with_stage(status, ended)
    if result is not None:
        status = _with_result(status, result)
    elif ended.name in PAID:
        status = _charged_at_its_cap(plan, status, ended.name)
    return _move(plan, status, ended, now)


def _observed(last: StageStatus, result: StageResult | None, now: datetime) -> StageStatus:
    if result is None:
        return _lost(last, Reason.INFRASTRUCTURE_ERROR, "its result is missing or can't be read", now)
    return last.model_copy(
        update={
            "state": StageState.SUCCEEDED if result.succeeded else StageState.FAILED,
            "finished_at": result.finished_at,
            "reason": result.reason,
            "message": result.message or None,
            "overhead_seconds": _overhead(last, result),
        }
    )


def _overhead(last: StageStatus, result: StageResult) -> float | None:
    if last.started_at is None:
        return None
    return max(0.0, (result.started_at - last.started_at).total_seconds())


def _lost(last: StageStatus, reason: Reason, message: str, now: datetime) -> StageStatus:
    paid = last.name in PAID
    return last.model_copy(
        update={
            "state": StageState.LOST,
            "finished_at": now,
            "reason": Reason.PAID_ATTEMPT_LOST if paid else reason,
            "message": message,
        }
    )


def _move(plan: ItemPlan, status: CommitBenchmarkStatus, ended: StageStatus, now: datetime) -> Decision:
    move = TABLE[ended.name][ending_of(status, ended)]
    match move:
        case Move.NEXT:
            return _start(plan, status, plan.after(ended.name), now)
        case Move.AGAIN:
            return _start(plan, status, ended.name, now, not_before=min(ended.finished_at or now, now) + BACK_OFF)
        case Move.REPAIR:
            return _start(plan, status, StageName.GENERATE, now)
        case Move.TIME:
            return _start(plan, status, StageName.TIMING, now)
        case Move.COLLECT:
            return _start(plan, status, StageName.COLLECT, now)
        case Move.FINISH:
            return Decision(_finished(status, now))


def _start(
    plan: ItemPlan,
    status: CommitBenchmarkStatus,
    stage: StageName,
    now: datetime,
    not_before: datetime | None = None,
) -> Decision:
    if _suspended(plan, stage):
        return _suspend(status)
    attempt = 1 + sum(earlier.name is stage for earlier in status.stages)
    claimed = StageStatus(
        name=stage,
        attempt=attempt,
        state=StageState.CREATING,
        started_at=not_before or now,
        not_before=not_before,
    )
    status = status.model_copy(
        update={
            "stages": [*status.stages, claimed],
            "conditions": _set(status.conditions, _condition("Unknown", stage.value, now)),
        }
    )
    return _begin(plan, status, claimed, now)


def _begin(plan: ItemPlan, status: CommitBenchmarkStatus, claimed: StageStatus, now: datetime) -> Decision:
    """Start what is claimed, after its back-off; one that seems longer than any is a clock that was set back."""
    if _suspended(plan, claimed.name):
        return _suspend(status)
    status = status.model_copy(update={"waiting": None})
    if claimed.not_before is not None and now < claimed.not_before <= now + BACK_OFF:
        return Decision(status, requeue_at=claimed.not_before)
    return Decision(status, (Start(claimed.name, claimed.attempt, _feedback(status, claimed)),))


def _suspended(plan: ItemPlan, stage: StageName) -> bool:
    return plan.suspended and stage is not StageName.COLLECT


def _suspend(status: CommitBenchmarkStatus) -> Decision:
    return Decision(status.model_copy(update={"waiting": Waiting(why="Suspended")}))


def _feedback(status: CommitBenchmarkStatus, claimed: StageStatus) -> str | None:
    """Why the test before this one was refused: the message of the attempt that led back to `generate`."""
    before = status.stages[:-1]
    if claimed.name is not StageName.GENERATE or not before or before[-1].name not in TEST_MAKERS:
        return None
    return before[-1].message


def _with_stage(status: CommitBenchmarkStatus, stage: StageStatus) -> CommitBenchmarkStatus:
    return status.model_copy(update={"stages": [*status.stages[:-1], stage]})


def _with_result(status: CommitBenchmarkStatus, result: StageResult) -> CommitBenchmarkStatus:
    update: dict[str, object] = {}
    if result.cost is not None:
        update["cost"] = Cost(
            estimate_usd=status.cost.estimate_usd + result.cost.estimate_usd,
            measured_usd=status.cost.measured_usd + result.cost.measured_usd,
            prompt_tokens=status.cost.prompt_tokens + result.cost.prompt_tokens,
            completion_tokens=status.cost.completion_tokens + result.cost.completion_tokens,
        )
    if result.result is not None:
        update["result"] = result.result
    if result.artifacts is not None:
        update["artifacts"] = result.artifacts
    return status.model_copy(update=update)


def _charged_at_its_cap(plan: ItemPlan, status: CommitBenchmarkStatus, stage: StageName) -> CommitBenchmarkStatus:
    """A lost attempt may have spent all that its stage's cap left; all attempts at `generate` share one."""
    before = status.cost.measured_usd if stage is StageName.GENERATE else 0.0
    measured = status.cost.measured_usd + max(0.0, plan.cap_usd(stage) - before)
    return status.model_copy(update={"cost": status.cost.model_copy(update={"measured_usd": measured})})


def _finished(status: CommitBenchmarkStatus, now: datetime) -> CommitBenchmarkStatus:
    failure = outcome_of(status)
    reason = Reason.RECORDED if failure is None else failure.reason or Reason.INFRASTRUCTURE_ERROR
    answer = "True" if reason.consequence.family is Family.DONE else "False"
    condition = _condition(answer, reason.value, now, failure.message if failure else "the record is stored")
    return status.model_copy(update={"conditions": _set(status.conditions, condition), "waiting": None})


def outcome_of(status: CommitBenchmarkStatus) -> StageStatus | None:
    """The attempt that kept the item from a record: the last to fail before collect, or collect; None if recorded."""
    timing, collect = status.latest(StageName.TIMING), status.latest(StageName.COLLECT)
    if timing is not None and timing.state is StageState.SUCCEEDED:
        return None if collect is not None and collect.state is StageState.SUCCEEDED else collect
    before = [attempt for attempt in status.stages if attempt.name is not StageName.COLLECT]
    return next((attempt for attempt in reversed(before) if attempt.state is not StageState.SUCCEEDED), None)


def _condition(answer: str, reason: str, now: datetime, message: str | None = None) -> Condition:
    return Condition.model_validate(
        {
            "type": "Succeeded",
            "status": answer,
            "reason": reason,
            "message": message or "",
            "last_transition_time": now,
        }
    )


def _set(conditions: list[Condition], condition: Condition) -> list[Condition]:
    return [*(other for other in conditions if other.type != condition.type), condition]

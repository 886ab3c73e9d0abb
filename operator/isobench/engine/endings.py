"""How an attempt ended and what that makes of the item: its cost, its measurement, its outcome."""

from datetime import datetime

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import CommitBenchmarkStatus, Condition, Cost, StageName, StageState, StageStatus
from isobench.engine.facts import Failure
from isobench.engine.plan import ItemPlan
from isobench.engine.transitions import PAID

UNREADABLE = Failure(Reason.INFRASTRUCTURE_ERROR, "its result is missing or can't be read")


def ended_as(last: StageStatus, result: StageResult) -> StageStatus:
    """The attempt ``last`` as its ``result`` tells."""
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


def lost(last: StageStatus, why: Failure, now: datetime) -> StageStatus:
    """An attempt that ended without a result; a paid one may have spent all that it was allowed."""
    return last.model_copy(
        update={
            "state": StageState.LOST,
            "finished_at": now,
            "reason": Reason.PAID_ATTEMPT_LOST if last.name in PAID else why.reason,
            "message": why.message,
        }
    )


def within_cap(plan: ItemPlan, result: StageResult) -> StageResult:
    """``result`` with what it may have cost at the most: only paid stages cost anything, and none more than its cap."""
    if result.cost is None:
        return result
    most = plan.cap_usd(result.stage) if result.stage in PAID else 0.0
    cost = result.cost.model_copy(update={"measured_usd": min(result.cost.measured_usd, most)})
    return result.model_copy(update={"cost": cost if result.stage in PAID else None})


def with_result(status: CommitBenchmarkStatus, result: StageResult) -> CommitBenchmarkStatus:
    """``status`` with what a result says of the whole item."""
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


def charged_at_its_cap(plan: ItemPlan, status: CommitBenchmarkStatus, stage: StageName) -> CommitBenchmarkStatus:
    """A lost attempt may have spent all that its stage's cap left; all attempts at `generate` share one.

    Not after a person's retry: the gateway, whose ledger may have gone with the workspace, may have begun anew.
    """
    shared = stage is StageName.GENERATE and status.retried is None
    before = status.cost.measured_usd if shared else 0.0
    measured = status.cost.measured_usd + max(0.0, plan.cap_usd(stage) - before)
    return status.model_copy(update={"cost": status.cost.model_copy(update={"measured_usd": measured})})


def finished(status: CommitBenchmarkStatus, now: datetime) -> CommitBenchmarkStatus:
    """``status`` with the item's outcome."""
    failure = outcome_of(status)
    reason = Reason.RECORDED if failure is None else failure.reason or Reason.INFRASTRUCTURE_ERROR
    answer = "True" if reason.consequence.family is Family.DONE else "False"
    said = (failure.message or "") if failure else "the record is stored"
    condition = condition_of("Succeeded", answer, reason.value, now, said)
    return status.model_copy(update={"conditions": with_condition(status.conditions, condition), "waiting": None})


def outcome_of(status: CommitBenchmarkStatus) -> StageStatus | None:
    """The attempt that kept the item from a record: the last to fail before collect, or collect; None if recorded."""
    timing, collect = status.latest(StageName.TIMING), status.latest(StageName.COLLECT)
    if timing is not None and timing.state is StageState.SUCCEEDED:
        return None if collect is not None and collect.state is StageState.SUCCEEDED else collect
    before = [attempt for attempt in status.stages if attempt.name is not StageName.COLLECT]
    return next((attempt for attempt in reversed(before) if attempt.state is not StageState.SUCCEEDED), None)


def condition_of(question: str, answer: str, reason: str, now: datetime, message: str = "") -> Condition:
    """One answer, as of ``now``."""
    return Condition.model_validate(
        {"type": question, "status": answer, "reason": reason, "message": message, "last_transition_time": now}
    )


def with_condition(conditions: list[Condition], condition: Condition) -> list[Condition]:
    """``conditions`` with this answer in place of the one before; the time of an answer that stays is kept."""
    for other in conditions:
        if other.type == condition.type and other.status == condition.status:
            condition = condition.model_copy(update={"last_transition_time": other.last_transition_time})
    return [*(other for other in conditions if other.type != condition.type), condition]

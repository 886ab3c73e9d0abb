"""The answers beside the outcome: was the network off, was the cap kept, is the record stored. Pure."""

from datetime import datetime

from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import CommitBenchmarkStatus, Condition, StageName, StageState, StageStatus
from isobench.engine.endings import condition_of, with_condition
from isobench.engine.plan import ItemPlan
from isobench.engine.transitions import PAID

CANARY_REACHED = "CanaryReached"
CANARY_UNREACHABLE = "CanaryUnreachable"
NO_CANARY = "NoCanary"
PROVED = "Proved"

_CANARY = {
    "reached": (
        CANARY_REACHED,
        "the canary answers where there is a network; its silence will mean that there is none",
    ),
    "unreachable": (CANARY_UNREACHABLE, "the canary did not answer from prepare: its silence would prove nothing"),
}


def with_answers(
    plan: ItemPlan, status: CommitBenchmarkStatus, ended: StageStatus, result: StageResult | None, now: datetime
) -> CommitBenchmarkStatus:
    """``status`` with what the attempt that just ``ended`` answers; ``result`` is its own word, if it left one."""
    for condition in (
        _isolated(ended, result, now),
        _within_cap(plan, status, ended, now),
        _stored(ended, result, now),
    ):
        if condition is not None:
            status = status.model_copy(update={"conditions": with_condition(status.conditions, condition)})
    return status


def _isolated(ended: StageStatus, result: StageResult | None, now: datetime) -> Condition | None:
    facts = result.facts if result else {}
    if ended.name is StageName.PREPARE and result is not None and result.succeeded:
        reason, said = _CANARY.get(str(facts.get("canary")), (NO_CANARY, "no canary was asked"))
        return condition_of("NetworkIsolated", "Unknown", reason, now, said)
    if ended.name not in (StageName.VALIDATE, StageName.TIMING):
        return None
    if ended.reason is Reason.NETWORK_NOT_ISOLATED:
        return condition_of("NetworkIsolated", "False", ended.reason.value, now, ended.message or "")
    if "isolation" in facts:
        return condition_of("NetworkIsolated", "True", PROVED, now, str(facts["isolation"]))
    return None


def _within_cap(plan: ItemPlan, status: CommitBenchmarkStatus, ended: StageStatus, now: datetime) -> Condition | None:
    if ended.name not in PAID:
        return None
    tries = {stage: sum(attempt.name is stage for attempt in status.stages) for stage in PAID}
    cap = plan.cap_usd(StageName.GENERATE) + plan.cap_usd(StageName.AGENT) * max(1, tries[StageName.AGENT])
    spent = status.cost.measured_usd
    if spent <= cap:
        return condition_of("BudgetWithinCap", "True", "WithinCap", now, f"${spent:.4f} of at most ${cap:.2f}")
    return condition_of("BudgetWithinCap", "False", "Exceeded", now, f"${spent:.4f}, and the cap is ${cap:.2f}")


def _stored(ended: StageStatus, result: StageResult | None, now: datetime) -> Condition | None:
    if ended.name is not StageName.COLLECT:
        return None
    if ended.state is not StageState.SUCCEEDED:
        return condition_of("RecordStored", "False", (ended.reason or "Lost"), now, ended.message or "")
    uri = result.artifacts.record_uri if result and result.artifacts else None
    if uri is None:
        return condition_of(
            "RecordStored", "False", "NoRecord", now, "the item came to no record; its journal is stored"
        )
    return condition_of("RecordStored", "True", "Stored", now, uri)

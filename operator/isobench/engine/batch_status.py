"""A batch's status from its ledger, its end and what it waits for; the words that a person reads first."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from isobench.contracts.objects import BatchSpec
from isobench.contracts.status import (
    ClosingName,
    ClosingStatus,
    CommitBenchmarkBatchStatus,
    Condition,
    StageState,
    Waiting,
)
from isobench.engine.closing import Step
from isobench.engine.endings import condition_of, with_condition
from isobench.engine.ledger import Counts, Rows, counts, finished, finished_by, stopped
from isobench.engine.machine import SUSPENDED

RUNNING, WAITING = "Running", "Waiting"
CLOSING = {ClosingName.EXPORT: "Exporting", ClosingName.PUBLISH: "Publishing"}
COMPLETED, STOPPED = "Completed", "StoppedAtFailure"
FAILED = {ClosingName.EXPORT: "ExportFailed", ClosingName.PUBLISH: "PublishFailed"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a batch beside its spec and the status that was written last."""

    rows: Rows
    step: Step
    waiting: Waiting | None
    began_at: datetime
    generation: int | None
    dataset_uri: str
    budget_usd: float | None
    charged_usd: float
    """What all that share its budget were charged."""


def status_of(
    spec: BatchSpec, before: CommitBenchmarkBatchStatus, facts: Facts, now: datetime
) -> CommitBenchmarkBatchStatus:
    """The status that says ``facts``."""
    told = counts(facts.rows)
    expected = before.finished_by
    if told.ended != before.done + before.failed or told.ended == 0:
        expected = finished_by(len(spec.commits), told.ended, facts.began_at, now)
    exported = _ended_well(facts.step.attempts, ClosingName.EXPORT)
    return CommitBenchmarkBatchStatus(
        observed_generation=facts.generation,
        ledger=list(facts.rows),
        total=len(spec.commits),
        running=told.running,
        done=told.done,
        failed=told.failed,
        reasons=dict(told.reasons),
        reserved_usd=told.reserved_usd,
        spent_usd=told.spent_usd,
        finished_by=None if finished(spec, facts.rows) else expected,
        closing=list(facts.step.attempts),
        dataset_uri=facts.dataset_uri if exported else before.dataset_uri,
        conditions=_conditions(spec, before, facts, told, now),
        waiting=facts.waiting,
    )


def refused(
    before: CommitBenchmarkBatchStatus, problem: str, generation: int | None, now: datetime
) -> CommitBenchmarkBatchStatus:
    """The status of a batch that asks for what can't be done."""
    answer = condition_of("Succeeded", "False", "InvalidSpec", now, problem)
    update = {"observed_generation": generation, "waiting": None}
    return before.model_copy(update=update | {"conditions": with_condition(before.conditions, answer)})


def _conditions(
    spec: BatchSpec, before: CommitBenchmarkBatchStatus, facts: Facts, told: Counts, now: datetime
) -> list[Condition]:
    conditions = with_condition(list(before.conditions), _succeeded(spec, facts, told, now))
    if facts.budget_usd is not None:
        within = facts.charged_usd <= facts.budget_usd
        said = f"${facts.charged_usd:g} of ${facts.budget_usd:g} spent or reserved"
        reason = "WithinCap" if within else "AboveCap"
        conditions = with_condition(conditions, condition_of("BudgetWithinCap", str(within), reason, now, said))
    for name, question in ((ClosingName.EXPORT, "RecordStored"), (ClosingName.PUBLISH, "Published")):
        done = _ended_well(facts.step.attempts, name)
        if done is not None:
            conditions = with_condition(conditions, condition_of(question, "True", question, now, done.message))
    return conditions


def _succeeded(spec: BatchSpec, facts: Facts, told: Counts, now: datetime) -> Condition:
    counted = f"{told.done} of {len(spec.commits)} recorded" + "".join(
        f", {count} {reason}" for reason, count in told.reasons.items() if reason != "Recorded"
    )
    if not finished(spec, facts.rows):
        reason = SUSPENDED if spec.suspend else RUNNING if told.running or facts.waiting is None else WAITING
        return condition_of("Succeeded", "Unknown", reason, now, counted)
    if facts.step.failed is not None:
        failed = facts.step.failed
        return condition_of("Succeeded", "False", FAILED[failed.name], now, failed.message or "no explanation")
    if not facts.step.done:
        doing = next((attempt.name for attempt in reversed(facts.step.attempts)), ClosingName.EXPORT)
        return condition_of("Succeeded", "Unknown", CLOSING[doing], now, counted)
    if stopped(spec, facts.rows):
        return condition_of("Succeeded", "False", STOPPED, now, counted)
    return condition_of("Succeeded", "True", COMPLETED, now, counted)


def _ended_well(attempts: Sequence[ClosingStatus], name: ClosingName) -> ClosingStatus | None:
    ended = [attempt for attempt in attempts if attempt.name is name and attempt.state is StageState.SUCCEEDED]
    return ended[-1] if ended else None

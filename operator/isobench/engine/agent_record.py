"""What an agent's attempt adds to a record, and how several attempts at one pair share one."""

from collections.abc import Mapping
from typing import Any

from isobench.contracts.attempt import Attempt
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Measurement, Record, Sample
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus

JOURNAL = "journal.json"
OPEN = "the agent had an open network: what it found there is not known"
_BEFORE_TIMING = (StageName.BUILD_AGENT, StageName.AGENT, StageName.VALIDATE)
_BEGUN = frozenset({Reason.ALREADY_STARTED, Reason.PAID_ATTEMPT_LOST})


def with_attempt(
    record: Record, status: CommitBenchmarkStatus, attempt: Attempt | None, folder: str, model: str | None
) -> Record:
    """``record`` with what became of the agent; without an ``attempt`` the stages say why there is none.

    `agent_success` is absent where no agent was started, and `agent_error` says why.
    """
    success, error = _told(status, attempt)
    update: dict[str, object] = {
        "agent_success": success,
        "agent_error": error,
        "agent_journal_path": f"{folder}/{JOURNAL}",
    }
    if attempt is not None:
        update |= {
            "agent_branch": attempt.branch,
            "agent_cost_estimate": attempt.estimate_usd,
            "agent_iterations": attempt.iterations,
        }
    if record.measurement is not None:
        sample = _sample(record.measurement, status, success, folder, (attempt and attempt.model) or model)
        notes = [*record.measurement.notes, *([OPEN] if attempt and attempt.network == "open" else [])]
        update["measurement"] = record.measurement.model_copy(update={"samples": [sample], "notes": notes})
    return record.model_copy(update=update)


def joined(existing: Mapping[str, Any], record: Record) -> dict[str, Any] | None:
    """The row of a pair that has a row already; None when the ``existing`` one stays as it is.

    An online record takes an offline one's place, never the reverse. Of several attempts the first that was started
    fills the fields of the agent, and all are listed in `measurement.samples`.
    """
    if not record.online:
        return None
    row = record.row()
    if not is_online(existing):
        return row
    before, new = _samples(existing), _samples(row)
    others = [sample for sample in before if sample["run_id"] not in {own["run_id"] for own in new}]
    if "agent_success" not in existing and record.agent_success is not None:
        return _with_samples(row, [*new, *others])
    if not new or len(others) < len(before):
        return None  # there is nothing to list, or it is listed
    return _with_samples(existing, [*before, *new])


def is_online(row: Mapping[str, Any]) -> bool:
    """Whether an agent's attempt is part of the record in ``row``."""
    return row.get("agent_success") is not None or row.get("agent_error") is not None


def _told(status: CommitBenchmarkStatus, attempt: Attempt | None) -> tuple[bool | None, str | None]:
    if attempt is not None:
        return attempt.success, None if attempt.success else f"{attempt.outcome}: {attempt.message}"
    failed = _failed(status)
    if failed is None:
        return None, "no agent was started"
    reason = failed.reason or Reason.INFRASTRUCTURE_ERROR
    lost = failed.name is StageName.AGENT and (failed.state is StageState.LOST or reason in _BEGUN)
    return False if lost else None, f"{reason}: {failed.message or reason.consequence.advice}"


def _failed(status: CommitBenchmarkStatus) -> StageStatus | None:
    latest = (status.latest(stage) for stage in _BEFORE_TIMING)
    return next((stage for stage in latest if stage is not None and stage.state is not StageState.SUCCEEDED), None)


def _sample(
    measurement: Measurement, status: CommitBenchmarkStatus, success: bool | None, folder: str, model: str | None
) -> Sample:
    compared = next((found for found in measurement.comparisons if found.arms == ("base", "agent")), None)
    return Sample(
        run_id=folder.removeprefix("state/runs/"),
        model=model,
        agent_success=success,
        speedup=compared.speedup if compared else None,
        verdict=compared.verdict if compared else None,
        measured_usd=status.cost.measured_usd,
    )


def _samples(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list((row.get("measurement") or {}).get("samples") or [])


def _with_samples(row: Mapping[str, Any], samples: list[dict[str, Any]]) -> dict[str, Any]:
    if not samples or not row.get("measurement"):
        return dict(row)
    return {**row, "measurement": {**row["measurement"], "samples": samples}}

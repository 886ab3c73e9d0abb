"""The end of a run in numbers: how many items per reason, what it cost, where the time went, what to do next."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName


@dataclass
class Tally:
    """Adds up items one at a time, so that a run of any length takes the memory of one item."""

    reasons: Counter[Reason] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[StageName, float] = field(default_factory=lambda: defaultdict(float))
    measured_usd: float = 0.0
    unfinished: int = 0

    def add(self, status: CommitBenchmarkStatus) -> None:
        """Count one item."""
        outcome = status.outcome
        if outcome is None or outcome.status == "Unknown":
            self.unfinished += 1
        else:
            self.reasons[Reason(outcome.reason)] += 1
        if status.result is not None:
            self.verdicts[_verdict(status)] += 1
            if status.result.agent_outcome is not None:
                self.agents[status.result.agent_outcome] += 1
        for stage in status.stages:
            if stage.started_at is not None and stage.finished_at is not None:
                self.seconds[stage.name] += _own_seconds(stage.started_at, stage.finished_at, stage.overhead_seconds)
        self.measured_usd += status.cost.measured_usd

    @property
    def done(self) -> int:
        """Items that ended well."""
        return sum(count for reason, count in self.reasons.items() if reason.consequence.family is Family.DONE)

    @property
    def failed(self) -> int:
        """Items that were skipped or failed, each with a reason."""
        return self.reasons.total() - self.done

    def as_json(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "done": self.done,
            "failed": self.failed,
            "unfinished": self.unfinished,
            "reasons": {reason.value: count for reason, count in self.reasons.most_common()},
            "verdicts": dict(self.verdicts.most_common()),
            "agents": dict(self.agents.most_common()),
            "seconds": {stage.value: round(seconds, 3) for stage, seconds in self.seconds.items()},
            "measured_usd": self.measured_usd,
        }


def _own_seconds(claimed_at: datetime, finished_at: datetime, overhead_seconds: float | None) -> float:
    """The stage's own work: a claim may lie days back when a run goes on, and a clock may have been set back."""
    return max(0.0, (finished_at - claimed_at).total_seconds() - (overhead_seconds or 0.0))


def _verdict(status: CommitBenchmarkStatus) -> str:
    assert status.result is not None  # the caller looked
    if status.result.verdict is None:
        return "no measurement"
    return f"{status.result.verdict}{' (noisy)' if status.result.noisy else ''}"

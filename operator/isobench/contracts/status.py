"""The observation: what became of an item so far. It is the whole state: the next decision follows from it."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from isobench.contracts.attempt import AgentOutcome
from isobench.contracts.base import KubernetesContract
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Verdict


class StageName(StrEnum):
    """The stages in the order in which an item passes them; `collect` is always last."""

    PREPARE = "prepare"
    GENERATE = "generate"
    VALIDATE = "validate"
    AGENT = "agent"
    BUILD_AGENT = "build-agent"
    TIMING = "timing"
    COLLECT = "collect"


class StageState(StrEnum):
    """Where one attempt at a stage stands; the last three are final."""

    CREATING = "Creating"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    LOST = "Lost"

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to this attempt."""
        return self in (StageState.SUCCEEDED, StageState.FAILED, StageState.LOST)


class StageStatus(KubernetesContract):
    """One attempt at one stage."""

    name: StageName = Field(description="The stage.")
    attempt: int = Field(default=1, ge=1, description="Counts from 1.")
    state: StageState = Field(description="Where the attempt stands.")
    job_name: str | None = Field(default=None, description="The Job that runs it on a cluster.")
    job_uid: str | None = Field(default=None, description="That Job's UID.")
    started_at: datetime | None = Field(default=None, description="When it was claimed.")
    finished_at: datetime | None = Field(default=None, description="When its end was observed.")
    not_before: datetime | None = Field(default=None, description="Back-off: not started before this.")
    reason: Reason | None = Field(default=None, description="Why it did not succeed.")
    message: str | None = Field(default=None, description="One sentence for a person.")
    overhead_seconds: float | None = Field(default=None, description="Time that was not the stage's own work.")


class Condition(KubernetesContract):
    """One question of a fixed set, answered True, False or Unknown."""

    type: Literal["Succeeded", "NetworkIsolated", "BudgetWithinCap", "RecordStored", "Published"] = Field(
        description="Which."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: str = Field(description="One word for it.")
    message: str = Field(default="", description="One sentence for it.")
    last_transition_time: datetime | None = Field(default=None, description="When the answer last changed.")


class Cost(KubernetesContract):
    """What the item's model calls were estimated at and what they cost, in US dollars at list prices."""

    estimate_usd: float = Field(default=0.0, ge=0, description="Estimate before the run.")
    measured_usd: float = Field(default=0.0, ge=0, description="Metered sum.")
    prompt_tokens: int = Field(default=0, ge=0, description="Metered prompt tokens.")
    completion_tokens: int = Field(default=0, ge=0, description="Metered completion tokens.")


class ResultSummary(KubernetesContract):
    """The measurement in one line: base:head, and base:agent where there was an attempt."""

    speedup: float | None = Field(default=None, description="Median of base time / head time.")
    ci_low: float | None = Field(default=None, description="Lower end of the 99% interval.")
    ci_high: float | None = Field(default=None, description="Upper end of the 99% interval.")
    verdict: Verdict | None = Field(default=None, description="same, faster, slower or inconclusive.")
    noisy: bool = Field(default=False, description="The control's interval excludes zero.")
    control: float | None = Field(default=None, description="The control's ratio: 1 without bias.")
    pairs: int | None = Field(default=None, description="Paired samples behind the interval.")
    agent_outcome: AgentOutcome | None = Field(default=None, description="What became of the agent's attempt.")
    agent_speedup: float | None = Field(default=None, description="Median of base time / agent time.")
    agent_verdict: Verdict | None = Field(default=None, description="The verdict on base:agent.")


class Artifacts(KubernetesContract):
    """Where the item's outputs are."""

    record_uri: str | None = Field(default=None, description="The record.")
    journal_uri: str | None = Field(default=None, description="The journal's folder.")


class Waiting(KubernetesContract):
    """Why nothing happens at the moment."""

    why: str = Field(description="What it waits for.")
    position: int | None = Field(default=None, ge=1, description="Position in that queue.")
    message: str = Field(default="", description="One sentence for it.")


class CommitBenchmarkStatus(KubernetesContract):
    """An item's state, as the object and the local run folder keep it."""

    observed_generation: int | None = Field(default=None, description="Generation that this status answers.")
    stages: list[StageStatus] = Field(default_factory=list, description="Attempts by stage, in order of start.")
    conditions: list[Condition] = Field(default_factory=list, description="Answers by type.")
    cost: Cost = Field(default_factory=Cost, description="Dollars and tokens.")
    result: ResultSummary | None = Field(default=None, description="The measurement in one line.")
    artifacts: Artifacts = Field(default_factory=Artifacts, description="Where outputs are.")
    waiting: Waiting | None = Field(default=None, description="Why nothing happens at the moment.")
    image: str | None = Field(
        default=None, description="Identity of the environment image that arms were built in; later stages use it."
    )
    retried: str | None = Field(
        default=None, description="Value of the annotation isobench.dev/retry that was answered last."
    )

    @property
    def outcome(self) -> Condition | None:
        """The condition `Succeeded`, or None before the first decision."""
        return next((condition for condition in self.conditions if condition.type == "Succeeded"), None)

    @property
    def terminal(self) -> bool:
        """Whether the item has ended, one way or the other."""
        outcome = self.outcome
        return outcome is not None and outcome.status != "Unknown"

    def latest(self, stage: StageName) -> StageStatus | None:
        """The last attempt at ``stage``."""
        return next((attempt for attempt in reversed(self.stages) if attempt.name is stage), None)


class LedgerRow(KubernetesContract):
    """One commit of a batch: what it may cost, what it cost, how it ended."""

    index: int = Field(ge=0, description="Its place in spec.commits, from 0.")
    item: str | None = Field(default=None, description="Name of its CommitBenchmark, once there is one.")
    outcome: Reason | None = Field(default=None, description="How it ended.")
    reserved_usd: float = Field(default=0.0, ge=0, description="Granted and not settled.")
    spent_usd: float = Field(default=0.0, ge=0, description="Settled.")


class ClosingName(StrEnum):
    """What follows the last item of a batch."""

    EXPORT = "export"
    PUBLISH = "publish"


class ClosingStatus(KubernetesContract):
    """One attempt at a batch's export or publication."""

    name: ClosingName = Field(description="export or publish.")
    attempt: int = Field(default=1, ge=1, description="Counts from 1.")
    of: str = Field(description="Digest of what it exports or publishes; another content is another attempt.")
    state: StageState = Field(description="Where the attempt stands.")
    started_at: datetime | None = Field(default=None, description="When it was claimed.")
    finished_at: datetime | None = Field(default=None, description="When its end was observed.")
    message: str = Field(default="", description="One sentence for a person.")


class CommitBenchmarkBatchStatus(KubernetesContract):
    """What became of a batch so far; money is granted by writing its ledger before a paid stage starts."""

    observed_generation: int | None = Field(default=None, description="Generation that this status answers.")
    ledger: list[LedgerRow] = Field(default_factory=list, max_length=1000, description="One row per commit begun.")
    total: int | None = Field(default=None, ge=0, description="Items.")
    running: int = Field(default=0, ge=0, description="Items that are begun and have not ended.")
    done: int = Field(default=0, ge=0, description="Items that ended well.")
    failed: int = Field(default=0, ge=0, description="Items that were skipped or failed.")
    reasons: dict[str, int] = Field(default_factory=dict, description="How many items ended by each reason.")
    reserved_usd: float = Field(default=0.0, ge=0, description="Granted and not settled, all items together.")
    spent_usd: float = Field(default=0.0, ge=0, description="Settled, all items together.")
    finished_by: datetime | None = Field(default=None, description="When it should be done, at the pace so far.")
    closing: list[ClosingStatus] = Field(default_factory=list, description="Attempts at export and publication.")
    dataset_uri: str | None = Field(default=None, description="The exported dataset.")
    conditions: list[Condition] = Field(default_factory=list, description="Answers by type.")
    waiting: Waiting | None = Field(default=None, description="Why nothing happens at the moment.")

    @property
    def outcome(self) -> Condition | None:
        """The condition `Succeeded`, or None before the first decision."""
        return next((condition for condition in self.conditions if condition.type == "Succeeded"), None)

"""The dataset record: one JSON object a line, one per (repo, head_commit)."""

from typing import Any, Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason

Arm = Literal["base", "head", "main", "agent", "control"]
Verdict = Literal["same", "faster", "slower", "inconclusive"]


class Durations(Contract):
    """The kept samples of the recorded arms, in milliseconds; an arm that failed is an empty list."""

    base: list[float]
    head: list[float]
    main: list[float]


class ApiSummary(Contract):
    """How much of an arm's installed package the snapshot of its public names covers."""

    modules_scanned: int
    symbols_collected: int
    errors: int


class ComparisonResult(Contract):
    """One comparison of two arms: a speed-up ratio (time of the first / time of the second) and its interval."""

    arms: tuple[Arm, Arm]
    speedup: float = Field(description="Median of the paired ratios; above 1 the second arm is faster.")
    ci_low: float
    ci_high: float
    pairs: int
    confidence: float = Field(description="Coverage that the order-statistic interval has, 0 to 1.")
    verdict: Verdict
    noisy: bool = Field(description="The control's interval excludes zero: isobench's own bias is visible.")


class ControlResult(Contract):
    """What a second, independently built base shows: the resolution of this run."""

    speedup: float
    ci_low: float
    ci_high: float
    pairs: int
    resolution: float = Field(description="Smallest effect that this run could tell from none, as a fraction.")


class ArmResult(Contract):
    """What became of one arm."""

    reason: Reason | None = None
    message: str | None = None
    result_sha256: str | None = None
    output_tail: str | None = None


class Sampling(Contract):
    """How the samples came about: enough to draw the same order again."""

    seed: int
    blocks: int
    warmup: int
    stop: str = Field(description="Why the sampling stopped: Precise, Same, MaxPairs, TimeLimit or a reason.")
    cores: list[int]
    dropped: dict[str, str] = Field(default_factory=dict, description="Arms left out, each with why.")


class Sample(Contract):
    """One model's or attempt's outcome for a pair that has several."""

    run_id: str
    model: str | None = None
    agent_success: bool | None = None
    speedup: float | None = None
    verdict: Verdict | None = None
    measured_usd: float | None = None


class Measurement(Contract):
    """Everything that the old record did not have: interval, verdict, control, machine, isolation, cost."""

    version: Literal[1] = 1
    verdict: Verdict | None = Field(default=None, description="base:head's verdict; none without a measurement.")
    reason: Reason | None = Field(default=None, description="Why there is no measurement, or what taints it.")
    comparisons: list[ComparisonResult] = Field(default_factory=list)
    control: ControlResult | None = None
    arms: dict[Arm, ArmResult] = Field(default_factory=dict)
    sampling: Sampling | None = None
    main_commit: str | None = None
    machine: dict[str, Any] = Field(default_factory=dict)
    isolation: dict[str, Any] = Field(default_factory=dict)
    cost: dict[str, float] | None = Field(default=None, description="Dollars: measured_usd and estimate_usd.")
    instructions: dict[Arm, list[int]] | None = None
    adapted_imports: dict[Arm, dict[str, str]] | None = None
    notes: list[str] = Field(default_factory=list)
    samples: list[Sample] | None = None


class Record(Contract):
    """One verified task of the dataset, with the field order of the file."""

    repo: str
    instance_id: str
    created_at: str
    base_commit: str
    head_commit: str
    patch: str
    test_patch: Literal[""] = ""
    efficiency_test: list[str]
    duration_changes: list[Durations]
    human_performance: float | None
    version: str
    patch_functions: None = None
    test_functions: list[str] = Field(default_factory=list)
    api: str | None = None
    gt_commit_message: str
    setup_commands: list[str] | None = None
    install_commands: list[str] | None = None
    notes: None = None
    api_manifest_paths: dict[Arm, str] | None = None
    api_manifest_summaries: dict[Arm, ApiSummary] | None = None
    test_failed: Literal["Yes", "No"]

    agent_branch: str | None = None
    agent_success: bool | None = None
    agent_error: str | None = None
    agent_cost_estimate: float | None = None
    agent_iterations: int | None = None
    agent_journal_path: str | None = None
    measurement: Measurement | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes a record unique: repository and head commit."""
        return self.repo, self.head_commit

    @property
    def online(self) -> bool:
        """Whether an agent's attempt is part of this record."""
        return self.agent_success is not None or self.agent_error is not None

    def row(self) -> dict[str, Any]:
        """The record as it stands in the file: optional additions are absent unless they apply."""
        row = self.model_dump(mode="json", exclude=OPTIONAL_FIELDS)
        additions = self.model_dump(mode="json", include=OPTIONAL_FIELDS, exclude_none=True)
        return row | additions


OPTIONAL_FIELDS = {
    "agent_branch",
    "agent_success",
    "agent_error",
    "agent_cost_estimate",
    "agent_iterations",
    "agent_journal_path",
    "measurement",
}

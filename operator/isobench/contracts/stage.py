"""What goes into a stage and what comes out of it; the same on one machine and in a Job."""

from datetime import datetime
from typing import Any

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import Artifacts, Cost, ResultSummary, StageName

MESSAGE_BYTES = 1024


class StageRequest(Contract):
    """One attempt at one stage of one item; paths are relative to the workspace that the executor gives."""

    item_id: str
    run_id: str
    stage: StageName
    attempt: int = 1
    spec: CommitBenchmarkSpec
    deadline_seconds: float
    feedback: str | None = Field(default=None, description="Why the last generated test failed, at most 2 KiB.")


class StageResult(Contract):
    """How the attempt ended: a summary of at most 2 KiB; the bulk is in the workspace."""

    stage: StageName
    attempt: int = 1
    succeeded: bool
    reason: Reason | None = Field(default=None, description="Why not; None when it succeeded.")
    message: str = Field(default="", max_length=MESSAGE_BYTES)
    started_at: datetime
    finished_at: datetime
    cost: Cost | None = None
    result: ResultSummary | None = None
    artifacts: Artifacts | None = None
    facts: dict[str, Any] = Field(default_factory=dict, description="Small facts for status and journal.")

"""The journal of one attempt at one item: what was done, what it cost, what was noticed."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import Cost, StageStatus


class Journal(Contract):
    """`journal.json` in the item's folder; written last, so that its presence says that the attempt ended."""

    version: Literal[1] = 1
    isobench: str = Field(description="Version of isobench that ran it.")
    run_id: str
    item_id: str
    repo: str | None = None
    base_commit: str | None = None
    head_commit: str
    spec: CommitBenchmarkSpec
    started_at: datetime
    finished_at: datetime
    outcome: Reason
    message: str = ""
    stages: list[StageStatus] = Field(default_factory=list)
    cost: Cost = Field(default_factory=Cost)
    notes: list[str] = Field(default_factory=list, description="What a reader should know, a sentence each.")
    facts: dict[str, Any] = Field(default_factory=dict)

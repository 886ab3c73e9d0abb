"""What `collect` leaves in a store beside the files: the marker that an item is whole, and its entry in a dataset."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus


class StoredFile(Contract):
    """One object below an item's prefix."""

    bytes: int
    sha256: str


class Marker(Contract):
    """`done.json`: written last, so that its presence says that everything it lists is there."""

    version: Literal[1] = 1
    isobench: str
    run_id: str
    item_id: str
    attempts: int = Field(default=0, ge=0, description="How many attempts at stages before collect it tells of.")
    outcome: Reason
    recorded: bool
    files: dict[str, StoredFile] = Field(description="Every object below the item's prefix, by name.")
    left_out: list[str] = Field(default_factory=list, description="What was there and could not be taken, and why.")


class DatasetEntry(Contract):
    """`<dataset>/items/<item>.<run>.json`: one run of one item of a dataset."""

    version: Literal[1] = 1
    run_id: str
    item_id: str
    batch: str | None = None
    recorded: bool
    finished_at: datetime
    status: CommitBenchmarkStatus = Field(description="The item's state with its outcome.")

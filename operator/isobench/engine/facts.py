"""What decisions are made from and what they say: the facts of an item's attempts, and a decision's parts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import CommitBenchmarkStatus, StageName, Waiting


class JobState(StrEnum):
    """What the executor sees of an attempt it was told to start."""

    RUNNING = "running"
    ENDED = "ended"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt that ended has no result, as far as its surroundings tell."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """One attempt as the executor sees it; ``result`` is there when it ended with a readable one."""

    stage: StageName
    attempt: int
    state: JobState
    result: StageResult | None = None
    failure: Failure | None = None
    """Why there is no result."""
    uid: str | None = None
    """The Job's, on a cluster."""
    waiting: Waiting | None = None
    """What keeps a running attempt from working."""
    bounded: bool = False
    """Whether something else ends it at its deadline, by a clock of its own."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Who may go on and who may pay is decided over all items: what keeps this one waiting, if anything does."""

    start: Waiting | None = None
    pay: Waiting | None = None


OPEN = Gates()


@dataclass(frozen=True, slots=True)
class Start:
    """Start this attempt; ``feedback`` is why the last generated test failed."""

    stage: StageName
    attempt: int
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End this attempt: its deadline has passed."""

    stage: StageName
    attempt: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The status to write first, then what to do, and when to look again if nothing wakes us earlier."""

    status: CommitBenchmarkStatus
    actions: tuple[Start | Stop, ...] = ()
    requeue_at: datetime | None = None

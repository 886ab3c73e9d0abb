"""What a run tells while it goes on; a live view, plain lines and `--json` show the same events."""

import math
from collections.abc import Callable
from typing import Any

from isobench.contracts.base import Contract
from isobench.contracts.reasons import Reason
from isobench.contracts.status import ResultSummary, StageName


class RunStarted(Contract):
    """A run begins or goes on; ``finished`` items had ended before."""

    batch: str
    items: int
    finished: int
    mode: str


class StageStarted(Contract):
    """An item enters a stage."""

    item: str
    stage: StageName
    attempt: int


class StageProgress(Contract):
    """Something moved within a stage: an arm is built, a block is timed."""

    item: str
    stage: StageName
    text: str
    pairs: int | None = None
    speedup: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


class ItemEnded(Contract):
    """An item has ended, one way or the other."""

    item: str
    reason: Reason
    message: str
    result: ResultSummary | None = None
    measured_usd: float = 0.0


class RunEnded(Contract):
    """The run is over; the summary says the rest."""

    summary: dict[str, Any]
    interrupted: bool = False


Event = RunStarted | StageStarted | StageProgress | ItemEnded | RunEnded
Listener = Callable[[Event], None]


def progress_of(item: str, stage: StageName, event: dict[str, Any]) -> StageProgress:
    """A block's event for a person: the probe speaks of log ratios, people of speed-ups."""
    text = f"{event['pairs']} pairs"
    interval = event["comparisons"].get("base:head")
    if interval is None:
        return StageProgress(item=item, stage=stage, text=text, pairs=event["pairs"])
    return StageProgress(
        item=item,
        stage=stage,
        text=text,
        pairs=event["pairs"],
        speedup=math.exp(interval["estimate"]),
        ci_low=math.exp(interval["low"]),
        ci_high=math.exp(interval["high"]),
    )

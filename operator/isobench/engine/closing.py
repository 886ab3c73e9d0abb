"""What follows the last item of a batch, export and then publication: which attempt is next, and how it all ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from isobench.contracts.status import ClosingName, ClosingStatus, StageState

ATTEMPTS = 3
BACK_OFF = timedelta(seconds=30)


class JobEnd(StrEnum):
    """What is seen of an attempt's Job."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class SeenJob:
    """An attempt's Job, and what it said at its end."""

    end: JobEnd
    message: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """The attempts as they are now, and what to do: create ``start``, or look again at ``again_at``."""

    attempts: tuple[ClosingStatus, ...]
    start: ClosingStatus | None = None
    again_at: datetime | None = None
    failed: ClosingStatus | None = None
    """The attempt after which there is none."""
    done: bool = False
    """Everything that was asked for has succeeded."""


def close(
    attempts: Sequence[ClosingStatus],
    wanted: Sequence[tuple[ClosingName, str]],
    look: Callable[[ClosingStatus], SeenJob],
    now: datetime,
) -> Step:
    """The next step to what is ``wanted``, in this order, each with the digest of its content.

    An attempt at another content is not begun any more, and is waited for where it runs.
    """
    seen = tuple(_seen(attempt, look, now, begun=(attempt.name, attempt.of) not in wanted) for attempt in attempts)
    for name, digest in wanted:
        if any(attempt.name is name and attempt.of != digest and not attempt.state.final for attempt in seen):
            return Step(seen)
        tried = [attempt for attempt in seen if attempt.name is name and attempt.of == digest]
        if not tried:
            return _claim(seen, name, digest, now)
        last = tried[-1]
        match last.state:
            case StageState.SUCCEEDED:
                continue
            case StageState.CREATING:
                return Step(seen, start=last)
            case StageState.RUNNING:
                return Step(seen)
            case StageState.FAILED | StageState.LOST:
                return _again(seen, last, len(tried), now)
    return Step(seen, done=True)


def _seen(
    attempt: ClosingStatus, look: Callable[[ClosingStatus], SeenJob], now: datetime, *, begun: bool
) -> ClosingStatus:
    """The attempt as its Job is; without one it is lost if it was ``begun``, or seen before."""
    if attempt.state.final:
        return attempt
    job = look(attempt)
    match job.end:
        case JobEnd.RUNNING:
            return attempt.model_copy(update={"state": StageState.RUNNING})
        case JobEnd.SUCCEEDED:
            return _ended(attempt, StageState.SUCCEEDED, job.message, now)
        case JobEnd.FAILED:
            return _ended(attempt, StageState.FAILED, job.message, now)
        case JobEnd.GONE if begun or attempt.state is StageState.RUNNING:
            return _ended(attempt, StageState.LOST, "its Job is gone", now)
        case JobEnd.GONE:
            return attempt


def _ended(attempt: ClosingStatus, state: StageState, message: str, now: datetime) -> ClosingStatus:
    return attempt.model_copy(update={"state": state, "message": message, "finished_at": now})


def _claim(seen: tuple[ClosingStatus, ...], name: ClosingName, digest: str, now: datetime) -> Step:
    number = 1 + max((attempt.attempt for attempt in seen if attempt.name is name), default=0)
    claimed = ClosingStatus(name=name, attempt=number, of=digest, state=StageState.CREATING, started_at=now)
    return Step((*seen, claimed), start=claimed)


def _again(seen: tuple[ClosingStatus, ...], last: ClosingStatus, tries: int, now: datetime) -> Step:
    if tries >= ATTEMPTS:
        return Step(seen, failed=last)
    again_at = min(last.finished_at or now, now) + BACK_OFF
    return Step(seen, again_at=again_at) if now < again_at else _claim(seen, last.name, last.of, now)

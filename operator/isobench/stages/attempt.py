"""One attempt at a stage: whatever happens in it, a `StageResult` comes out."""

import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from isobench.adapters.files import write_text
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import MESSAGE_BYTES, StageRequest, StageResult
from isobench.contracts.status import Artifacts, Cost, ResultSummary

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Done:
    """What a stage that succeeded has to say."""

    message: str = ""
    cost: Cost | None = None
    result: ResultSummary | None = None
    artifacts: Artifacts | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def attempt(request: StageRequest, clock: Clock, folder: Path, work: Callable[[], Done]) -> StageResult:
    """Do ``work`` and say how it ended; a traceback goes to a log in the item's ``folder``, never to a person."""
    started = clock()
    try:
        done = work()
    except (ItemFailure, InvalidInput) as error:
        return refused(request, error, started, clock())
    except OSError as error:
        reason = Reason.DISK_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else Reason.INFRASTRUCTURE_ERROR
        return _failed(request, reason, _sentence(error), started, clock())
    except Exception as error:  # noqa: BLE001 - one item's surprise must not end the batch
        log = folder / f"{request.stage}-{request.attempt}.traceback.txt"
        write_text(log, traceback.format_exc())
        message = f"{type(error).__name__}: {error} (traceback in {log.name})"
        return _failed(request, Reason.INFRASTRUCTURE_ERROR, message, started, clock())
    return StageResult(
        stage=request.stage,
        attempt=request.attempt,
        succeeded=True,
        message=_bounded(done.message),
        started_at=started,
        finished_at=clock(),
        cost=done.cost,
        result=done.result,
        artifacts=done.artifacts,
        facts=done.facts,
    )


def refused(
    request: StageRequest, error: ItemFailure | InvalidInput, started: datetime, finished: datetime
) -> StageResult:
    """The result of an attempt that ended by ``error``, in its work or before it could be set up."""
    if isinstance(error, ItemFailure):
        return _failed(request, error.reason, error.message, started, finished)
    return _failed(request, Reason.INVALID_SPEC, str(error), started, finished)


def _failed(request: StageRequest, reason: Reason, message: str, started: datetime, finished: datetime) -> StageResult:
    return StageResult(
        stage=request.stage,
        attempt=request.attempt,
        succeeded=False,
        reason=reason,
        message=_bounded(message),
        started_at=started,
        finished_at=finished,
    )


def _sentence(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _bounded(message: str) -> str:
    return message if len(message) <= MESSAGE_BYTES else message[: MESSAGE_BYTES - 1] + "…"

"""Termination messages: written so that they are always whole JSON, and read as something that anybody may have forged.

The kubelet keeps 4 KiB of a container's message and 12 KiB of a pod's, and cuts what is longer.
"""

import json
from collections.abc import Iterator
from typing import TypeVar

from isobench.contracts.base import Contract, InvalidInput
from isobench.contracts.pod import PodResult
from isobench.contracts.stage import StageResult
from isobench.contracts.status import StageName

LARGEST_WRITTEN = 2048
LARGEST_READ = 4096

Result = TypeVar("Result", bound=Contract)


def message_of(result: StageResult | PodResult) -> str:
    """``result`` as a message of at most `LARGEST_WRITTEN` bytes; what does not fit is left out, the sentence first."""
    texts = (shorter.model_dump_json(exclude_none=True) for shorter in _ever_shorter(result))
    return next(text for text in texts if len(text.encode()) <= LARGEST_WRITTEN)


def parse(message: str | None, stage: StageName, attempt: int) -> StageResult | str:
    """The result of that attempt; a sentence where the message is missing, cut off, forged or of another attempt."""
    result = _parse(message, StageResult)
    if isinstance(result, str):
        return result
    if (result.stage, result.attempt) != (stage, attempt):
        return f"its message speaks of {result.stage} {result.attempt}, not of {stage} {attempt}"
    if result.succeeded != (result.reason is None):
        return "its message contradicts itself: only what did not succeed has a reason"
    return result


def parse_pod(message: str | None) -> PodResult | str:
    """The result of a command that is no stage, or a sentence."""
    return _parse(message, PodResult)


def _parse(message: str | None, model: type[Result]) -> Result | str:
    if not message:
        return "it left no message"
    if len(message) > LARGEST_READ or len(message.encode(errors="replace")) > LARGEST_READ:
        return f"its message has {len(message)} characters and none of ours has: it is not isobench's"
    try:
        return model.parse(json.loads(message, parse_constant=_refuse), "its message")
    except InvalidInput as error:
        return f"{error}"[:300]
    except (ValueError, RecursionError):
        return "its message is not whole JSON"


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def _ever_shorter(result: StageResult | PodResult) -> Iterator[StageResult | PodResult]:
    yield result
    for length in (800, 400, 200, 100):
        yield _cut(result, length)
    bare = _cut(result, 100).model_copy(update={"facts": {}})
    yield bare
    yield bare.model_copy(update={"artifacts": None} if isinstance(bare, StageResult) else {})


def _cut(result: StageResult | PodResult, length: int) -> StageResult | PodResult:
    message = result.message if len(result.message) <= length else f"{result.message[: length - 1]}…"
    return result.model_copy(update={"message": message})

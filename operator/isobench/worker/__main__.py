"""`isobench-worker COMMAND REQUEST`: does one container's work, and writes how it ended as the termination message."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import (
    Argument,
    CanaryRequest,
    ExportRequest,
    PodRequest,
    PodResult,
    PublishRequest,
    SweepRequest,
)
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.stage import StageResult
from isobench.engine.termination import message_of
from isobench.stages.attempt import refused

Result = StageResult | PodResult

SUCCEEDED, FAILED, BAD_USAGE, TERMINATED = 0, 1, 2, 143
PARTING_SECONDS = 90.0
"""From a stage's own time limit to this process's; the pod's comes later."""


class Command(NamedTuple):
    """What a command is told, and the function that does it: its modules are imported when it is wanted."""

    request: type[Argument]
    module: str
    function: str


COMMANDS: Mapping[str, Command] = {
    "inputs": Command(PodRequest, "isobench.worker.prepare", "inputs"),
    "place": Command(PodRequest, "isobench.worker.prepare", "place"),
    "fetch": Command(PodRequest, "isobench.worker.prepare", "fetch"),
    "build": Command(PodRequest, "isobench.worker.prepare", "build"),
    "generate": Command(PodRequest, "isobench.worker.generate", "generate"),
    "isolate": Command(PodRequest, "isobench.worker.measure", "isolate"),
    "validate": Command(PodRequest, "isobench.worker.measure", "validate"),
    "time": Command(PodRequest, "isobench.worker.measure", "time"),
    "agent": Command(PodRequest, "isobench.worker.agent", "agent"),
    "build-agent": Command(PodRequest, "isobench.worker.agent", "build_agent"),
    "gateway": Command(PodRequest, "isobench.worker.gateway", "gateway"),
    "collect": Command(PodRequest, "isobench.worker.collect", "collect"),
    "export": Command(ExportRequest, "isobench.worker.batch", "export"),
    "publish": Command(PublishRequest, "isobench.worker.batch", "publish"),
    "sweep": Command(SweepRequest, "isobench.worker.sweep", "sweep"),
    "canary": Command(CanaryRequest, "isobench.worker.canary", "canary"),
}

BOUNDED = COMMANDS.keys() - {"gateway"}
"""The gateway serves for as long as its pod works."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when the work is done, 1 when it failed for a reason that the message says, 2 for bad usage."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or [""]
    command = COMMANDS.get(name)
    if command is None or len(rest) != 1:
        sys.stderr.write(f"usage: isobench-worker {'|'.join(COMMANDS)} REQUEST\n")
        return BAD_USAGE
    signal.signal(signal.SIGTERM, _end)  # a container's first process ignores what it does not handle
    os.umask(0o002)
    try:
        request = command.request.parse(_read(rest[0]), "the request")
        work: Callable[[Any], Result] = getattr(import_module(command.module), command.function)
        result = _bounded(work, request) if name in BOUNDED and isinstance(request, PodRequest) else work(request)
    except InvalidInput as error:
        sys.stderr.write(f"isobench-worker {name}: {error}\n")
        return BAD_USAGE
    return _tell(name, request, result)


def _read(argument: str) -> object:
    """The request itself, or the name of the file that holds it."""
    text = argument if argument.lstrip().startswith("{") else Path(argument).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput("the request", [f"is not JSON ({error.msg})"]) from None


def _tell(name: str, request: Any, result: Result) -> int:
    """Say how it ended, last of all: in place, since the file is a mount of its own."""
    sys.stderr.write(f"isobench-worker {name}: {result.message or ('done' if result.succeeded else result.reason)}\n")
    request.places.termination.write_text(message_of(result), encoding="utf-8")
    return SUCCEEDED if result.succeeded else FAILED


def _bounded(work: Callable[[Any], Result], request: PodRequest) -> Result:
    """Let the work fail when the stage's time is up, so that its result is written before the pod is ended."""
    started, seconds = datetime.now(UTC), request.item.deadline_seconds

    def expire(number: int, frame: FrameType | None) -> NoReturn:
        raise ItemFailure(Reason.STAGE_TIMED_OUT, f"it ran past {seconds:g} s")

    signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds + PARTING_SECONDS)
        return work(request)
    except ItemFailure as failure:  # the time was up before the work had begun, or when it had just ended
        return refused(request.item, failure, started, datetime.now(UTC))


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())

"""Starts a process that nobody trusts in its confinement, follows it to its end, and tells how it ended.

The probe's keeper does the work inside the sandbox: it confines the process, watches its bounds and kills what is left.
This side has the clock of its own that ends the keeper too, should it not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from isobench.adapters.files import read_json, write_json
from isobench.adapters.isolation.probe_runner import started
from isobench.adapters.isolation.sandbox import Sandbox
from isobench.contracts.reasons import ItemFailure, Reason

GRACE_SECONDS = 5.0
WRAP_UP_SECONDS = 30.0
MIB = 2**20
RESULT = "keeper.json"
LOG = "keeper.log"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a kept process may take."""

    seconds: float
    grace_seconds: float = GRACE_SECONDS
    memory_bytes: int = 8192 * MIB
    processes: int = 1024
    disk_bytes: int = 4096 * MIB
    output_bytes: int = MIB


@dataclass(frozen=True)
class Kept:
    """What is started, and what it may reach."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    """All of it."""
    directory: Path
    python: Path
    readable: Sequence[Path]
    writable: Sequence[Path]
    stdin: bytes = b""
    sockets: bool = False
    """Whether it may open sockets of every family, not of AF_UNIX only."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a kept process ended; ``stopped`` is the bound by which it was ended."""

    exit_code: int | None
    stopped: str | None
    out_of_time: bool
    left: int
    """Processes of it that still ran when it had ended by itself, and were killed."""
    seconds: float


@dataclass(frozen=True)
class Supervisor:
    """Keeps processes in ``sandbox``; ``archive`` is the zipapp that `build_probe` made."""

    archive: Path
    sandbox: Sandbox

    def run(self, kept: Kept, bounds: Bounds, control: Path) -> Ending:
        """Run ``kept`` to its end; stdout.txt and stderr.txt are in ``control``, which is out of its reach.

        Raises:
            ItemFailure: AGENT_ERROR; the keeper could not confine it, or ended without a result.
        """
        control.mkdir(parents=True, exist_ok=True)
        (control / RESULT).unlink(missing_ok=True)
        request = control / "request.json"
        write_json(request, self._request(kept, bounds, control))
        command = [self.sandbox.python, "-I", str(self.archive), "--keep", str(request)]
        limit = bounds.seconds + bounds.grace_seconds + WRAP_UP_SECONDS
        with (
            (control / LOG).open("wb") as errors,
            started(self.sandbox.wrap(command, bounds.disk_bytes // MIB), errors, limit) as process,
        ):
            exit_code = process.wait()
        return _ending(control, exit_code)

    def _request(self, kept: Kept, bounds: Bounds, control: Path) -> dict[str, object]:
        stdin = control / "stdin"
        if kept.stdin:
            stdin.touch(mode=0o600)
            stdin.write_bytes(kept.stdin)
        return {
            "arguments": list(kept.arguments),
            "environment": dict(kept.environment),
            "directory": str(kept.directory),
            "stdin": str(stdin) if kept.stdin else None,
            "python": str(kept.python),
            "readable": [str(path) for path in kept.readable],
            "writable": [str(path) for path in kept.writable],
            "output": str(control),
            "sockets": kept.sockets,
            **asdict(bounds),
        }


def _ending(control: Path, exit_code: int) -> Ending:
    if not (control / RESULT).exists():
        said = (control / LOG).read_text(encoding="utf-8", errors="replace")[-500:].strip()
        message = f"the agent's keeper ended with exit code {exit_code} and no result: {said or 'it said nothing'}"
        raise ItemFailure(Reason.AGENT_ERROR, message)
    told = read_json(control / RESULT)
    return Ending(told["exit_code"], told["stopped"], told["out_of_time"], told["left"], told["seconds"])

"""External commands: in a given environment, ended with all of their processes, their output kept and bounded."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

GRACE_SECONDS = 5.0
LOG_BYTES = 4 * 2**20
TAIL_BYTES = 2000

_CHUNK_BYTES = 65536

# A shell with a process group of its own waits for the command. Should isobench die, even by SIGKILL, the kernel sends
# the shell SIGUSR1, and it takes the group with it: a parent-death signal of the command's own would end its first
# process only. Not SIGHUP: under nohup that is ignored, and a shell can't trap what was ignored when it started.
_SUPERVISE = """
trap "kill -KILL 0" USR1
trap : TERM
exec 3<&0
"$@" <&3 3<&- &
exec 3<&- </dev/null >/dev/null 2>&1
wait "$!"; code=$?
while kill -0 "$!" 2>/dev/null; do wait "$!"; code=$?; done
exit "$code"
"""
SUPERVISED = ("setpriv", "--pdeathsig", "USR1", "--", "sh", "-c", _SUPERVISE, "isobench-command")
"""Put before a command that is to end when the process that started it does, with its group."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended: ``exit_code`` as a shell gives it (128 + n after signal n), ``tail`` of its output."""

    exit_code: int
    timed_out: bool
    tail: str

    @property
    def succeeded(self) -> bool:
        """Whether it exited 0 within its time."""
        return self.exit_code == 0 and not self.timed_out


class RunCommand(Protocol):
    """How `run_command` is called, for all who don't care where the command runs."""

    def __call__(
        self,
        command: Sequence[str] | str,
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_seconds: float,
        log: Path,
    ) -> CommandResult:
        """Run ``command``, an argument list or text for bash."""


def run_command(
    command: Sequence[str] | str,
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout_seconds: float,
    log: Path,
    grace_seconds: float = GRACE_SECONDS,
    log_bytes: int = LOG_BYTES,
    wrap: Callable[[list[str]], list[str]] = list,
) -> CommandResult:
    """Run ``command`` (an argument list, or text for bash) in ``cwd`` with ``environment`` and nothing else.

    stdout and stderr are appended to ``log``, the first ``log_bytes`` of them; the last `TAIL_BYTES` are returned. At
    the time limit the whole process group gets SIGTERM, and SIGKILL ``grace_seconds`` later. No process of the group is
    left behind in any case. ``wrap`` makes of the command's arguments those of one that runs it elsewhere.
    """
    arguments = wrap(["bash", "-c", command] if isinstance(command, str) else list(command))
    with ExitStack() as opened:
        log_stream = opened.enter_context(log.open("ab"))
        log_stream.write(f"$ {command if isinstance(command, str) else ' '.join(command)}\n".encode())
        output = _Output(log_stream, log_bytes)
        process = _start(arguments, cwd, environment, output)
        opened.callback(os.close, output.pipe)
        ended = os.pidfd_open(process.pid)
        opened.callback(os.close, ended)
        try:
            timed_out = not output.follow(ended, timeout_seconds)
            if timed_out:
                _signal_group(process.pid, signal.SIGTERM)
                output.follow(ended, grace_seconds)
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            exit_code = process.wait()
        output.drain()
    return CommandResult(exit_code if exit_code >= 0 else 128 - exit_code, timed_out, output.tail())


def _start(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], output: "_Output"
) -> subprocess.Popen[bytes]:
    output.pipe, theirs = os.pipe()
    try:
        return subprocess.Popen(
            [*SUPERVISED, *arguments],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(theirs)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


class _Output:
    """A pipe whose beginning goes to a log and whose end is kept in memory."""

    def __init__(self, log: BinaryIO, log_bytes: int) -> None:
        self.pipe = -1
        self._log = log
        self._room = log_bytes
        self._end = b""

    def follow(self, ended: int, seconds: float) -> bool:
        """Take the output until the process of the pidfd ``ended`` ends; False when the time is up first."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ)
            selector.register(self.pipe, selectors.EVENT_READ)
            while (remaining := deadline - time.monotonic()) > 0:
                ready = {key.fd for key, _ in selector.select(remaining)}
                if self.pipe in ready and not self._take(os.read(self.pipe, _CHUNK_BYTES)):
                    selector.unregister(self.pipe)
                if ended in ready:
                    return True
        return False

    def drain(self) -> None:
        """Take what is still in the pipe, without waiting for a process that keeps it open."""
        os.set_blocking(self.pipe, False)
        with suppress(BlockingIOError):
            while self._take(os.read(self.pipe, _CHUNK_BYTES)):
                pass

    def tail(self) -> str:
        return self._end.decode("utf-8", errors="replace").strip()

    def _take(self, chunk: bytes) -> bool:
        self._end = (self._end + chunk)[-TAIL_BYTES:]
        if self._room > 0:
            self._log.write(chunk[: self._room])
            self._room -= len(chunk)
            if self._room <= 0:
                self._log.write(b"\n[isobench: the rest of this command's output is left out]\n")
        return bool(chunk)

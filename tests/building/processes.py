"""Processes of a run: who of them is alive, and when the last of them is gone."""

import os
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def processes_of(folder: Path) -> list[int]:
    """The processes, other than this one, whose arguments, directory or variables name the folder or what is in it."""
    return [pid for pid in _pids() if pid != os.getpid() and os.fsencode(folder) in _description(pid)]


def survivors(folder: Path, seconds: float) -> list[str]:
    """The processes of the folder that are still there after so many seconds; empty as soon as there is none."""
    deadline = time.monotonic() + seconds
    while (pids := processes_of(folder)) and time.monotonic() < deadline:
        with suppress(ProcessLookupError):
            _wait(pids[0], deadline)
    return [_description(pid).decode(errors="replace") for pid in pids]


def _wait(pid: int, deadline: float) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    finally:
        os.close(descriptor)


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _description(pid: int) -> bytes:
    """What is known of a process without asking it; nothing of one that is gone or a zombie."""
    try:
        place = Path("/proc", str(pid))
        return b"\n".join(
            [
                (place / "cmdline").read_bytes(),
                os.fsencode((place / "cwd").readlink()),
                (place / "environ").read_bytes(),
            ]
        )
    except OSError:
        return b""


def found_in(log: Path, pattern: bytes, process: subprocess.Popen[bytes], seconds: float = 120.0) -> str:
    """What ``pattern`` takes of the log that ``process`` writes, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while not (found := re.search(pattern, log.read_bytes())):
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, f"{pattern!r} did not come up in {log}"
        time.sleep(0.05)
    return found[1].decode()

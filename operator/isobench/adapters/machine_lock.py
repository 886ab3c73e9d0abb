"""One timing at a time on this machine, and nothing of isobench builds while it runs.

The lock is `flock` on the kernel's own directory of CPUs: every process of the machine sees the same one, whatever its
user or work root, nothing is written, and a process that dies lets go. Builds share it, a timing has it alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")


@contextmanager
def building() -> Iterator[None]:
    """Hold the machine for a build, an agent or anything else that disturbs a timing; others may build too."""
    with _held(fcntl.LOCK_SH):
        yield


@contextmanager
def timing() -> Iterator[None]:
    """Hold the machine alone; waits until every build and timing of isobench has let go."""
    with _held(fcntl.LOCK_EX):
        yield


@contextmanager
def _held(mode: int) -> Iterator[None]:
    descriptor = os.open(CPUS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)

"""One timing at a time on this machine, and nothing of isobench builds while it runs.

The lock is `flock` on the kernel's own directory of CPUs: every process of the machine sees the same one, whatever its
user or work root, nothing is written, and a process that dies lets go. Builds share it, a timing has it alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isobench.adapters.folder_lock import held

CPUS = Path("/sys/devices/system/cpu")


@contextmanager
def building() -> Iterator[None]:
    """Hold the machine for a build, an agent or anything else that disturbs a timing; others may build too."""
    with held(CPUS, alone=False):
        yield


@contextmanager
def timing() -> Iterator[None]:
    """Hold the machine alone; waits until every build and timing of isobench has let go."""
    with held(CPUS, alone=True):
        yield

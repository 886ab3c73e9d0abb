"""What a child does to itself between fork and exec, so that it can't leave its run."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from typing import Callable, Iterator, NamedTuple, Optional, Sequence, Tuple

from . import kernel, landlock
from .seccomp import Filter

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/nix/store", "/proc", "/sys")
_RANDOM_DEVICES = ("/dev/random", "/dev/urandom")
_DATA_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")


class Reach(NamedTuple):
    """The files and folders that a process gets, beside the system's and its interpreter's."""

    python: str
    readable: Sequence[str]
    writable: Sequence[str]


class Bounds(NamedTuple):
    """What a process may use, and each of its descendants again."""

    cores: Tuple[int, ...]
    memory_bytes: int
    file_bytes: int


class Confinement:
    """What keeps runs in: cores, resource limits, files (Landlock) and system calls (seccomp).

    All that needs memory is made here, before the fork, so that the child has only a few calls to make.
    """

    def __init__(self, reach: Reach, bounds: Bounds, landlock_abi: int, calls: Optional[Filter]) -> None:
        """Landlock ABI 0 and no filter mean that the kernel lacks them."""
        self._cores = bounds.cores
        self._bounds = (
            _bound(resource.RLIMIT_DATA, bounds.memory_bytes),
            _bound(resource.RLIMIT_FSIZE, bounds.file_bytes),
            _bound(resource.RLIMIT_CORE, 0),
        )
        self._abi = landlock_abi
        self._calls = calls
        self._rules = [
            *((path, landlock.READ) for path in _readable(reach) if os.path.exists(path)),
            *((path, landlock.READ | landlock.WRITE) for path in _DATA_DEVICES if os.path.exists(path)),
        ]
        self._writable = reach.writable

    @contextlib.contextmanager
    def prepared(self) -> Iterator[Callable[[], None]]:
        """Yield the call with which a child, forked meanwhile, confines itself for good.

        The writable directories must exist. The call and this raise OSError.
        """
        if not self._abi:
            yield lambda: self._enter(None)
            return
        ruleset = landlock.create_ruleset(
            self._abi, [*self._rules, *((path, landlock.WRITE) for path in self._writable)]
        )
        try:
            yield lambda: self._enter(ruleset)
        finally:
            os.close(ruleset)

    def _enter(self, ruleset: Optional[int]) -> None:
        os.sched_setaffinity(0, self._cores)
        os.umask(0o022)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)  # Python ignores them, and an exec would keep that
        for kind, bound in self._bounds:
            resource.setrlimit(kind, bound)
        kernel.renounce_privileges()
        if ruleset is not None:
            landlock.restrict_self(ruleset)
        if self._calls is not None:
            self._calls.install()


def _bound(kind: int, bound: int) -> Tuple[int, Tuple[int, int]]:
    """A resource limit and its new value, soft and hard: lower than now or as it is."""
    _, hard = resource.getrlimit(kind)
    value = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
    return kind, (value, value)


def _readable(reach: Reach) -> Iterator[str]:
    yield from _SYSTEM
    yield from _RANDOM_DEVICES
    yield from reach.readable
    for executable in (reach.python, os.path.realpath(reach.python)):
        directory = os.path.dirname(executable)
        prefix = os.path.dirname(directory)
        if os.path.basename(directory) == "bin" and prefix != "/":
            yield prefix
        else:
            yield directory

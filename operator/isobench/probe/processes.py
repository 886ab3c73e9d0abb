"""The processes below the probe: reaped as they end, counted and weighed while they run, all killed after a run."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from typing import Dict, Iterator, List, NamedTuple, Tuple

_ANY_KIND_OF_CHILD = 0x40000000  # __WALL: also children that were cloned without an exit signal
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KILL_SECONDS = 10.0


class Process(NamedTuple):
    """One live process as /proc shows it."""

    pid: int
    parent: int
    resident_bytes: int


class Offspring:
    """All descendants of this process, which must be PID 1 of its namespace or have adopted orphans.

    The descriptor `wakeup` becomes readable when one of them ends.
    """

    def __init__(self) -> None:
        """Start to listen for SIGCHLD; once per process."""
        self.wakeup, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # set_wakeup_fd needs a Python handler
        self._is_init = os.getpid() == 1
        self.cpu_seconds = 0.0  # of all that was ever reaped, their own children included

    def reap(self) -> Iterator[Tuple[int, int]]:
        """Yield PID and wait status of every child that has ended, without waiting."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakeup, 65536)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(-1, os.WNOHANG | _ANY_KIND_OF_CHILD)
                if pid == 0:
                    return
                self.cpu_seconds += usage.ru_utime + usage.ru_stime
                yield pid, status

    def any_left(self) -> bool:
        """Whether a descendant is left: since orphans come to this process, none is when it has no child."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _ANY_KIND_OF_CHILD)
        except ChildProcessError:
            return False
        return True

    def live(self) -> List[Process]:
        """List the descendants that run or sleep now."""
        table = _process_table()
        if self._is_init:
            return [process for process in table.values() if process.pid != 1]
        family = {os.getpid()}
        while True:
            grown = family | {process.pid for process in table.values() if process.parent in family}
            if grown == family:
                return [table[pid] for pid in family & table.keys() if pid != os.getpid()]
            family = grown

    def settle(self, seconds: float) -> List[Process]:
        """Give the descendants so many seconds to end by themselves, and list those that did not."""
        deadline = time.monotonic() + seconds
        while True:
            for _ in self.reap():
                pass
            remaining = deadline - time.monotonic()
            if not self.any_left():
                return []
            if remaining <= 0:
                return self.live()
            select.select([self.wakeup], [], [], remaining)

    def kill(self) -> None:
        """Kill and reap every descendant; raises TimeoutError when the kernel can't end them."""
        deadline = time.monotonic() + _KILL_SECONDS
        while self.any_left():
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "processes could not be killed within %.0f s" % _KILL_SECONDS)
            self._signal_all()
            self.settle(0.01)

    def _signal_all(self) -> None:
        if self._is_init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # everything in the namespace but this process, in one step
            return
        for process in self.live():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def memory_bytes(processes: List[Process], limit: int) -> int:
    """Memory that `processes` hold together: resident sizes, and only if these pass `limit` the exact shares.

    Resident sizes count a page once for every process that maps it, so their sum is an upper bound.
    """
    resident = sum(process.resident_bytes for process in processes)
    if resident <= limit:
        return resident
    return sum(_proportional_bytes(process) for process in processes)


def _proportional_bytes(process: Process) -> int:
    try:
        with open("/proc/%d/smaps_rollup" % process.pid, "rb") as rollup:
            shares = [line.split() for line in rollup if line.startswith(b"Pss:")]
    except OSError:
        return process.resident_bytes
    return int(shares[0][1]) * 1024 if shares else 0


def _process_table() -> Dict[int, Process]:
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                state, process = _read_process(int(name))
                if state not in (b"Z", b"X"):
                    table[process.pid] = process
    return table


def _read_process(pid: int) -> Tuple[bytes, Process]:
    with open("/proc/%d/stat" % pid, "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()  # the name before it may hold anything
    return fields[0], Process(pid, int(fields[1]), int(fields[21]) * _PAGE)

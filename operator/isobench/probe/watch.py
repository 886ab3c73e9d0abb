"""Watching a run until it ends or breaks a bound: time, output, memory, processes, scratch space."""

from __future__ import annotations

import os
import select
import time
from typing import NamedTuple

from .capture import Capture
from .failure import ArmFailure
from .processes import Offspring, memory_bytes
from .request import Limits
from .scratch import Scratch

_POLL_SECONDS = 0.25


class Ending(NamedTuple):
    """When the run's first process ended (monotonic seconds) and its exit code (minus a signal's number)."""

    at: float
    exit_code: int


class Watch:
    """One run's watch; the run must have been started just now."""

    def __init__(self, pid: int, capture: Capture, offspring: Offspring, scratch: Scratch, limits: Limits) -> None:
        """Watch `pid` and all its descendants."""
        self._pid = pid
        self._capture = capture
        self._offspring = offspring
        self._scratch = scratch
        self._limits = limits

    def until_end(self) -> Ending:
        """Wait for the first process to end; raises ArmFailure when a bound is broken before."""
        started = time.monotonic()
        deadline, next_poll = started + self._limits.run_seconds, started + _POLL_SECONDS
        while True:
            self._wait(min(deadline, next_poll))
            for pid, status in self._offspring.reap():
                if pid == self._pid:
                    return Ending(time.monotonic(), exit_code(status))
            self.check_output()
            if time.monotonic() >= deadline:
                raise ArmFailure(
                    "RunTimedOut",
                    "the run did not end within %.6g s: make the test shorter or raise limits.run_seconds"
                    % self._limits.run_seconds,
                )
            if time.monotonic() >= next_poll:
                self._check_processes()
                self.check_scratch()
                next_poll = time.monotonic() + _POLL_SECONDS

    def check_output(self) -> None:
        """Raise ArmFailure when the run has printed more than it may."""
        if self._capture.size > self._limits.output_bytes:
            raise ArmFailure(
                "OutputTooLarge",
                "the run printed more than %d bytes: print only the measurement or raise limits.output_bytes"
                % self._limits.output_bytes,
            )

    def check_scratch(self) -> None:
        """Raise ArmFailure when the run holds more on disk and in /dev/shm than it may."""
        used = self._scratch.used_bytes()
        if used > self._limits.scratch_bytes:
            raise ArmFailure(
                "ScratchFull",
                "the run holds %d bytes of scratch space and may hold %d: write less or raise limits.scratch_bytes"
                % (used, self._limits.scratch_bytes),
            )

    def _wait(self, until: float) -> None:
        """Sleep until something ended, something was printed, or the time has come."""
        descriptors = [self._offspring.wakeup, *self._capture.open]
        ready, _, _ = select.select(descriptors, [], [], max(0.0, until - time.monotonic()))
        for descriptor in ready:
            if descriptor != self._offspring.wakeup:
                self._capture.read(descriptor)

    def _check_processes(self) -> None:
        live = self._offspring.live()
        if len(live) > self._limits.processes:
            raise ArmFailure(
                "TooManyProcesses",
                "the run has %d processes and may have %d: start fewer or raise limits.processes"
                % (len(live), self._limits.processes),
            )
        memory = memory_bytes(live, self._limits.memory_bytes)
        if memory > self._limits.memory_bytes:
            raise ArmFailure(
                "OutOfMemory",
                "the run holds %d bytes of memory and may hold %d: use less or raise limits.memory_bytes"
                % (memory, self._limits.memory_bytes),
            )


def exit_code(status: int) -> int:
    """Translate a wait status: the exit status, or minus the number of the signal that ended the process."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

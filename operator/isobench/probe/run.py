"""One run: a fresh process with fresh state, confined, bounded, timed, and cleared away without a rest."""

from __future__ import annotations

import os
import time
from typing import NamedTuple, Optional

from .blocks import Timed
from .capture import Capture
from .confinement import Confinement
from .counters import Event, counting
from .exits import explain_exit
from .failure import ArmFailure
from .launch import Command, launch
from .processes import Offspring
from .protocol import Measurement, parse_output
from .request import Arm, Limits
from .scratch import Scratch
from .watch import Ending, Watch

# What helpers such as multiprocessing's resource tracker need to notice that their parent is gone.
_PARTING_SECONDS = 0.2
_CLOCK_SLACK_MS = 1.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _Ended(NamedTuple):
    printed: str
    wall_ms: float
    cpu_ms: float
    instructions: Optional[int]


class ArmRunner:
    """Runs one arm, and keeps what its last run left to tell."""

    def __init__(
        self,
        arm: Arm,
        confinement: Confinement,
        limits: Limits,
        scratch: Scratch,
        offspring: Offspring,
        event: Optional[Event],
    ) -> None:
        """Bind the bounds; `event` is what to count during a run, None where nothing can be counted."""
        self._arm = arm
        self._confinement = confinement
        self._limits = limits
        self._scratch = scratch
        self._offspring = offspring
        self._event = event
        self.exit_code: Optional[int] = None
        self.output_tail = ""
        self.result_sha256: Optional[str] = None

    def run(self, hash_seed: int, zero: float) -> Timed:
        """Run once; `zero` is the monotonic time when timing began. Raises ArmFailure."""
        start = time.monotonic() - zero
        try:
            ended = self._run_fresh(hash_seed)
        except OSError as error:
            message = "the probe could not run it (%s): see to this machine and try again" % error
            raise ArmFailure("InfrastructureError", message) from error
        measurement = parse_output(ended.printed)
        _check_times(measurement, ended.wall_ms)
        self._check_result(measurement.result_sha256)
        return Timed(measurement, start, ended.wall_ms, ended.cpu_ms, ended.instructions)

    def _run_fresh(self, hash_seed: int) -> _Ended:
        self.exit_code = None
        self._scratch.create()
        capture = Capture()
        try:
            return self._time(self._command(hash_seed), capture)
        finally:
            self._offspring.kill()
            capture.drain(self._limits.output_bytes)
            capture.close()
            self.output_tail = capture.tail
            self._scratch.remove()

    def _time(self, command: Command, capture: Capture) -> _Ended:
        with counting(self._event) as read_count:
            cpu_before, started = self._offspring.cpu_seconds, time.monotonic()
            pid = launch(command, capture, self._confinement)
            watch = Watch(pid, capture, self._offspring, self._scratch, self._limits)
            ending = watch.until_end()
            cpu_seconds = self._offspring.cpu_seconds - cpu_before
            instructions = read_count()
        capture.drain(self._limits.output_bytes)
        self._check_ending(ending, capture)
        watch.check_output()
        watch.check_scratch()
        return _Ended(capture.printed, (ending.at - started) * 1000, cpu_seconds * 1000, instructions)

    def _check_ending(self, ending: Ending, capture: Capture) -> None:
        self.exit_code = ending.exit_code
        if ending.exit_code != 0:
            raise explain_exit(ending.exit_code, capture.tail, self._scratch.directory, self._limits)
        left = self._offspring.settle(_PARTING_SECONDS)
        if left:
            raise ArmFailure(
                "ProcessLeftBehind",
                "the run left %d processes behind when it ended: wait for or stop every process that the test starts"
                % len(left),
            )

    def _command(self, hash_seed: int) -> Command:
        environment = {
            "PATH": os.path.dirname(self._arm.python) + ":" + _PATH,
            "LANG": "C.UTF-8",
            **self._arm.environment,
            **self._scratch.environment,
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return Command([self._arm.python, self._arm.script], environment, self._scratch.working_directory)

    def _check_result(self, digest: Optional[str]) -> None:
        """Compare with the arm's earlier runs: a result that changes can't be compared between arms."""
        if self.result_sha256 is not None and digest not in (None, self.result_sha256):
            raise ArmFailure(
                "ResultUnstable",
                "result_sha256 was %s and is now %s: make the test's result the same in every run"
                % (self.result_sha256[:12], str(digest)[:12]),
            )
        self.result_sha256 = self.result_sha256 or digest


def _check_times(measurement: Measurement, wall_ms: float) -> None:
    """Raise ArmFailure when the run claims more time than passed."""
    claimed = measurement.printed_ms * measurement.iterations
    if claimed > wall_ms + _CLOCK_SLACK_MS:
        raise ArmFailure(
            "TimesContradict",
            "the run printed %.6g ms for %d iterations, %.6g ms in all, but lasted only %.6g ms: print milliseconds "
            "per iteration (avg_ms) or seconds (Execution time), and the true number of iterations"
            % (measurement.printed_ms, measurement.iterations, claimed, wall_ms),
        )

"""The commands of one build: one environment, one log, one deadline; the first that fails ends the build."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.commands import CommandResult, RunCommand
from isobench.contracts.reasons import ItemFailure, Reason

_KILLED = 137  # as a shell tells of SIGKILL
_LAST_CHARACTERS = 700


@dataclass(frozen=True)
class BuildCommands:
    """Runs commands for the build of ``distribution``, until ``deadline`` (of the monotonic clock)."""

    distribution: str
    uv: Path
    variables: Mapping[str, str]
    log: Path
    deadline: float
    run_command: RunCommand

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def run(self, command: Sequence[str] | str, cwd: Path, more: Mapping[str, str] | None = None) -> None:
        """Run one command, with ``more`` variables.

        Raises:
            ItemFailure: it failed or ran out of time: BuildFailed (DiskFull when that is why), with its last lines.
        """
        result = self.attempt(command, cwd, more)
        if not result.succeeded:
            raise self.failure(command, result)

    def attempt(self, command: Sequence[str] | str, cwd: Path, more: Mapping[str, str] | None = None) -> CommandResult:
        """Run one command, however it ends."""
        return self.run_command(
            command,
            cwd=cwd,
            environment={**self.variables, **(more or {})},
            timeout_seconds=self.deadline - time.monotonic(),
            log=self.log,
        )

    def run_uv(self, *arguments: str | Path, cwd: Path, more: Mapping[str, str] | None = None) -> None:
        """Run uv without any configuration file: neither the person's nor one of a folder around the work root."""
        self.run([str(self.uv), *map(str, arguments), "--no-config", "--quiet"], cwd, more)

    def failure(self, command: Sequence[str] | str, result: CommandResult) -> ItemFailure:
        """What a failed ``command`` means for the item."""
        name = command if isinstance(command, str) else " ".join([Path(command[0]).name, *command[1:3]])
        reason, how = _ending(result)
        lines = result.tail[-_LAST_CHARACTERS:] or "it printed nothing"
        return ItemFailure(reason, f"building {self.distribution}: `{name[:120]}` {how}; last lines: {lines}")


def _ending(result: CommandResult) -> tuple[Reason, str]:
    if result.timed_out:
        return Reason.BUILD_FAILED, "was ended at the build's time limit"
    if result.exit_code == _KILLED:
        return Reason.OUT_OF_MEMORY, "was killed, as a rule for its memory: raise environment.resources"
    full = "No space left on device" in result.tail
    return Reason.DISK_FULL if full else Reason.BUILD_FAILED, f"failed (exit {result.exit_code})"

"""The agent `command`: any program that edits the worktree; it is done when it exits 0."""

from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.agents.protocol import AgentCommand, AgentEnd, AgentTask

TASK_FILE = "task.txt"


@dataclass(frozen=True)
class CommandAgent:
    """Runs ``arguments``, which find the task in `ISOBENCH_TASK` and their time in `ISOBENCH_SECONDS`."""

    arguments: tuple[str, ...]

    kind = "command"
    asks_a_model = False

    def missing(self) -> str | None:
        """Nothing: whether the program is there shows when it is started."""
        return None

    def command(self, task: AgentTask) -> AgentCommand:
        """The program; files that its arguments name by absolute paths are readable."""
        written = task.folder / TASK_FILE
        written.write_text(task.text, encoding="utf-8")
        environment = {"ISOBENCH_TASK": str(written), "ISOBENCH_SECONDS": f"{task.timeout_seconds:g}"}
        named = (Path(argument) for argument in self.arguments)
        readable = tuple(path for path in named if path.is_absolute() and path.is_file())
        return AgentCommand(self.arguments, environment, readable=readable)

    def read_end(self, folder: Path, exit_code: int) -> AgentEnd:
        """Done with exit status 0, else not; a negative one is the signal that ended it."""
        if exit_code < 0:
            return AgentEnd("crashed", f"it was ended by signal {-exit_code}")
        return AgentEnd("finished") if exit_code == 0 else AgentEnd("not_finished", f"it exited with {exit_code}")

"""The agent `replay`: applies a patch that was stored before; it is done when the patch applied."""

from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.agents.protocol import AgentCommand, AgentEnd, AgentTask


@dataclass(frozen=True)
class ReplayAgent:
    """Applies ``patch``, as `git apply` takes it."""

    patch: str

    kind = "replay"
    asks_a_model = False

    def missing(self) -> str | None:
        """Nothing."""
        return None

    def command(self, task: AgentTask) -> AgentCommand:
        """Git, with the patch as its input."""
        return AgentCommand(("git", "apply", "--whitespace=nowarn", "-"), stdin=self.patch.encode())

    def read_end(self, folder: Path, exit_code: int) -> AgentEnd:
        """Done when git applied the patch."""
        if exit_code == 0:
            return AgentEnd("finished")
        return AgentEnd("not_finished", "the stored patch does not apply to base")

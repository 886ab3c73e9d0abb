"""How an agent's process ended, as its kind reads it from what the process left."""

from dataclasses import dataclass

from isobench.contracts.attempt import How

__all__ = ["AgentEnd", "How"]


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """How it ended; ``iterations`` is the agent's own count of its steps."""

    how: How
    message: str = ""
    iterations: int = 0

    @property
    def finished(self) -> bool:
        """Whether it said that it was done, as its kind says that."""
        return self.how == "finished"

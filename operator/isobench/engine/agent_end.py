"""How an agent's process ended, in the words that every kind of agent is translated into."""

from dataclasses import dataclass
from typing import Literal

How = Literal[
    "finished",
    "not_finished",
    "stuck",
    "iterations_exhausted",
    "budget_exhausted",
    "timed_out",
    "llm_unauthorized",
    "llm_unavailable",
    "crashed",
]


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

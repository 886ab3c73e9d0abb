"""What an agent is to the stage that runs it: a command line for a task, and how its process ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from isobench.adapters.models.gateway_process import Gateway
from isobench.engine.agent_end import AgentEnd
from isobench.engine.money import Prices

__all__ = ["Agent", "AgentCommand", "AgentEnd", "AgentTask"]


@dataclass(frozen=True, slots=True)
class AgentTask:
    """One task, as an agent is told it."""

    repository: Path
    """Its worktree, and the working directory of its command."""
    folder: Path
    """Its own folder outside the worktree, writable and empty at first: progress, steps, how it ended."""
    text: str
    """The prompt."""
    targets: tuple[str, ...]
    """The files that it may change, relative to the worktree."""
    max_iterations: int
    budget_usd: float
    timeout_seconds: float
    model: str | None = None
    prices: Prices | None = None
    gateway: Gateway | None = None
    """The one way to its model; None for an agent that asks none."""


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """What the supervisor starts."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Additions to the variables that every agent gets."""
    stdin: bytes = b""
    readable: tuple[Path, ...] = ()
    """What it needs beside the worktree, its folder, base's environment and the system."""


class Agent(Protocol):
    """One kind of agent."""

    @property
    def kind(self) -> str:
        """Its name in a specification."""

    @property
    def asks_a_model(self) -> bool:
        """Whether it needs a gateway, and so a model with a price and a key."""

    def missing(self) -> str | None:
        """Why it can't run here, as a sentence; None when it can."""

    def command(self, task: AgentTask) -> AgentCommand:
        """The process that attempts ``task``."""

    def read_end(self, folder: Path, exit_code: int) -> AgentEnd:
        """How the attempt ended, from what it left in its ``folder``; what stands there is the agent's word only."""

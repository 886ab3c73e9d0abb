"""What became of an agent's attempt at an item: one outcome, and everything else that held, with its evidence."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from isobench.contracts.base import Contract

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
"""How an agent's process ended, in the words that every kind of agent is translated into."""


class AgentOutcome(StrEnum):
    """How an attempt ended. Where several hold, the first of this order is the outcome."""

    TAMPERED = "tampered"
    LLM_UNAUTHORIZED = "llm_unauthorized"
    LLM_UNAVAILABLE = "llm_unavailable"
    CRASHED = "crashed"
    BUDGET_EXHAUSTED = "budget_exhausted"
    ITERATIONS_EXHAUSTED = "iterations_exhausted"
    TIMED_OUT = "timed_out"
    STUCK = "stuck"
    NOT_FINISHED = "not_finished"
    OFF_TARGET = "off_target"
    NO_CHANGE = "no_change"
    UNVERIFIED = "unverified"
    SUCCEEDED = "succeeded"


class Finding(Contract):
    """One thing that held of an attempt."""

    outcome: AgentOutcome
    evidence: str


class Assignment(Contract):
    """`prompt.json`: what an agent was given, written before it starts."""

    version: Literal[1] = 1
    attempt: int
    kind: str
    model: str | None = None
    branch: str
    targets: list[str]
    test: str = Field(description="The efficiency test's name in the worktree.")
    max_iterations: int
    budget_usd: float
    timeout_minutes: float
    network: Literal["gateway", "open"] = "gateway"
    estimate_usd: float
    prompt: str


class Ended(Contract):
    """`agent/ended.json`: the paid part of an attempt is over; what follows costs nothing and may be repeated."""

    version: Literal[1] = 1
    how: How
    message: str = ""
    stopped: str | None = Field(default=None, description="The bound by which the supervisor ended it.")
    out_of_time: bool = False
    exit_code: int | None = None
    iterations: int = 0
    seconds: float = 0.0


class Attempt(Contract):
    """`agent/outcome.json`."""

    version: Literal[1] = 1
    attempt: int = 1
    outcome: AgentOutcome
    message: str = Field(description="One sentence for a person.")
    held: list[Finding] = Field(default_factory=list, description="Everything that held, in order of precedence.")
    kind: str
    model: str | None = None
    branch: str
    targets: list[str]
    changed: list[str] = Field(default_factory=list, description="Targets that the patch changes.")
    reverted: list[str] = Field(default_factory=list, description="Changes outside the targets, left out.")
    byproducts: int = Field(default=0, description="Files that git would ignore, left out.")
    iterations: int = 0
    seconds: float = 0.0
    estimate_usd: float = 0.0
    network: Literal["gateway", "open"] = "gateway"

    @property
    def success(self) -> bool:
        """Whether the patch is worth its name; whether it is faster, timing says."""
        return self.outcome is AgentOutcome.SUCCEEDED

    @property
    def worth_building(self) -> bool:
        """Whether there is a patch that nothing speaks against."""
        return self.outcome in (AgentOutcome.SUCCEEDED, AgentOutcome.UNVERIFIED)

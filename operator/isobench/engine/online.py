"""A batch as it is run online: which items an agent attempts, by which model, within which caps."""

from dataclasses import dataclass
from typing import Literal

from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.spec import AgentSpec


@dataclass(frozen=True, slots=True)
class OnlineChoice:
    """What a person asks for beyond the manifest; None leaves it as the manifest says."""

    mode: Literal["offline", "online"] | None = None
    agent_all: bool = False
    """Every commit that doesn't opt out is attempted; without it only those that opt in."""
    max_iterations: int | None = None
    budget_usd: float | None = None
    timeout_minutes: float | None = None


def chosen(batch: CommitBenchmarkBatch, choice: OnlineChoice, model: str | None) -> CommitBenchmarkBatch:
    """``batch`` as it was chosen to run; ``model`` is the configured one, for an agent that names none."""
    template = batch.spec.template
    mode = choice.mode or ("online" if choice.agent_all else template.mode)
    agent = _agent(template.agent, choice)
    if mode == "online" and agent.kind == "openhands":
        agent = agent.model_copy(update={"model": agent.model or model})
    changed = template.model_copy(update={"mode": mode, "agent": agent})
    return batch.model_copy(update={"spec": batch.spec.model_copy(update={"template": changed})})


def _agent(agent: AgentSpec, choice: OnlineChoice) -> AgentSpec:
    caps = {
        "max_iterations": choice.max_iterations,
        "budget_usd": choice.budget_usd,
        "timeout_minutes": choice.timeout_minutes,
    }
    given = {name: value for name, value in caps.items() if value is not None}
    return agent.model_copy(update=given | ({"enabled": True} if choice.agent_all else {}))

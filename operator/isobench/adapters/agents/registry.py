"""The kinds of agents that there are."""

from collections.abc import Callable, Mapping

from isobench.adapters.agents.command import CommandAgent
from isobench.adapters.agents.protocol import Agent
from isobench.adapters.agents.replay import ReplayAgent
from isobench.contracts.spec import AgentSpec


def _openhands(_asked: AgentSpec) -> Agent:
    from isobench.adapters.agents.openhands.adapter import OpenHands

    return OpenHands()


def _command(asked: AgentSpec) -> Agent:
    assert asked.command is not None  # the specification was validated
    return CommandAgent(tuple(asked.command))


def _replay(asked: AgentSpec) -> Agent:
    assert asked.patch is not None  # the specification was validated
    return ReplayAgent(asked.patch)


AGENTS: Mapping[str, Callable[[AgentSpec], Agent]] = {
    "openhands": _openhands,
    "command": _command,
    "replay": _replay,
}


def agent_of(asked: AgentSpec) -> Agent:
    """The agent that ``asked`` names, as it is on this machine."""
    return AGENTS[asked.kind](asked)


def agent_in_image(asked: AgentSpec) -> Agent:
    """The agent that ``asked`` names, as its image has it."""
    if asked.kind != "openhands":
        return agent_of(asked)
    from isobench.adapters.agents.openhands.adapter import OpenHandsInImage

    return OpenHandsInImage()

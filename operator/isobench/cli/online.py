"""The options that choose whether, and within which caps, an agent attempts the items of a run."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from isobench.engine.online import OnlineChoice

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--mode",
        type=click.Choice(["offline", "online"]),
        help="online lets agents attempt the commits that opt in; as the manifest says by default.",
    ),
    click.option("--agent-all", is_flag=True, help="Online, and an agent attempts every commit that doesn't opt out."),
    click.option("--iterations", type=click.IntRange(min=1), help="Cap on one agent's steps."),
    click.option(
        "--budget-usd",
        type=click.FloatRange(min=0),
        help="Cap on one agent in dollars; `plan --budget-usd` caps the batch.",
    ),
    click.option("--timeout-min", type=click.FloatRange(min=0, min_open=True), help="Cap on one agent in minutes."),
)


def options(command: Command) -> Command:
    """The options; the command gets them as keyword arguments, for `choice`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choice(
    mode: Any, agent_all: bool, iterations: int | None, budget_usd: float | None, timeout_min: float | None
) -> OnlineChoice:
    """What was chosen.

    Raises:
        UsageError: every commit is to be attempted, offline.
    """
    if agent_all and mode == "offline":
        raise click.UsageError("--agent-all needs --mode=online: offline no agent runs")
    return OnlineChoice(mode, agent_all, iterations, budget_usd, timeout_min)

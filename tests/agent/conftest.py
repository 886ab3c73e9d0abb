"""One warm process with the SDK for a worker's tests, and the fixture that has a conversation."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest

from agent.conversing import IMPATIENT, Attempt, Warm, converse, prepared
from isobench.adapters.agents.openhands.adapter import OpenHands
from isobench.contracts.configuration import Price
from llmserver.metered import PRICE
from llmserver.server import Script

Talk = Callable[..., Attempt]


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    agent = OpenHands()
    missing = agent.missing()
    if missing is not None:
        pytest.fail(missing)
    assert agent.python is not None
    process = Warm(agent.python)
    yield process
    process.close()


@pytest.fixture
def talk(warm: Warm, tmp_path: Path) -> Iterator[Talk]:
    """Has a conversation that follows a script, and gives what it left while provider and gateway still run."""
    with ExitStack() as opened:

        def have(
            script: Callable[[Attempt], Script],
            *,
            max_iterations: int = 10,
            cap: float = 1.0,
            timeout: float = 20.0,
            max_calls: int | None = None,
            price: Price = PRICE,
            stream: bool = False,
            api: Literal["auto", "chat", "responses"] = "auto",
        ) -> Attempt:
            setting = prepared(tmp_path, warm, script, cap=cap, timeout=timeout, max_calls=max_calls, price=price)
            attempt = opened.enter_context(setting)
            converse(attempt, OpenHands(retries=IMPATIENT, stream=stream, api=api), max_iterations, cap)
            return attempt

        yield have

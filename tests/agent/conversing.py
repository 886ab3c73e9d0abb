"""One OpenHands conversation with a scripted provider, through the real gateway, and what it left."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from isobench.adapters.agents.openhands.adapter import CHILD_ENVIRONMENT, OpenHands, Retries
from isobench.adapters.agents.openhands.bootstrap import PACKAGE
from isobench.adapters.agents.protocol import AgentCommand, AgentEnd, AgentTask
from isobench.adapters.models.gateway_process import Gateway, running_gateway
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.configuration import Price
from isobench.engine.money import Answer, Balance, Intent, Prices, Usage, balance
from llmserver import ModelServer, Says, running_model
from llmserver.metered import PRICE, settings_for
from llmserver.server import Script

IMPATIENT = Retries(times=2, min_seconds=0, max_seconds=0)
TARGET = "fast.py"


class Warm:
    """The process that forks conversations; ``pid`` is the last one's."""

    def __init__(self, python: Path) -> None:
        command = [python, "-I", Path(__file__).with_name("warm.py"), PACKAGE.parent]
        environment = {**CHILD_ENVIRONMENT, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self.pid = 0
        assert self._line() == "ready"

    def run(self, command: AgentCommand, directory: Path, own: Path) -> int:
        """Do what the supervisor would do with ``command``; its exit status, negative after a signal."""
        home = own / "home"
        home.mkdir()
        (own / "stdin").write_bytes(command.stdin)
        request = {
            "environment": {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), **command.environment},
            "directory": str(directory),
            **{name: str(own / name) for name in ("stdin", "stdout", "stderr")},
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self.pid = int(self._line())
        return int(self._line())

    def kill(self) -> None:
        """Kill the conversation that runs."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the warm process died: see its stderr"
        return line.strip()


@dataclass
class Attempt:
    """An attempt's surroundings before it starts, and its outcome afterwards."""

    root: Path
    ledger: Path
    provider: ModelServer
    gateway: Gateway
    warm: Warm
    price: Price = PRICE
    ended: list[AgentEnd] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def folder(self) -> Path:
        return self.root / "own"

    @property
    def target(self) -> Path:
        return self.repository / TARGET

    @property
    def end(self) -> AgentEnd:
        return self.ended[-1]

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "steps.jsonl").read_text().splitlines()]

    @property
    def progress(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "progress.json").read_text()))

    @property
    def balance(self) -> Balance:
        return balance(read_entries(self.ledger))

    @property
    def intents(self) -> list[Intent]:
        return [entry for entry in read_entries(self.ledger) if isinstance(entry, Intent)]

    @property
    def answers(self) -> list[Answer]:
        return [entry for entry in read_entries(self.ledger) if isinstance(entry, Answer)]

    @property
    def provider_charged(self) -> Decimal:
        """Dollars at list prices by the provider's own books."""
        prices = Prices.of(self.price)
        return sum((prices.cost(_tokens(says)) for says in self.provider.books), Decimal(0))

    def task(self, max_iterations: int, budget_usd: float) -> AgentTask:
        return AgentTask(
            repository=self.repository,
            folder=self.folder,
            text=f"Make {TARGET} faster.",
            targets=(TARGET,),
            max_iterations=max_iterations,
            budget_usd=budget_usd,
            timeout_seconds=120,
            model="m",
            prices=Prices.of(self.price),
            gateway=self.gateway,
        )


def _tokens(says: Says) -> Usage:
    return Usage(says.prompt_tokens, says.completion_tokens, says.cached_tokens, says.reasoning_tokens)


@contextmanager
def prepared(
    root: Path,
    warm: Warm,
    script: Callable[[Attempt], Script],
    *,
    cap: float = 1.0,
    timeout: float = 20.0,
    max_calls: int | None = None,
    ledger: Path | None = None,
    price: Price = PRICE,
) -> Iterator[Attempt]:
    """A repository, a gateway, and a provider behind it that follows the ``script`` made for the attempt."""
    book, socket = ledger or root / "ledger.jsonl", root / "gateway.sock"
    repository = root / "repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)
    (repository / TARGET).write_text("total = sum(list(range(10)))\n")
    (root / "own").mkdir()
    with running_model([Says()]) as provider:
        settings = settings_for(provider.base_url, book, cap, timeout, socket=socket, max_calls=max_calls, price=price)
        with running_gateway(settings, root / "gateway.log") as gateway:
            attempt = Attempt(root, book, provider, gateway, warm, price)
            provider.script[:] = script(attempt)
            yield attempt


def converse(attempt: Attempt, agent: OpenHands, max_iterations: int = 10, budget_usd: float = 1.0) -> AgentEnd:
    """Have the conversation to its end, as the supervisor does."""
    command = agent.command(attempt.task(max_iterations, budget_usd))
    exit_code = attempt.warm.run(command, attempt.repository, attempt.folder)
    attempt.ended.append(agent.read_end(attempt.folder, exit_code))
    return attempt.end

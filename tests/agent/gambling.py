"""Conversations that nobody planned: a provider that answers at random, processes that are killed, the books after."""

import json
import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from agent.conversing import IMPATIENT, TARGET, Attempt, Warm, converse, prepared
from isobench.adapters.agents.openhands.adapter import OpenHands
from isobench.adapters.models.ledger import read_entries
from isobench.engine.money import Intent, balance
from llmserver import Asked, Breaks, Fails, Garbage, Reply, Says
from llmserver.server import Script

MOST_ITERATIONS = 6
CAPS_USD = (0.05, 0.1, 0.15, 0.2, 0.3, 0.6)
"""The first call reserves about six cents: the smallest is not enough for it, the largest for every conversation."""

LIES: Sequence[dict[str, int] | None] = (None, {"prompt_tokens": 0}, {"prompt_tokens": -7, "completion_tokens": -7})


@dataclass(frozen=True)
class Played:
    """One conversation, or two where the first was killed: how they ended and what everybody's books say."""

    seed: int
    ends: tuple[str, ...]
    killed: str
    cap_usd: Decimal
    asked: int
    intents: int
    provider_usd: Decimal
    ledger_usd: Decimal

    @property
    def overspent_usd(self) -> Decimal:
        """What the provider charges beyond the cap, at list prices."""
        return max(Decimal(0), self.provider_usd - self.cap_usd)

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        problems = {
            "the provider charges more than the cap": self.overspent_usd > 0,
            "the ledger charges more than the cap": self.ledger_usd > self.cap_usd,
            "the provider charges more than the ledger": self.provider_usd > self.ledger_usd,
            "a call was made without an intent": self.asked > self.intents,
        }
        return [problem for problem, true in problems.items() if true]


def play(seed: int, warm: Warm, root: Path, *, kill: bool = False) -> Played:
    """Have the conversation of ``seed``; after a kill, go on with another one on the same ledger and cap."""
    luck = random.Random(seed)
    cap = luck.choice(CAPS_USD) if not kill else max(CAPS_USD)
    victim = luck.choice(("conversation", "gateway")) if kill else ""
    ledger = root / "ledger.jsonl"
    attempts = []
    for life in range(2 if kill else 1):
        agent = OpenHands(retries=IMPATIENT, stream=luck.random() < 0.5, api=luck.choice(("chat", "responses")))
        script = answers_by(luck, victim if life == 0 else "", luck.randint(1, 3))
        (root / str(life)).mkdir()
        with prepared(root / str(life), warm, script, cap=cap, ledger=ledger) as attempt:
            converse(attempt, agent, MOST_ITERATIONS, cap)
            attempts.append(attempt)
    entries = read_entries(ledger)
    return Played(
        seed=seed,
        ends=tuple(attempt.end.how for attempt in attempts),
        killed=victim,
        cap_usd=Decimal(str(cap)),
        asked=sum(len(attempt.provider.asked) for attempt in attempts),
        intents=sum(isinstance(entry, Intent) for entry in entries),
        provider_usd=sum((attempt.provider_charged for attempt in attempts), Decimal(0)),
        ledger_usd=balance(entries).charged_usd,
    )


def answers_by(luck: random.Random, victim: str, deadly: int) -> Callable[[Attempt], Script]:
    """A provider that answers by ``luck``, and kills the ``victim`` while it answers request number ``deadly``."""

    def script(attempt: Attempt) -> Script:
        def answer(asked: Asked) -> Reply:
            number = len(attempt.provider.asked)
            if victim and number < deadly:
                return _counted(luck, asked, Says.tool("think", thought=f"{number}"))
            if victim and number == deadly:
                with suppress(ProcessLookupError):
                    os.kill(attempt.gateway.pid if victim == "gateway" else attempt.warm.pid, signal.SIGKILL)
            return _reply(luck, asked, attempt.repository)

        return [answer]

    return script


def _reply(luck: random.Random, asked: Asked, repository: Path) -> Reply:
    says = _counted(luck, asked, _act(luck, repository))
    kind = luck.choices(("says", "lies", "fails", "breaks", "garbage"), (30, 3, 3, 1, 1))[0]
    if kind == "fails":
        return Fails(luck.choice((429, 500, 503)))
    if kind == "breaks":
        return Breaks(says)
    if kind == "garbage":
        return Garbage(luck.randbytes(luck.randint(0, 500)), answer=says)
    return says if kind == "says" else _replaced(says, usage=luck.choice(LIES))


def _act(luck: random.Random, repository: Path) -> Says:
    edit = {"command": "create", "path": str(repository / TARGET), "file_text": f"total = {luck.random()}\n"}
    return luck.choice(
        (
            Says.tool("think", thought="hm " * luck.randint(1, 2_000)),
            Says.tool("terminal", command=f"head -c {luck.randint(1, 20_000)} /dev/zero | tr '\\0' é"),
            Says.tool("file_editor", **edit),
            Says.tool("unknown_tool", x=luck.random()),
            Says.finish("done"),
        )
    )


def _counted(luck: random.Random, asked: Asked, says: Says) -> Says:
    """With tokens as an honest provider counts them: as many as the request and its limit allow, at most."""
    size = len(json.dumps(asked.body, separators=(",", ":"), ensure_ascii=False).encode())
    limits = ("max_completion_tokens", "max_tokens", "max_output_tokens")
    most = min(int(asked.body[name]) for name in limits if name in asked.body)
    prompt = size + 500 if luck.random() < 0.1 else size // luck.randint(2, 6)
    completion = most if luck.random() < 0.3 else luck.randint(1, most)
    cached = luck.randint(0, prompt) if luck.random() < 0.3 else 0
    return _replaced(says, prompt_tokens=prompt, completion_tokens=completion, cached_tokens=cached)


def _replaced(says: Says, **changes: Any) -> Says:
    return Says(**{**vars(says), **changes})

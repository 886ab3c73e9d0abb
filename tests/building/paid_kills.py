"""Paid attempts whose supervisor is killed at drawn instants and started again, and what each of them came to."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from building.attempts import AttemptBench
from building.paid import CALLS, CAP_USD, PRICE, Paying
from building.processes import survivors
from building.swift_history import SwiftHistory
from isobench.adapters.files import read_model
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.engine.money import Prices, Usage, balance
from isobench.stages.agent import LEDGER
from llmserver import ModelServer, Says, running_model

SPAWN = multiprocessing.get_context("spawn")
ANSWER = Says("go on", prompt_tokens=1000, completion_tokens=50)
ANSWER_USD = Prices.of(PRICE).cost(Usage(1000, 50))
SECONDS_TO_DIE = 20.0


@dataclass(frozen=True)
class PaidKill:
    """One SIGKILL: when, how far the attempt was, what it came to, and what is wrong with that."""

    seconds: float
    begun: bool
    calls: int
    """Calls that the provider had got by then."""
    ended: str
    charged_usd: Decimal
    provided_usd: Decimal
    wrong: list[str]


def attempt(paying: Paying, kill_after: float | None = None) -> StageResult | None:
    """The attempt in a process of its own, killed so many seconds after its start; its result, if it came to one."""
    result = paying.bench.folder / "result.json"
    result.unlink(missing_ok=True)
    fresh = replace(paying, bench=replace(paying.bench))  # as it was made: nothing of this process goes along
    process = SPAWN.Process(target=fresh.attempt, args=(result,))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return read_model(result, StageResult) if result.exists() else None


def charged(paying: Paying) -> Decimal:
    """What the item's ledger charges."""
    return balance(read_entries(paying.bench.workspace.ledger() / LEDGER)).charged_usd


def kills(folder: Path, swift: SwiftHistory, count: int, seed: int) -> Iterator[PaidKill]:
    """So many kills at instants drawn over the length of an attempt, each on an item of its own."""
    draw, length = random.Random(seed), _length(folder / "whole", swift)
    for number in range(count):
        yield _strike(AttemptBench(folder / str(number), swift), draw.uniform(0, length))


def _length(folder: Path, swift: SwiftHistory) -> float:
    bench = AttemptBench(folder, swift)
    bench.prepare()
    with running_model([ANSWER]) as provider:
        started = time.monotonic()
        attempt(Paying(bench, provider.base_url))
        return time.monotonic() - started


def _strike(bench: AttemptBench, seconds: float) -> PaidKill:
    bench.prepare()
    with running_model([ANSWER]) as provider:
        paying = Paying(bench, provider.base_url)
        attempt(paying, seconds)
        left = survivors(bench.folder, SECONDS_TO_DIE)
        begun, calls = (bench.workspace.ledger() / "agent-1.started").exists(), len(provider.asked)
        resumed, again = attempt(paying), attempt(paying)
        assert resumed is not None
        assert again is not None
        wrong = [f"still alive: {process}" for process in left]
        wrong += _findings(paying, provider, resumed, calls if begun else CALLS)
        if (again.reason, again.facts, again.cost) != (resumed.reason, resumed.facts, resumed.cost):
            wrong.append(f"started once more it tells {again.reason} {again.cost}")
    provided = ANSWER_USD * len(provider.books)
    ended = str(resumed.reason or resumed.facts["agent"])
    return PaidKill(seconds, begun, calls, ended, charged(paying), provided, wrong)


def _findings(paying: Paying, provider: ModelServer, ended: StageResult, expected: int) -> Iterator[str]:
    """What is wrong: it is made at most once, and charged for at least what the provider gave, within the cap."""
    if len(provider.asked) != expected:
        yield f"the provider was asked {len(provider.asked)} times, not {expected}"
    if not (ended.succeeded or ended.reason is Reason.ALREADY_STARTED):
        yield f"it ended by {ended.reason}: {ended.message}"
    if not ANSWER_USD * len(provider.books) <= charged(paying) <= Decimal(str(CAP_USD)):
        yield f"it is charged ${charged(paying)}"
    if ended.cost is None or Decimal(str(ended.cost.measured_usd)) != charged(paying):
        yield f"it tells the cost {ended.cost}"

"""Paid attempts whose supervisor is killed at drawn instants and started again, and what each of them came to."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path

from building.attempts import AttemptBench, Pair
from building.paid import CALLS, CAP_USD, PRICE, Paying
from building.processes import survivors
from building.swift_history import SwiftHistory
from isobench.adapters.files import read_model
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.engine.money import Prices, Usage, balance
from llmserver import Hangs, ModelServer, Says, running_model

SPAWN = multiprocessing.get_context("spawn")
ANSWER = Says("go on", prompt_tokens=20, completion_tokens=50)
ANSWER_USD = Prices.of(PRICE).cost(Usage(20, 50))
SECONDS_TO_BEGIN = 120.0
SECONDS_TO_DIE = 20.0


@dataclass(frozen=True)
class PaidKill:
    """One SIGKILL: when, how far the attempt was, what it came to, and what is wrong with that."""

    instant: str
    begun: bool
    calls: int
    """Calls that the provider had got by then."""
    ended: str
    charged_usd: Decimal
    provided_usd: Decimal
    wrong: list[str]


def start(paying: Paying) -> BaseProcess:
    """The attempt in a process of its own."""
    fresh = replace(paying, bench=replace(paying.bench))  # as it was made: nothing of this process goes along
    process = SPAWN.Process(target=fresh.attempt, args=(_result_of(paying),))
    process.start()
    return process


def attempt(paying: Paying) -> StageResult:
    """The attempt to its end."""
    _result_of(paying).unlink(missing_ok=True)
    start(paying).join()
    return read_model(_result_of(paying), StageResult)


def kill(process: BaseProcess) -> None:
    """Kill it, alone, and wait for its end."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()


def _result_of(paying: Paying) -> Path:
    return paying.bench.folder / "result.json"


def charged(paying: Paying) -> Decimal:
    """What the item's ledger charges."""
    return balance(read_entries(paying.bench.workspace.agent_ledger)).charged_usd


def kills(folder: Path, swift: SwiftHistory, count: int, seed: int) -> Iterator[PaidKill]:
    """So many kills, each on an item of its own: in turn while a call is answered, and at any instant of an attempt."""
    draw, length = random.Random(seed), _length(folder / "whole", swift)
    for number in range(count):
        bench = AttemptBench(folder / str(number), Pair.of_swift(swift))
        bench.prepare()
        if number % 2:
            yield _strike_at(bench, draw.uniform(0, length))
        else:
            yield _strike_in_call(bench, draw.randint(1, CALLS))


def _length(folder: Path, swift: SwiftHistory) -> float:
    bench = AttemptBench(folder, Pair.of_swift(swift))
    bench.prepare()
    with running_model([ANSWER]) as provider:
        started = time.monotonic()
        attempt(Paying(bench, provider.base_url))
        return time.monotonic() - started


def _strike_at(bench: AttemptBench, seconds: float) -> PaidKill:
    with running_model([ANSWER]) as provider:
        paying = Paying(bench, provider.base_url)
        process = start(paying)
        process.join(seconds)
        kill(process)
        return _followed(paying, provider, f"{seconds:.3f} s")


def _strike_in_call(bench: AttemptBench, call: int) -> PaidKill:
    """The call's answer is held back until the kill has come."""
    held = Hangs(answer=ANSWER)
    with running_model([*[ANSWER] * (call - 1), held, ANSWER]) as provider:
        paying = Paying(bench, provider.base_url)
        process = start(paying)
        assert held.reached.wait(SECONDS_TO_BEGIN), f"call {call} was never made"
        kill(process)
        try:
            return _followed(paying, provider, f"in call {call}")
        finally:
            held.until.set()


def _followed(paying: Paying, provider: ModelServer, instant: str) -> PaidKill:
    """What comes of an attempt that was killed, when it is started again, and once more."""
    left = survivors(paying.bench.folder, SECONDS_TO_DIE)
    begun, calls = (paying.bench.workspace.ledger() / "agent-1.started").exists(), len(provider.asked)
    resumed, again = attempt(paying), attempt(paying)
    wrong = [f"still alive: {process}" for process in left]
    wrong += _findings(paying, provider, resumed, calls if begun else CALLS)
    if (again.reason, again.facts, again.cost) != (resumed.reason, resumed.facts, resumed.cost):
        wrong.append(f"started once more it tells {again.reason} {again.cost}")
    provided = ANSWER_USD * len(provider.books)
    ended = str(resumed.reason or resumed.facts["agent"])
    return PaidKill(instant, begun, calls, ended, charged(paying), provided, wrong)


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

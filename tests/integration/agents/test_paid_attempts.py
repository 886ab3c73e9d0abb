"""A paid attempt is made once at most and charged once, whenever its supervisor is killed; the key stays put."""

import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from building.attempts import TARGET, AttemptBench
from building.paid import CALLS, CAP_USD, PRICE, Paying
from building.processes import survivors
from isobench.adapters.files import read_model
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.engine.money import Prices, Usage, balance
from isobench.stages.agent import LEDGER
from llmserver import Says, running_model

SPAWN = multiprocessing.get_context("spawn")
ANSWER = Says("go on", prompt_tokens=1000, completion_tokens=50)
ANSWER_USD = Prices.of(PRICE).cost(Usage(1000, 50))
KILLS = int(os.environ.get("ISOBENCH_AGENT_KILLS", "5"))
SECONDS_TO_DIE = 20.0


@pytest.fixture
def provider():
    with running_model([ANSWER]) as model:
        yield model


@pytest.fixture
def paying(bench, provider):
    bench.prepare()
    return Paying(bench, provider.base_url)


def attempt(paying, kill_after=None):
    """The attempt in a process of its own, killed so many seconds after its start; its result, if it came to one."""
    result = paying.bench.folder / "result.json"
    result.unlink(missing_ok=True)
    fresh = replace(paying, bench=replace(paying.bench))  # as it was made: nothing of this process goes along
    process = SPAWN.Process(target=fresh.attempt, args=(result,))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    return read_model(result, StageResult) if result.exists() else None


def charged(paying):
    return balance(read_entries(paying.bench.workspace.ledger() / LEDGER)).charged_usd


def test_an_attempt_pays_for_its_calls_and_not_a_cent_more(paying, provider):
    ended = attempt(paying)
    assert (ended.succeeded, ended.facts) == (True, {"agent": "unverified"})
    assert len(provider.asked) == CALLS
    assert charged(paying) == CALLS * ANSWER_USD
    assert Decimal(str(ended.cost.measured_usd)) == CALLS * ANSWER_USD
    assert (ended.cost.prompt_tokens, ended.cost.completion_tokens) == (CALLS * 1000, CALLS * 50)
    assert 0 < ended.cost.estimate_usd <= CAP_USD
    assert paying.bench.outcome.changed == [TARGET]


def test_the_key_is_in_nothing_that_it_left(paying, provider):
    attempt(paying)
    assert {asked.headers["Authorization"] for asked in provider.asked} == {f"Bearer {paying.key}"}
    files = [path for path in paying.bench.folder.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if paying.key.encode() in path.read_bytes()] == []


def test_killed_at_any_instant_it_resumes_and_is_charged_once(tmp_path, swift):
    draw = random.Random(5)
    length = None
    for number in range(KILLS + 1):
        bench = AttemptBench(tmp_path / str(number), swift)
        bench.prepare()
        with running_model([ANSWER]) as provider:
            paying = Paying(bench, provider.base_url)
            started = time.monotonic()
            killed = attempt(paying, None if length is None else draw.uniform(0, length))
            length = length or time.monotonic() - started
            assert survivors(bench.folder, SECONDS_TO_DIE) == []
            begun = (bench.workspace.ledger() / "agent-1.started").exists()
            expected = len(provider.asked) if begun else CALLS
            resumed = attempt(paying)
            again = attempt(paying)
            assert len(provider.asked) == expected, "what was begun is not repeated"
        check(paying, provider, killed or resumed)
        assert (again.reason, again.facts, again.cost) == (resumed.reason, resumed.facts, resumed.cost)


def check(paying, provider, ended):
    """It ended well, or was begun before; and the ledger charges at least what the provider does, within the cap."""
    assert ended.succeeded or ended.reason is Reason.ALREADY_STARTED, ended.message
    provided = sum((Prices.of(PRICE).cost(Usage(1000, 50)) for _ in provider.books), Decimal(0))
    assert provided <= charged(paying) <= Decimal(str(CAP_USD))
    assert Decimal(str(ended.cost.measured_usd)) == charged(paying)
    if ended.succeeded:
        assert charged(paying) == CALLS * ANSWER_USD

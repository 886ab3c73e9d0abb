"""The timing protocol on simulated runs: order, looks, stops, dropped arms, and the clock."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isobench.probe.blocks import (
    FEWEST_PAIRS,
    Outcome,
    Schedule,
    Timed,
    draw_block,
    fit_arms,
    log_ratios,
    time_blocks,
    time_once,
)
from isobench.probe.failure import ArmFailure
from isobench.probe.protocol import Measurement
from isobench.probe.statistics import LOOKS, MIN_PAIRS

ALL = ("base", "head", "main", "agent", "control")
arm_sets = st.sets(st.sampled_from(ALL[2:])).map(lambda others: ("base", "head", *sorted(others)))


class Simulation:
    """A world in which a run of an arm takes its seconds and prints what ``prints`` says."""

    def __init__(self, seconds: dict[str, float], prints: Callable[[str, int], float]) -> None:
        self.now = 1000.0
        self.runs: list[str] = []
        self.blocks: list[int] = []
        self.seconds = seconds
        self.prints = prints

    def run(self, arm: str, hash_seed: int) -> Timed:
        self.now += self.seconds[arm]
        self.runs.append(arm)
        printed = self.prints(arm, self.runs.count(arm))
        return Timed(Measurement(printed, 0.001, 1, None), self.now, printed, printed, None)

    def time(self, schedule: Schedule) -> Outcome:
        return time_blocks(schedule, self.run, lambda: self.now, lambda block, look: self.blocks.append(block))


def schedule(arms: tuple[str, ...] = ("base", "head"), **changes: Any) -> Schedule:
    primary = tuple(("base", arm) for arm in ("head", "agent") if arm in arms)
    return Schedule(1, arms, primary, 1, 10, 160, 0.01, 0.02, 3600.0)._replace(**changes)


def noisy(ratio: float, spread: float, seed: int = 1) -> Callable[[str, int], float]:
    draw = random.Random(seed)
    return lambda arm, run: 10 * (ratio if arm == "base" else 1) * math.exp(draw.gauss(0, spread))


def same_speed(arm: str, run: int) -> float:
    return 10.0


@given(st.integers(), st.integers(-5, 200), arm_sets)
def test_a_block_is_every_arm_once_and_follows_from_the_seed(seed: int, block: int, arms: tuple[str, ...]) -> None:
    order, hash_seed = draw_block(seed, block, arms)
    assert sorted(order) == sorted(arms)
    assert 0 < hash_seed < 2**32
    assert draw_block(seed, block, arms) == (order, hash_seed)


def test_every_order_comes_up_about_equally_often() -> None:
    first = sum(draw_block(7, block, ("base", "head"))[0][0] == "base" for block in range(1000))
    assert 430 < first < 570


def test_hash_seeds_differ_between_blocks() -> None:
    assert len({draw_block(7, block, ALL)[1] for block in range(-1, 160)}) == 161


def test_a_recorded_seed_gives_this_very_order_for_ever() -> None:
    assert draw_block(20, 0, ALL) == (["agent", "head", "main", "base", "control"], 1143447983)


@given(arm_sets, st.integers(0, 3), st.integers(0, 2**32))
def test_samples_are_whole_blocks_in_the_drawn_order(arms: tuple[str, ...], warmup: int, seed: int) -> None:
    simulation = Simulation(dict.fromkeys(arms, 0.1), noisy(1.0, 0.3))
    outcome = simulation.time(schedule(arms, warmup=warmup, max_pairs=12, seed=seed))
    blocks = list(dict.fromkeys(sample.block for sample in outcome.samples))
    assert blocks == list(range(-warmup, len(blocks) - warmup))
    for block in blocks:
        held = [sample for sample in outcome.samples if sample.block == block]
        assert [sample.arm for sample in held] == draw_block(seed, block, arms)[0]
        assert [sample.position for sample in held] == list(range(len(arms)))


@given(st.sampled_from([1.0, 1.01, 1.05, 1.5]), st.sampled_from([0.001, 0.05, 0.3]), st.integers(0, 99))
@settings(max_examples=60)
def test_looks_are_taken_at_fixed_counts_only(ratio: float, spread: float, seed: int) -> None:
    outcome = Simulation({"base": 0.1, "head": 0.1}, noisy(ratio, spread, seed)).time(schedule())
    assert [look.pairs for look in outcome.looks] == list(LOOKS[: len(outcome.looks)])
    assert outcome.stop in ("Precise", "Same", "MaxPairs")
    assert max(sample.block for sample in outcome.samples) + 1 == outcome.looks[-1].pairs


def test_equal_arms_stop_as_the_same() -> None:
    outcome = Simulation({"base": 0.1, "head": 0.1}, noisy(1.0, 0.002)).time(schedule())
    assert (outcome.stop, outcome.looks[-1].pairs) == ("Same", 10)


def test_noise_that_never_settles_goes_on_to_the_limit() -> None:
    outcome = Simulation({"base": 0.1, "head": 0.1}, noisy(1.0, 0.5)).time(schedule(max_pairs=30))
    assert (outcome.stop, outcome.looks[-1].pairs) == ("MaxPairs", 30)


def test_every_primary_comparison_must_settle() -> None:
    rough = noisy(1.0, 0.5)
    outcome = Simulation(
        dict.fromkeys(("base", "head", "agent"), 0.1), lambda arm, run: rough(arm, run) if arm == "agent" else 10.0
    ).time(schedule(("base", "head", "agent"), max_pairs=20))
    assert outcome.stop == "MaxPairs"


@pytest.mark.parametrize("restless", ["main", "control"])
def test_main_and_control_never_prolong(restless: str) -> None:
    rough = noisy(1.0, 0.5)
    arms = ("base", "head", restless)
    outcome = Simulation(dict.fromkeys(arms, 0.1), lambda arm, run: rough(arm, run) if arm == restless else 10.0).time(
        schedule(arms)
    )
    assert (outcome.stop, len(outcome.looks)) == ("Same", 1)
    assert outcome.looks[0].comparisons[f"base:{restless}"] is not None


def test_zeros_have_no_ratio_and_settle_nothing() -> None:
    outcome = Simulation({"base": 0.1, "head": 0.1}, lambda arm, run: 0.0).time(schedule(max_pairs=10))
    assert outcome.stop == "MaxPairs"
    assert outcome.looks[0].comparisons == {"base:head": None}
    assert log_ratios(outcome.samples, "base", "head") == []


def failing(arm_that_fails: str, at_run: int) -> Callable[[str, int], float]:
    def prints(arm: str, run: int) -> float:
        if arm == arm_that_fails and run == at_run:
            raise ArmFailure("TestFailed", "it failed")
        return 10.0

    return prints


@pytest.mark.parametrize("arm", ["head", "main", "agent", "control"])
@pytest.mark.parametrize("at_run", [1, 4])
def test_a_failing_arm_is_run_no_more_and_the_rest_goes_on(arm: str, at_run: int) -> None:
    simulation = Simulation(dict.fromkeys(ALL, 0.1), failing(arm, at_run))
    outcome = simulation.time(schedule(ALL))
    assert (simulation.runs.count(arm), simulation.runs.count("base")) == (at_run, 11)
    assert (outcome.stop, outcome.dropped, outcome.failures[arm].reason) == ("Same", {arm: "TestFailed"}, "TestFailed")


@pytest.mark.parametrize("at_run", [1, 4])
def test_a_failing_base_ends_everything_at_once(at_run: int) -> None:
    simulation = Simulation(dict.fromkeys(ALL, 0.1), failing("base", at_run))
    outcome = simulation.time(schedule(ALL))
    assert simulation.runs[-1] == "base"
    assert (outcome.stop, set(outcome.failures)) == ("ArmFailed", {"base"})
    assert "base" in outcome.message


@given(
    st.dictionaries(st.sampled_from(ALL), st.floats(0.001, 100)).map(lambda seconds: {"base": 1.0} | seconds),
    st.floats(0.001, 5000),
    st.integers(0, 1),
)
def test_as_few_arms_as_needed_give_way(seconds: dict[str, float], remaining: float, done: int) -> None:
    dropped, blocks = fit_arms(seconds, ("main", "control"), remaining, done)
    kept = {arm: cost for arm, cost in seconds.items() if arm not in dropped}
    assert dropped == [arm for arm in ("main", "control") if arm in dropped]
    assert blocks * sum(kept.values()) <= remaining * (1 + 1e-9)
    if dropped:
        with_the_last = sum(kept.values()) + seconds[dropped[-1]]
        assert with_the_last * (MIN_PAIRS - done) > remaining


def test_a_slow_item_loses_main_then_control_then_is_cut_to_seven_pairs() -> None:
    arms, seconds = ("base", "head", "main", "control"), dict.fromkeys(("base", "head", "main", "control"), 1.0)
    for budget, dropped, pairs in ((36.0, [], 8), (30.0, ["main"], 8), (20.0, ["main", "control"], 8)):
        outcome = Simulation(seconds, noisy(1.0, 0.5)).time(schedule(arms, item_seconds=budget))
        assert (list(outcome.dropped), _pairs(outcome)) == (dropped, pairs)
    outcome = Simulation(seconds, noisy(1.0, 0.5)).time(schedule(arms, item_seconds=18.5))
    assert (outcome.stop, _pairs(outcome)) == ("TimeLimit", 7)


@pytest.mark.parametrize("warmup", [0, 1])
def test_too_slow_for_five_pairs_is_said_after_one_block(warmup: int) -> None:
    simulation = Simulation({"base": 100.0, "head": 100.0}, same_speed)
    outcome = simulation.time(schedule(warmup=warmup, item_seconds=900.0))
    assert (outcome.stop, len(simulation.runs)) == ("TooSlow", 2)
    assert f"a verdict needs {FEWEST_PAIRS}" in outcome.message


def test_an_arm_of_a_primary_comparison_never_gives_way() -> None:
    outcome = Simulation(dict.fromkeys(("base", "control"), 1.0), noisy(1.0, 0.5)).time(
        schedule(("base", "control"), primary=(("base", "control"),), item_seconds=15.0)
    )
    assert (outcome.dropped, _pairs(outcome)) == ({}, 6)


@given(st.floats(0.01, 50), st.floats(1, 4000), st.integers(0, 2))
def test_no_block_is_begun_that_would_end_after_the_deadline(seconds: float, budget: float, warmup: int) -> None:
    simulation = Simulation({"base": seconds, "head": seconds}, noisy(1.0, 0.5))
    outcome = simulation.time(schedule(warmup=warmup, item_seconds=budget))
    untimed = max(warmup, 1) * 2 * seconds
    assert simulation.now - 1000.0 <= max(budget, untimed) + 1e-6
    assert outcome.stop in ("MaxPairs", "TimeLimit", "TooSlow", "Precise", "Same")


def test_single_runs_all_arms_in_the_order_given_and_survives_failures() -> None:
    simulation = Simulation(dict.fromkeys(ALL, 0.1), failing("base", 1))
    outcome = time_once(schedule(("head", "base", "main")), simulation.run)
    assert [sample.arm for sample in outcome.samples] == ["head", "main"]
    assert (outcome.stop, set(outcome.failures), outcome.looks) == ("Complete", {"base"}, [])


def _pairs(outcome: Outcome) -> int:
    return max(sample.block for sample in outcome.samples) + 1

"""The rules that the benchmark compares, and how it turns recorded streams into rates."""

import importlib
import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"


@pytest.fixture(scope="module")
def bench():
    """Imports a module of scripts/bench, which is no package because its files are scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCH)
        yield importlib.import_module


@pytest.fixture(scope="module")
def protocols(bench):
    return bench("protocols")


@pytest.fixture(scope="module")
def replay(bench):
    return bench("replay")


def stream(blocks, sd=0.05, seed=1, **slow_downs):
    """Printed milliseconds of base, control and each slowed arm."""
    draw = random.Random(seed)
    arms = {"base": 1.0, "control": 1.0, **slow_downs}
    return [{arm: 3 * factor * math.exp(draw.gauss(0, sd)) for arm, factor in arms.items()} for _ in range(blocks)]


def test_a_large_steady_effect_stops_at_the_first_look(protocols):
    trial = protocols.isobench_trial([0.4, 0.41, 0.39, 0.4, 0.42] * 32, [0.0, 0.01, -0.01, 0.002] * 40)
    assert (trial.verdict, trial.pairs) == ("faster", 10)


def test_pure_noise_goes_on_to_the_limit_and_is_inconclusive(protocols):
    draw = random.Random(2)
    trial = protocols.isobench_trial([draw.gauss(0, 0.3) for _ in range(160)], None)
    assert (trial.verdict, trial.pairs) == ("inconclusive", 160)


def test_more_than_five_percent_between_means_is_an_effect_for_the_threshold_protocols(protocols):
    assert protocols.threshold_of_means([106.0], [100.0]) == "faster"
    assert protocols.threshold_of_means([100.0], [106.0]) == "slower"
    assert protocols.threshold_of_means([104.0], [100.0]) == "same"


def test_mann_whitney_of_two_separate_samples_is_the_textbook_score(protocols):
    low, high = list(range(20)), list(range(20, 40))
    expected = (200 - 0.5) / math.sqrt(20 * 20 * 41 / 12)
    assert protocols.mann_whitney_score(high, low) == pytest.approx(expected)
    assert protocols.mann_whitney_score(low, high) == pytest.approx(-expected)


def test_mann_whitney_of_nothing_but_ties_is_zero(protocols):
    assert protocols.mann_whitney_score([1.0] * 20, [1.0] * 20) == 0


def test_the_twenty_run_protocol_errs_in_about_one_case_of_ten_even_under_ideal_noise(protocols):
    draw = random.Random(3)

    def runs():
        return [100 * math.exp(draw.gauss(0, 0.05)) for _ in range(23)]

    verdicts = [protocols.filtered_mann_whitney(runs(), runs()) for _ in range(1000)]
    assert 0.06 < sum(verdict != "inconclusive" for verdict in verdicts) / 1000 < 0.16


def test_warm_ups_and_outliers_do_not_count_in_the_twenty_run_protocol(protocols):
    steady = [100.0 + place % 5 for place in range(20)]
    disturbed = [100.0 + place % 5 for place in range(19)] + [5000.0]
    assert protocols.filtered_mann_whitney([1e6] * 3 + steady, [1.0] * 3 + disturbed) == "inconclusive"


def test_replayed_equal_arms_have_a_truth_of_zero_and_hardly_ever_an_effect(replay):
    null = replay.Replay(stream(400), trials=200, max_pairs=160, draw=random.Random(4)).null()
    rate = null.rate(lambda trial: replay.claims(trial.verdict), random.Random(5))
    assert null.truth == 0
    assert rate.share <= 0.02
    assert (rate.trials, rate.disjoint) == (200, 2)


def test_a_constant_bias_between_two_builds_disappears_by_relabelling(replay):
    biased = stream(400, control=1.03)
    null = replay.Replay(biased, trials=50, max_pairs=160, draw=random.Random(6)).null()
    assert null.rate(lambda trial: replay.claims(trial.verdict), random.Random(7)).share <= 0.02


def test_replayed_slow_downs_are_found_slower_and_their_intervals_hold_the_achieved_ratio(replay):
    blocks = stream(400, slow=1.10)
    effect = replay.Replay(blocks, trials=100, max_pairs=160, draw=random.Random(8)).effect("slow")
    assert effect.truth == pytest.approx(math.log(1 / 1.10), abs=0.01)
    assert effect.rate(lambda trial: trial.verdict == "slower", random.Random(9)).share == 1
    assert effect.rate(effect.covers, random.Random(9)).share >= 0.95


@given(st.integers(1, 60), st.data())
def test_the_binomial_distribution_is_the_exact_sum(replay, trials, data):
    happened = data.draw(st.integers(0, trials))
    share = data.draw(st.floats(0.01, 0.99))
    exact = sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(happened + 1))
    assert replay.binomial_cdf(happened, trials, share) == pytest.approx(exact, abs=1e-9)


def test_without_a_single_event_the_upper_bound_follows_the_rule_of_three(replay):
    assert replay.binomial_upper(0, 1000) == pytest.approx(1 - 0.05 ** (1 / 1000), abs=1e-5)
    assert replay.binomial_upper(10, 10) == 1


def test_events_that_come_in_one_stretch_widen_the_bootstrap_interval(replay):
    clustered = [(place // 20, place < 20) for place in range(200)]
    spread = [(place // 20, place % 10 == 0) for place in range(200)]
    wide = replay.block_bootstrap(clustered, random.Random(10))
    narrow = replay.block_bootstrap(spread, random.Random(10))
    assert wide.share == narrow.share == 0.1
    assert wide.high - wide.low > narrow.high - narrow.low


def test_a_live_count_agrees_with_a_replayed_rate_unless_it_is_improbable(replay):
    replayed = replay.block_bootstrap([(place // 20, place % 100 == 0) for place in range(2000)], random.Random(11))
    assert replay.agrees(0, 100, replayed)
    assert replay.agrees(3, 100, replayed)
    assert not replay.agrees(20, 100, replayed)


def test_a_line_that_a_killed_worker_left_unfinished_is_cut_off(bench, tmp_path):
    recorded = tmp_path / "stream.jsonl"
    recorded.write_text('{"block": 0}\n{"block": 1}\n{"blo')
    assert bench("stream_worker").whole_lines(recorded) == [{"block": 0}, {"block": 1}]
    assert recorded.read_text() == '{"block": 0}\n{"block": 1}\n'
    assert bench("stream_worker").whole_lines(tmp_path / "missing.jsonl") == []

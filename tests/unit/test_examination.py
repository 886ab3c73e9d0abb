"""The noise of a machine as `isobench doctor` states it: the spread of paired log ratios, whatever else happens."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.local.examination import robust_spread

TIMES = st.floats(1e-4, 10)
PAIRS = st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=50)


def flat(pairs):
    return [time for pair in pairs for time in pair]


def close(spread):
    return pytest.approx(spread, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("deviation", [0.001, 0.03, 0.08, 0.4])
def test_the_spread_of_normal_log_ratios_is_their_standard_deviation(deviation):
    normal = NormalDist(0.01, deviation)
    ratios = [normal.inv_cdf((rank + 0.5) / 1001) for rank in range(1001)]
    assert robust_spread(flat((math.exp(ratio), 1.0) for ratio in ratios)) == pytest.approx(deviation, rel=0.01)


@given(PAIRS)
def test_it_is_finite_and_never_negative(pairs):
    assert 0 <= robust_spread(flat(pairs)) < math.inf


@given(PAIRS, st.floats(0.01, 100))
def test_a_faster_machine_has_the_same_spread(pairs, factor):
    faster = [(first * factor, second * factor) for first, second in pairs]
    assert robust_spread(flat(faster)) == close(robust_spread(flat(pairs)))


@given(PAIRS, st.floats(0.5, 2))
def test_a_constant_difference_within_the_pairs_is_bias_and_no_noise(pairs, bias):
    biased = [(first * bias, second) for first, second in pairs]
    assert robust_spread(flat(biased)) == close(robust_spread(flat(pairs)))


@given(PAIRS, st.randoms())
def test_neither_the_order_of_the_pairs_nor_that_within_them_matters(pairs, draw):
    shuffled = [(second, first) for first, second in pairs]
    draw.shuffle(shuffled)
    assert robust_spread(flat(shuffled)) == close(robust_spread(flat(pairs)))


@given(st.lists(TIMES, min_size=3, max_size=25), st.lists(st.tuples(TIMES, TIMES), max_size=25))
def test_outliers_in_fewer_than_half_of_the_pairs_don_t_show(times, outliers):
    quiet = [(time, time) for time in times]
    pairs = quiet + outliers[: len(quiet) - 1]
    assert robust_spread(flat(pairs)) == 0


@given(PAIRS, TIMES)
def test_a_time_without_a_partner_is_left_out(pairs, alone):
    assert robust_spread([*flat(pairs), alone]) == robust_spread(flat(pairs))

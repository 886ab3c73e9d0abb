"""The estimator and the stopping rule, against exact binomial sums and the laws that they must obey."""

import math
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from isobench.probe.statistics import (
    LEVEL,
    LOOKS,
    MIN_PAIRS,
    Interval,
    inside_margin,
    next_look,
    paired_interval,
    settled,
)

log_ratio = st.floats(min_value=-3, max_value=3, allow_nan=False)
enough = st.lists(log_ratio, min_size=MIN_PAIRS, max_size=200)


def interval(values):
    found = paired_interval(values)
    assert found is not None
    return found


def around(estimate, half_width):
    return Interval(estimate, estimate - half_width, estimate + half_width, pairs=60, confidence=0.99)


@given(st.lists(log_ratio, max_size=MIN_PAIRS - 1))
def test_below_eight_pairs_there_is_no_interval(values):
    assert paired_interval(values) is None


def test_eight_is_the_fewest_number_of_pairs_whose_range_covers_the_level():
    assert 1 - Fraction(2, 2**MIN_PAIRS) >= Fraction(LEVEL) > 1 - Fraction(2, 2 ** (MIN_PAIRS - 1))


def test_the_median_of_an_odd_and_of_an_even_number_of_pairs():
    assert interval([5, 1, 2, 3, 4, 6, 7, 8, 9]).estimate == 5
    assert interval([1, 2, 3, 4, 5, 6, 7, 8]).estimate == 4.5


@pytest.mark.parametrize("pairs", [8, 9, 10, 11, 15, 20, 30, 45, 60, 90, 120, 160])
def test_confidence_is_the_exact_binomial_sum_and_the_next_rank_would_miss_the_level(pairs):
    ranks = interval([float(rank) for rank in range(1, pairs + 1)])
    low_rank, high_rank = int(ranks.low), int(ranks.high)

    def coverage(rank):
        return 1 - 2 * sum(Fraction(math.comb(pairs, below), 2**pairs) for below in range(rank))

    assert high_rank == pairs + 1 - low_rank
    assert ranks.confidence == pytest.approx(float(coverage(low_rank)), abs=1e-15)
    assert coverage(low_rank) >= Fraction(LEVEL) > coverage(low_rank + 1)


@pytest.mark.parametrize("pairs", [8, 10, 13])
def test_over_all_patterns_of_signs_zero_is_missed_exactly_as_often_as_stated(pairs):
    missed = 0
    for signs in product((-1.0, 1.0), repeat=pairs):
        found = interval([sign * (1 + place) for place, sign in enumerate(signs)])
        missed += found.low > 0 or found.high < 0
    assert missed / 2**pairs == pytest.approx(1 - interval([0.0] * pairs).confidence, abs=1e-15)


@given(enough)
def test_swapping_the_arms_turns_the_interval_round(values):
    found, turned = interval(values), interval([-value for value in values])
    assert (turned.estimate, turned.low, turned.high) == (-found.estimate, -found.high, -found.low)


@given(st.data(), enough)
def test_the_order_of_the_blocks_does_not_matter(data, values):
    assert interval(data.draw(st.permutations(values))) == interval(values)


@given(enough)
def test_bounds_follow_every_increasing_transformation(values):
    found, cubed = interval(values), interval([value**3 for value in values])
    assert (cubed.low, cubed.high) == (found.low**3, found.high**3)


@given(enough, st.floats(min_value=-2, max_value=2))
def test_a_constant_effect_moves_the_interval_by_itself(values, effect):
    found, moved = interval(values), interval([value + effect for value in values])
    assert moved.estimate == pytest.approx(found.estimate + effect, abs=1e-12)
    assert moved.low == pytest.approx(found.low + effect, abs=1e-12)
    assert moved.high == pytest.approx(found.high + effect, abs=1e-12)


@given(enough)
def test_the_estimate_lies_in_its_interval_and_the_interval_among_the_values(values):
    found = interval(values)
    assert min(values) <= found.low <= found.estimate <= found.high <= max(values)


@given(log_ratio, st.integers(min_value=MIN_PAIRS, max_value=200))
def test_ties_give_an_interval_without_width(value, pairs):
    found = interval([value] * pairs)
    assert found.low == found.estimate == found.high == value
    assert found.half_width == 0


@given(enough, st.floats(min_value=1e3, max_value=1e300))
def test_one_wild_outlier_moves_no_bound_once_ranks_are_inner_ones(values, outlier):
    assume(len(values) >= 15)
    wild = [*sorted(values)[:-1], outlier]
    assert interval(wild) == interval(values)


@given(st.integers(0, 200), st.integers(8, 200), st.integers(8, 200))
def test_looks_move_forward_at_fixed_counts_and_never_exceed_the_limit(pairs, min_pairs, max_pairs):
    assume(min_pairs <= max_pairs)
    assume(pairs < max_pairs)
    look = next_look(pairs, min_pairs, max_pairs)
    assert pairs < look <= max_pairs
    assert look >= min_pairs
    assert look in LOOKS or look == max_pairs


def test_all_looks_of_the_defaults():
    looks, pairs = [], 0
    while pairs < 160:
        pairs = next_look(pairs, min_pairs=10, max_pairs=160)
        looks.append(pairs)
    assert tuple(looks) == LOOKS


def test_a_limit_between_two_looks_is_the_last_look():
    assert next_look(45, min_pairs=10, max_pairs=50) == 50


def test_a_limit_below_the_first_look_is_the_only_look():
    assert next_look(0, min_pairs=8, max_pairs=8) == 8


def test_the_first_look_waits_for_the_least_number_of_pairs():
    assert next_look(0, min_pairs=16, max_pairs=160) == 20


def test_nothing_to_compare_is_not_settled():
    assert settled([], precision=0.01, margin=0.02) is None


def test_an_interval_inside_the_margin_settles_as_same():
    assert settled([around(0.005, 0.012)], precision=0.001, margin=0.02) == "Same"


def test_a_half_width_within_the_precision_settles_as_precise():
    assert settled([around(0.015, 0.009)], precision=0.01, margin=0.02) == "Precise"


def test_a_half_width_of_half_the_estimate_settles_as_precise():
    assert settled([around(0.5, 0.249)], precision=0.01, margin=0.02) == "Precise"
    assert settled([around(-0.5, 0.249)], precision=0.01, margin=0.02) == "Precise"


def test_a_wide_interval_around_a_small_estimate_goes_on():
    assert settled([around(0.05, 0.04)], precision=0.01, margin=0.02) is None


def test_one_open_comparison_keeps_the_others_going():
    assert settled([around(0.5, 0.1), around(0.05, 0.04)], precision=0.01, margin=0.02) is None


def test_one_same_and_one_precise_comparison_settle_together():
    assert settled([around(0.5, 0.1), around(0.0, 0.015)], precision=0.01, margin=0.02) == "Precise"


@given(enough, st.floats(min_value=0.001, max_value=0.2), st.floats(min_value=0.001, max_value=0.2))
def test_settling_and_sameness_do_not_depend_on_which_arm_is_first(values, precision, margin):
    found, turned = interval(values), interval([-value for value in values])
    assert settled([found], precision, margin) == settled([turned], precision, margin)
    assert inside_margin(found, margin) == inside_margin(turned, margin)


def test_the_margin_is_a_ratio_on_both_sides():
    def spanning(slowest, fastest):
        return Interval(0.0, math.log(slowest), math.log(fastest), pairs=10, confidence=0.99)

    assert inside_margin(spanning(1 / 1.0199, 1.0199), margin=0.02)
    assert not inside_margin(spanning(1 / 1.0199, 1.0201), margin=0.02)
    assert not inside_margin(spanning(1 / 1.0201, 1.0199), margin=0.02)

"""From an interval to a verdict: the order of verdicts, the control's part, and what few pairs may say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.engine.comparison import interval_of, verdict_of
from isobench.probe.statistics import Interval, paired_interval

MARGIN = 0.02
QUIET = Interval(0.0, -0.01, 0.01, pairs=60, confidence=0.99)


def ratios(estimate, low, high, pairs=60):
    return Interval(math.log(estimate), math.log(low), math.log(high), pairs, confidence=0.99)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        (ratios(1.00, 0.985, 1.015), "same"),
        (ratios(1.01, 1.005, 1.015), "same"),
        (ratios(1.05, 1.02, 1.08), "faster"),
        (ratios(0.95, 0.92, 0.98), "slower"),
        (ratios(1.05, 0.99, 1.11), "inconclusive"),
        (ratios(1.015, 1.005, 1.03), "inconclusive"),
        (ratios(1.00, 0.90, 1.10), "inconclusive"),
    ],
)
def test_the_order_of_verdicts(interval, verdict):
    assert verdict_of(interval, MARGIN, QUIET) == verdict


def test_an_effect_under_ten_percent_must_be_larger_than_the_controls_in_either_direction():
    effect = ratios(1.05, 1.02, 1.08)
    assert verdict_of(effect, MARGIN, ratios(1.06, 1.03, 1.09)) == "inconclusive"
    assert verdict_of(effect, MARGIN, ratios(0.94, 0.92, 0.97)) == "inconclusive"
    assert verdict_of(effect, MARGIN, ratios(1.04, 1.02, 1.06)) == "faster"


def test_without_a_control_nothing_under_ten_percent_is_claimed():
    assert verdict_of(ratios(1.05, 1.03, 1.07), MARGIN, None) == "inconclusive"
    assert verdict_of(ratios(1.30, 1.20, 1.40), MARGIN, None) == "faster"
    assert verdict_of(ratios(1.00, 0.99, 1.01), MARGIN, None) == "same"


def test_a_large_effect_stands_whatever_the_control_shows():
    assert verdict_of(ratios(1.30, 1.20, 1.40), MARGIN, ratios(1.35, 1.3, 1.4)) == "faster"


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=50))
def test_from_eight_pairs_on_the_interval_is_the_sign_tests(values):
    assert interval_of(values) == paired_interval(values)


@given(st.lists(st.floats(-3, 3), max_size=4))
def test_below_five_pairs_there_is_nothing(values):
    assert interval_of(values) is None


@pytest.mark.parametrize(("pairs", "confidence"), [(5, 0.9375), (6, 0.96875), (7, 0.984375)])
def test_five_to_seven_pairs_give_their_range_with_its_confidence(pairs, confidence):
    interval = interval_of([float(value) for value in range(pairs)])
    assert interval == Interval((pairs - 1) / 2, 0.0, pairs - 1.0, pairs, confidence)


@given(st.lists(st.floats(math.log(1.51), 3), min_size=5, max_size=7))
def test_few_pairs_that_all_agree_beyond_one_and_a_half_give_a_verdict(values):
    assert verdict_of(interval_of(values), MARGIN, None) == "faster"
    assert verdict_of(interval_of([-value for value in values]), MARGIN, None) == "slower"


@given(st.lists(st.floats(math.log(1.51), 3), min_size=4, max_size=6), st.floats(-3, math.log(1.49)))
def test_one_dissenter_among_few_pairs_leaves_no_verdict_at_all(values, dissenter):
    assert verdict_of(interval_of([*values, dissenter]), MARGIN, QUIET) is None


def test_few_identical_pairs_are_never_the_same():
    assert verdict_of(interval_of([0.0] * 6), MARGIN, QUIET) is None


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=60), st.lists(st.floats(-0.1, 0.1), min_size=8, max_size=60))
def test_swapping_the_arms_swaps_faster_and_slower_and_nothing_else(values, control):
    turned = {"faster": "slower", "slower": "faster"}
    verdict = verdict_of(interval_of(values), MARGIN, interval_of(control))
    opposite = verdict_of(interval_of([-value for value in values]), MARGIN, interval_of(control))
    assert opposite == turned.get(verdict, verdict)


@given(st.lists(st.floats(-3, 3), min_size=8, max_size=60))
def test_an_interval_that_holds_zero_never_claims_an_effect(values):
    interval = interval_of(values)
    if interval.low <= 0 <= interval.high:
        assert verdict_of(interval, MARGIN, QUIET) in ("same", "inconclusive")

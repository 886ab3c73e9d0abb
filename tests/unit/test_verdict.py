"""The judgement of an item: which samples are a measurement, and what they say."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isobench.contracts.reasons import Reason
from isobench.engine.samples import TimedSample
from isobench.engine.verdict import judge

MARGIN = 0.02
START_UP_MS = 30.0


def timed(blocks=60, sd=0.02, seed=1, printed_ms=100.0, **speedups):
    """Samples of base and of each named arm with its speed-up, and honest process times around them."""
    noise = random.Random(seed)
    samples = []
    for block in range(blocks):
        for arm, speedup in {"base": 1.0, **speedups}.items():
            printed = printed_ms / speedup * math.exp(noise.gauss(0, sd))
            wall = printed + START_UP_MS * math.exp(noise.gauss(0, sd))
            samples.append(TimedSample(block, arm, printed, 1e-6, 1, wall, wall * 0.98))
    return samples


def of_arm(samples, arm, change):
    return [change(sample) if sample.arm == arm else sample for sample in samples]


def test_a_real_effect_is_faster_with_its_ratio_and_interval():
    judgement = judge(timed(head=1.5, control=1.0), MARGIN)
    (result,) = judgement.comparisons
    assert result.arms == ("base", "head")
    assert result.verdict == judgement.verdict == "faster"
    assert result.ci_low < 1.5 < result.ci_high
    assert 1.45 < result.speedup < 1.55
    assert (result.pairs, result.noisy) == (60, False)
    assert result.confidence >= 0.99
    assert judgement.failure is None


def test_a_slow_down_is_slower():
    assert judge(timed(head=0.8, control=1.0), MARGIN).verdict == "slower"


def test_two_equal_arms_are_the_same_once_the_interval_fits_the_margin():
    assert judge(timed(blocks=160, head=1.0, control=1.0), MARGIN).verdict == "same"


def test_too_much_noise_is_inconclusive():
    assert judge(timed(sd=0.3, head=1.03, control=1.0), MARGIN).verdict == "inconclusive"


def test_comparisons_come_in_the_order_head_agent_main_and_control_is_not_one_of_them():
    judgement = judge(timed(main=1.4, agent=1.2, control=1.0, head=1.5), MARGIN)
    assert [result.arms[1] for result in judgement.comparisons] == ["head", "agent", "main"]


def test_the_control_always_states_what_the_run_could_tell_apart():
    control = judge(timed(head=1.5, control=1.0), MARGIN).control
    assert control is not None
    assert control.ci_low < 1 < control.ci_high
    assert control.resolution == pytest.approx(max(control.ci_high, 1 / control.ci_low) - 1)
    assert 0 < control.resolution < 0.03


def test_a_biased_control_marks_every_comparison_noisy():
    judgement = judge(timed(head=1.5, main=1.0, control=1.04), MARGIN)
    assert [result.noisy for result in judgement.comparisons] == [True, True]
    assert judgement.verdict == "faster"


def test_an_effect_smaller_than_the_controls_is_not_claimed():
    assert judge(timed(head=1.03, control=1.05), MARGIN).verdict == "inconclusive"


def test_a_dropped_control_leaves_large_effects_only():
    assert judge(timed(head=1.5), MARGIN).verdict == "faster"
    assert judge(timed(head=1.05, sd=0.005), MARGIN).verdict == "inconclusive"
    assert judge(timed(head=1.5), MARGIN).control is None


def test_an_arm_without_samples_is_left_out():
    judgement = judge(timed(main=1.0, control=1.0), MARGIN)
    assert judgement.verdict is None
    assert judgement.failure is None
    assert [result.arms for result in judgement.comparisons] == [("base", "main")]


def test_no_samples_at_all_say_nothing():
    judgement = judge([], MARGIN)
    assert (judgement.comparisons, judgement.unmeasured, judgement.control) == ((), (), None)


def test_blocks_that_lack_an_arm_give_no_pair():
    samples = [sample for sample in timed(head=1.5) if sample.block != 7 or sample.arm != "head"]
    assert judge(samples, MARGIN).comparisons[0].pairs == 59


def test_six_pairs_that_all_agree_beyond_one_and_a_half_are_a_verdict_with_their_confidence():
    (result,) = judge(timed(blocks=6, head=3.0, control=1.0), MARGIN).comparisons
    assert result.verdict == "faster"
    assert result.confidence == 1 - 2**-5


@pytest.mark.parametrize(("blocks", "speedup"), [(6, 1.2), (4, 3.0)])
def test_few_pairs_without_full_agreement_are_too_slow(blocks, speedup):
    judgement = judge(timed(blocks=blocks, head=speedup), MARGIN)
    assert judgement.comparisons == ()
    assert judgement.failure.reason is Reason.TOO_SLOW
    assert f"{blocks} pairs" in judgement.failure.message


def test_a_median_under_a_millisecond_is_below_resolution():
    failure = judge(timed(printed_ms=0.9, head=1.0, control=1.0), MARGIN).failure
    assert failure.reason is Reason.BELOW_RESOLUTION
    assert "base takes 0.9" in failure.message


def test_a_printed_zero_is_below_resolution():
    samples = timed(head=1.5)
    samples[40] = replace(samples[40], printed_ms=0.0)
    assert judge(samples, MARGIN).failure.reason is Reason.BELOW_RESOLUTION


def test_zeros_in_the_control_only_leave_the_comparison_but_no_control():
    samples = of_arm(timed(head=1.5, control=1.0), "control", lambda sample: replace(sample, printed_ms=0.0))
    judgement = judge(samples, MARGIN)
    assert (judgement.verdict, judgement.control) == ("faster", None)


def test_a_last_digit_above_a_quarter_of_the_margin_is_below_resolution():
    def coarse(digit):
        return [replace(sample, digit_ms=digit) for sample in timed(head=1.0, control=1.0)]

    failure = judge(coarse(0.6), MARGIN).failure
    assert failure.reason is Reason.BELOW_RESOLUTION
    assert "0.6" in failure.message
    assert judge(coarse(0.4), MARGIN).failure is None


def test_dropped_trailing_zeros_do_not_make_a_fine_format_coarse():
    samples = timed(head=1.0, control=1.0)
    samples[0] = replace(samples[0], digit_ms=10.0)
    assert judge(samples, MARGIN).failure is None


def test_ties_are_below_resolution_and_never_the_same():
    samples = timed(sd=0.0, head=1.0, control=1.0)
    judgement = judge(samples, MARGIN)
    assert judgement.comparisons == ()
    assert judgement.failure.reason is Reason.BELOW_RESOLUTION
    assert "ties" in judgement.failure.message


def test_a_time_longer_than_its_process_contradicts():
    samples = timed(head=1.5)
    samples[10] = replace(samples[10], printed_ms=samples[10].wall_ms + 1.1)
    failure = judge(samples, MARGIN).failure
    assert failure.reason is Reason.TIMES_CONTRADICT
    assert "block 5" in failure.message


def test_iterations_count_in_the_contradiction():
    samples = [replace(sample, iterations=2) for sample in timed(head=1.5)]
    assert judge(samples, MARGIN).failure.reason is Reason.TIMES_CONTRADICT


def test_a_contradicting_agent_does_not_taint_the_human_comparison():
    samples = of_arm(timed(head=1.5, agent=1.5), "agent", lambda sample: replace(sample, wall_ms=1.0))
    judgement = judge(samples, MARGIN)
    assert judgement.verdict == "faster"
    assert (judgement.failure.arms, judgement.failure.reason) == (("base", "agent"), Reason.TIMES_CONTRADICT)


def test_work_moved_out_of_the_timed_part_is_displaced():
    def displaced(sample):
        return replace(sample, wall_ms=sample.wall_ms + 50, cpu_ms=sample.cpu_ms + 50)

    failure = judge(of_arm(timed(head=2.0, control=1.0), "head", displaced), MARGIN).failure
    assert failure.reason is Reason.WORK_DISPLACED
    assert "head prints" in failure.message


def test_work_spread_over_threads_saves_wall_time_and_is_no_displacement():
    samples = of_arm(timed(head=2.0), "head", lambda sample: replace(sample, cpu_ms=sample.cpu_ms + 50))
    assert judge(samples, MARGIN).verdict == "faster"


def test_a_small_saving_lost_in_the_start_ups_noise_is_no_displacement():
    jitter = random.Random(3)
    start_ups = [
        replace(sample, wall_ms=sample.wall_ms + delay, cpu_ms=sample.cpu_ms + delay)
        for sample in timed(printed_ms=2.0, head=1.3, control=1.0)
        for delay in [jitter.uniform(0, 40)]
    ]
    assert judge(start_ups, MARGIN).verdict == "faster"


def test_more_iterations_of_a_faster_workload_are_no_displacement():
    """A test that calibrates itself fills the same wall time with more iterations."""
    samples = of_arm(timed(head=2.0), "base", lambda sample: replace(sample, iterations=10, wall_ms=1030, cpu_ms=1030))
    samples = of_arm(samples, "head", lambda sample: replace(sample, iterations=20, wall_ms=1030, cpu_ms=1030))
    samples = [replace(sample, wall_ms=sample.wall_ms * 1.2, cpu_ms=sample.cpu_ms * 1.2) for sample in samples]
    assert judge(samples, MARGIN).verdict == "faster"


def with_digests(samples, digest):
    return [replace(sample, result_sha256=digest(sample)) for sample in samples]


def test_equal_results_are_no_reason_even_when_the_hash_seed_changes_them_between_blocks():
    samples = with_digests(timed(head=1.5, control=1.0), lambda sample: f"result of block {sample.block}")
    assert judge(samples, MARGIN).verdict == "faster"


def test_different_results_are_not_equivalent_and_leave_no_comparison():
    samples = with_digests(timed(head=1.5, main=1.5, control=1.0), lambda sample: str(sample.arm == "head"))
    judgement = judge(samples, MARGIN)
    assert judgement.comparisons == ()
    assert judgement.failure.reason is Reason.NOT_EQUIVALENT
    assert "head" in judgement.failure.message


def test_two_equal_arms_with_different_results_say_that_the_test_is_unstable():
    samples = with_digests(timed(head=1.5, control=1.0), lambda sample: f"{sample.block} {sample.arm}")
    assert judge(samples, MARGIN).failure.reason is Reason.RESULT_UNSTABLE


def test_one_arm_without_digests_leaves_results_uncompared():
    samples = with_digests(timed(head=1.5), lambda sample: "a" if sample.arm == "base" else None)
    assert judge(samples, MARGIN).verdict == "faster"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.97, 1.0, 1.03, 1.3]), st.floats(0.1, 1000))
def test_the_verdict_does_not_depend_on_the_unit_of_time(seed, speedup, unit):
    samples = timed(seed=seed, head=speedup, control=1.0)
    scaled = [
        replace(
            sample,
            printed_ms=sample.printed_ms * unit,
            digit_ms=sample.digit_ms * unit,
            wall_ms=sample.wall_ms * unit,
            cpu_ms=sample.cpu_ms * unit,
        )
        for sample in samples
    ]
    assert judge(scaled, MARGIN).verdict == judge(samples, MARGIN).verdict


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(seed, shuffler):
    samples = timed(seed=seed, head=1.04, main=1.0, control=1.0)
    shuffled = list(samples)
    shuffler.shuffle(shuffled)
    assert judge(shuffled, MARGIN) == judge(samples, MARGIN)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.sampled_from([0.0, 0.05, 2.0]))
def test_every_comparison_is_either_measured_or_has_a_reason(seed, blocks, sd):
    judgement = judge(timed(blocks=blocks, seed=seed, sd=sd, head=1.5, main=1.0, agent=0.9), MARGIN)
    judged = [result.arms for result in judgement.comparisons] + [missing.arms for missing in judgement.unmeasured]
    assert sorted(judged) == [("base", "agent"), ("base", "head"), ("base", "main")]

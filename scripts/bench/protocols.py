"""isobench's measuring rule and the protocols that it competes with, as pure functions from times to a verdict."""

import math
import statistics
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from isobench.contracts.record import Verdict
from isobench.engine.comparison import verdict_of
from isobench.probe.statistics import LEVEL, LOOKS, Interval, next_look, paired_interval, settled

MIN_PAIRS: Final = LOOKS[0]
MAX_PAIRS: Final = LOOKS[-1]
PRECISION: Final = 0.01
MARGIN: Final = 0.02
THRESHOLD: Final = 0.05
WARM_UPS: Final = 3
P_VALUE: Final = 0.1

NEUTRAL_CONTROL: Final = Interval(0.0, 0.0, 0.0, MAX_PAIRS, LEVEL)
"""A control that blocks no claim: with it a false rate is an upper bound."""


class Trial(NamedTuple):
    """How one trial of isobench's rule ended."""

    verdict: Verdict
    interval: Interval
    pairs: int


def isobench_trial(
    log_ratios: Sequence[float],
    control_log_ratios: Sequence[float] | None,
    level: float = LEVEL,
    max_pairs: int = MAX_PAIRS,
) -> Trial:
    """Apply looks, stop and verdict with the default limits to at least `max_pairs` paired log ratios.

    `control_log_ratios` are base:control in the same blocks; None stands for a control that blocks no claim.
    """
    pairs = 0
    while True:
        pairs = next_look(pairs, MIN_PAIRS, max_pairs)
        interval = _interval(log_ratios[:pairs], level)
        if pairs == max_pairs or settled([interval], PRECISION, MARGIN):
            break
    control = NEUTRAL_CONTROL if control_log_ratios is None else _interval(control_log_ratios[:pairs], level)
    verdict = verdict_of(interval, MARGIN, control)
    assert verdict is not None, "a look has at least ten pairs"
    return Trial(verdict, interval, pairs)


def threshold_of_means(first_ms: Sequence[float], second_ms: Sequence[float]) -> Verdict:
    """One or more runs an arm, sequentially: an effect where the means differ by more than 5%."""
    ratio = statistics.fmean(first_ms) / statistics.fmean(second_ms)
    if ratio > 1 + THRESHOLD:
        return "faster"
    return "slower" if ratio < 1 / (1 + THRESHOLD) else "same"


def filtered_mann_whitney(first_ms: Sequence[float], second_ms: Sequence[float]) -> Verdict:
    """Three warm-ups, then twenty runs an arm, outliers beyond 1.5 IQR dropped, Mann-Whitney at p < 0.1."""
    first, second = _without_outliers(first_ms[WARM_UPS:]), _without_outliers(second_ms[WARM_UPS:])
    score = mann_whitney_score(first, second)
    if 2 * (1 - NormalDist().cdf(abs(score))) >= P_VALUE:
        return "inconclusive"
    return "faster" if score > 0 else "slower"


def mann_whitney_score(first: Sequence[float], second: Sequence[float]) -> float:
    """Standardised Mann-Whitney U with tie and continuity correction; positive: `first` tends to be larger."""
    ordered = sorted((*first, *second))
    ranks: dict[float, float] = {}
    ties = 0
    start = 0
    while start < len(ordered):
        count = ordered.count(ordered[start])
        ranks[ordered[start]] = start + (count + 1) / 2
        ties += count**3 - count
        start += count
    n, m, total = len(first), len(second), len(ordered)
    excess = sum(ranks[value] for value in first) - n * (n + 1) / 2 - n * m / 2
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance == 0:
        return 0.0
    return math.copysign(max(abs(excess) - 0.5, 0.0), excess) / math.sqrt(variance)


def _interval(log_ratios: Sequence[float], level: float) -> Interval:
    interval = paired_interval(log_ratios, level)
    assert interval is not None, "a look has at least ten pairs"
    return interval


def _without_outliers(times_ms: Sequence[float]) -> list[float]:
    lower, _, upper = statistics.quantiles(times_ms, n=4, method="inclusive")
    reach = 1.5 * (upper - lower)
    return [time for time in times_ms if lower - reach <= time <= upper + reach]

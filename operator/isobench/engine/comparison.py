"""From paired values to a verdict: intervals that few pairs can carry too, and the order of verdicts."""

import math
from collections.abc import Sequence

from isobench.contracts.record import Verdict
from isobench.probe.statistics import MIN_PAIRS, Interval, inside_margin, paired_interval

FEWEST_PAIRS = 5
"""Below it even full agreement says too little: four pairs agree by chance in one case of eight."""

AGREEMENT = 1.5
"""With five to seven pairs every single ratio must lie beyond this one."""

CONTROL_MATTERS_BELOW = 1.10
"""Effects under this ratio must be larger than what the control arm shows."""


def interval_of(values: Sequence[float]) -> Interval | None:
    """The 99% interval of the median; for five to seven values their range, for fewer None.

    The range of n values misses the median when all fall on one side of it: with probability 2^(1 - n).
    """
    if interval := paired_interval(values):
        return interval
    if len(values) < FEWEST_PAIRS:
        return None
    ordered = sorted(values)
    median = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    return Interval(median, ordered[0], ordered[-1], len(values), 1 - 2.0 ** (1 - len(values)))


def excludes_zero(interval: Interval) -> bool:
    """Whether the interval says that there is an effect, of either sign."""
    return interval.low > 0 or interval.high < 0


def verdict_of(interval: Interval, margin: float, control: Interval | None) -> Verdict | None:
    """The verdict on log ratios with this interval; None when too few pairs disagree.

    `same` lies inside the margin (a fraction). `faster` and `slower` exclude zero by more than the margin and,
    while under 10%, by more than the control's estimate; without a control nothing under 10% is claimed.
    """
    if interval.pairs < MIN_PAIRS:
        return _agreed(interval)
    if inside_margin(interval, margin):
        return "same"
    size = abs(interval.estimate)
    if not excludes_zero(interval) or size <= math.log1p(margin) or not _clears(size, control):
        return "inconclusive"
    return "faster" if interval.estimate > 0 else "slower"


def _agreed(interval: Interval) -> Verdict | None:
    if interval.low > math.log(AGREEMENT):
        return "faster"
    return "slower" if interval.high < -math.log(AGREEMENT) else None


def _clears(size: float, control: Interval | None) -> bool:
    if size >= math.log(CONTROL_MATTERS_BELOW):
        return True
    return control is not None and size > abs(control.estimate)

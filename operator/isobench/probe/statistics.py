"""The estimator and the stopping rule: median of paired log ratios, its sign-test interval, fixed looks."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, Optional, Sequence, Tuple

LOOKS: Tuple[int, ...] = (10, 15, 20, 30, 45, 60, 90, 120, 160)
"""Block counts at which the stopping rule may look; looking more often raises the false rate at the stop."""

LEVEL = 0.99
"""Least coverage of every interval, at each look and in the record; docs/adr/0002 shows why."""

MIN_PAIRS = 8
"""Fewest pairs that have an interval: below it even their whole range covers less than `LEVEL`."""

RELATIVE_PRECISION = 0.5
"""An interval no wider than this share of its estimate on either side is precise, whatever the precision."""


class Interval(NamedTuple):
    """Median and bounds of log(a/b) over pairs: positive means that the second arm is faster."""

    estimate: float
    low: float
    high: float
    pairs: int
    confidence: float
    """Coverage that this order-statistic interval really has: at least `LEVEL`, coarse when pairs are few."""

    @property
    def half_width(self) -> float:
        """Half the length of the interval, in log units."""
        return (self.high - self.low) / 2


def paired_interval(log_ratios: Sequence[float], level: float = LEVEL) -> Optional[Interval]:
    """Median of the log ratios, one per block, with the sign-test interval; None below 8 pairs.

    The interval between the k-th smallest and the k-th largest value misses the median with probability
    2 * P(Binomial(n, 1/2) < k), whatever the distribution is (David and Nagaraja, Order Statistics, 7.1).
    """
    pairs = len(log_ratios)
    rank, confidence = _order_statistic(pairs, level)
    if rank == 0:
        return None
    ordered = sorted(log_ratios)
    median = (ordered[(pairs - 1) // 2] + ordered[pairs // 2]) / 2
    return Interval(median, ordered[rank - 1], ordered[pairs - rank], pairs, confidence)


@functools.lru_cache(maxsize=None)
def _order_statistic(pairs: int, level: float) -> Tuple[int, float]:
    """Largest rank whose interval covers `level`, with its coverage; rank 0 when even the range does not."""
    outcomes = 2**pairs
    rank, confidence, fewer_than_rank = 0, 1.0, 0
    while True:
        fewer_than_rank += math.comb(pairs, rank)
        coverage = 1 - 2 * fewer_than_rank / outcomes
        if coverage < level:
            return rank, confidence
        rank, confidence = rank + 1, coverage


def next_look(pairs: int, min_pairs: int, max_pairs: int) -> int:
    """Block count of the next look after `pairs` blocks: a fixed one from `min_pairs` on, or the limit."""
    return min((look for look in LOOKS if look > pairs and min_pairs <= look < max_pairs), default=max_pairs)


def inside_margin(interval: Interval, margin: float) -> bool:
    """Whether the whole interval lies within the ratios 1/(1 + margin) and 1 + margin."""
    bound = math.log1p(margin)
    return -bound <= interval.low and interval.high <= bound


def settled(intervals: Sequence[Interval], precision: float, margin: float) -> Optional[str]:
    """Why measuring may stop at this look, or None: "Same" if every interval lies inside the margin, else
    "Precise" if every one that does not has a half-width of at most max(precision, |estimate| / 2).

    `precision` and `margin` are fractions: 0.01 is 1%.
    """
    wider_than_margin = [interval for interval in intervals if not inside_margin(interval, margin)]
    if not intervals or not all(_precise(interval, precision) for interval in wider_than_margin):
        return None
    return "Precise" if wider_than_margin else "Same"


def _precise(interval: Interval, precision: float) -> bool:
    return interval.half_width <= max(math.log1p(precision), RELATIVE_PRECISION * abs(interval.estimate))

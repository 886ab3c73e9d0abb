"""Replays trials from recorded streams: windows at random starts, rates with block-bootstrap intervals."""

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from protocols import Trial, isobench_trial

from isobench.contracts.record import Verdict

RESAMPLES: Final = 1000

Block = dict[str, float]
"""Printed milliseconds of every arm in one interleaved block."""


class Rate(NamedTuple):
    """A share of trials with its two-sided 95% block-bootstrap interval and a one-sided 95% upper bound."""

    share: float
    low: float
    high: float
    upper: float
    trials: int
    disjoint: int
    """How many of the windows could lie side by side in the stream: the real number of repetitions."""


class Replayed(NamedTuple):
    """Trials of one arm against base, each with the start of its window of `max_pairs` blocks."""

    truth: float
    """log(base / arm) over the whole stream; exactly zero where arms were relabelled."""
    starts: list[int]
    trials: list[Trial]
    max_pairs: int
    disjoint: int

    def rate(self, happened: Callable[[Trial], bool], draw: random.Random) -> Rate:
        """Share of trials in which something happened; windows of one stretch of the stream count as one block."""
        stretches = [start // self.max_pairs for start in self.starts]
        outcomes = list(zip(stretches, map(happened, self.trials), strict=True))
        return block_bootstrap(outcomes, draw)._replace(disjoint=self.disjoint)

    def covers(self, trial: Trial) -> bool:
        """Whether the interval at the stop holds the truth."""
        return trial.interval.low <= self.truth <= trial.interval.high


class Replay(NamedTuple):
    """How trials are drawn from a stream: windows of `max_pairs` blocks at random starts."""

    blocks: Sequence[Block]
    trials: int
    max_pairs: int
    draw: random.Random

    def null(self) -> Replayed:
        """A/A: base against its second build, relabelled at random in each block; no control blocks a claim."""

        def trial(window: Sequence[Block]) -> Trial:
            relabelled = [self.draw.choice((-1, 1)) * _log_ratio(block, "control") for block in window]
            return isobench_trial(relabelled, None, max_pairs=self.max_pairs)

        return self._replayed(0.0, trial)

    def effect(self, arm: str) -> Replayed:
        """Base against a slowed arm, with base's second build as the control."""

        def trial(window: Sequence[Block]) -> Trial:
            log_ratios = [_log_ratio(block, arm) for block in window]
            controls = [_log_ratio(block, "control") for block in window]
            return isobench_trial(log_ratios, controls, max_pairs=self.max_pairs)

        return self._replayed(achieved(self.blocks, arm), trial)

    def _replayed(self, truth: float, trial: Callable[[Sequence[Block]], Trial]) -> Replayed:
        starts = [self.draw.randrange(len(self.blocks) - self.max_pairs + 1) for _ in range(self.trials)]
        found = [trial(self.blocks[start : start + self.max_pairs]) for start in starts]
        return Replayed(truth, starts, found, self.max_pairs, len(self.blocks) // self.max_pairs)


def achieved(blocks: Sequence[Block], arm: str) -> float:
    """log(base / arm) over the whole stream: what a slowed arm really is."""
    return statistics.median(_log_ratio(block, arm) for block in blocks)


def robust_sd(blocks: Sequence[Block]) -> float:
    """1.4826 times the median absolute deviation of the paired log ratios of base and its second build."""
    ratios = [_log_ratio(block, "control") for block in blocks]
    centre = statistics.median(ratios)
    return 1.4826 * statistics.median(abs(ratio - centre) for ratio in ratios)


def block_bootstrap(outcomes: Sequence[tuple[int, bool]], draw: random.Random) -> Rate:
    """Share of true outcomes; resamples whole blocks (the first of each pair names the block), with replacement.

    The upper bound is the larger of the bootstrap's 95th percentile and the exact binomial bound for that many
    trials, because a bootstrap over zero events knows no uncertainty.
    """
    blocks: dict[int, list[bool]] = defaultdict(list)
    for block, happened in outcomes:
        blocks[block].append(happened)
    groups = [(sum(happened), len(happened)) for happened in blocks.values()]
    resampled = sorted(_share(draw.choices(groups, k=len(groups))) for _ in range(RESAMPLES))
    total = sum(count for count, _ in groups)
    return Rate(
        share=_share(groups),
        low=resampled[round(0.025 * RESAMPLES)],
        high=resampled[round(0.975 * RESAMPLES) - 1],
        upper=max(resampled[round(0.95 * RESAMPLES) - 1], binomial_upper(total, len(outcomes))),
        trials=len(outcomes),
        disjoint=len(groups),
    )


def binomial_upper(happened: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of a share (Clopper and Pearson), by bisection on the exact binomial sum."""
    low, high = happened / trials, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(happened, trials, middle) > 1 - confidence else (low, middle)
    return high


def binomial_cdf(happened: int, trials: int, share: float) -> float:
    """Probability of at most `happened` among `trials` independent ones."""
    if share in (0.0, 1.0):
        return 1.0 if share == 0.0 or happened == trials else 0.0
    log_odds, log_none = math.log(share) - math.log1p(-share), trials * math.log1p(-share)
    choose = [math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) for k in range(happened + 1)]
    return min(math.fsum(math.exp(choose[k] + k * log_odds + log_none) for k in range(happened + 1)), 1.0)


def agrees(happened: int, trials: int, replayed: Rate) -> bool:
    """Whether a live count fits some share between the replayed lower and upper limits, at 0.5% on either side."""
    at_most = binomial_cdf(happened, trials, replayed.low)
    at_least = 1 - binomial_cdf(happened - 1, trials, max(replayed.upper, replayed.high)) if happened else 1.0
    return min(at_most, at_least) >= 0.005


def claims(verdict: Verdict) -> bool:
    """Whether a verdict says that there is an effect."""
    return verdict in ("faster", "slower")


def _log_ratio(block: Block, arm: str) -> float:
    return math.log(block["base"] / block[arm])


def _share(groups: Sequence[tuple[int, int]]) -> float:
    return sum(count for count, _ in groups) / sum(size for _, size in groups)

"""The judgement of one item: what its timed samples say of each pair of arms, or why they say nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from isobench.contracts.reasons import Reason
from isobench.contracts.record import Arm, ComparisonResult, ControlResult, Verdict
from isobench.engine.comparison import FEWEST_PAIRS, excludes_zero, interval_of, verdict_of
from isobench.engine.measurement_checks import (
    Doubt,
    doubt_about_results,
    doubt_about_savings,
    doubt_about_ties,
    doubt_about_times,
)
from isobench.engine.samples import Pair, TimedSample, pairs_of
from isobench.probe.statistics import MIN_PAIRS, Interval

Arms = tuple[Arm, Arm]

PRIMARY: tuple[Arms, ...] = (("base", "head"), ("base", "agent"))
"""The comparisons that an item is for: they decide its reason and when sampling stops."""

SECONDARY: tuple[Arms, ...] = (("base", "main"),)

CONTROL: Arms = ("base", "control")

WITH_AGENT: tuple[Arm, ...] = ("base", "control", "agent")
"""The arms that an agent's result is compared with: what it computes says nothing of the human change."""


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Two arms whose samples are not a measurement."""

    arms: Arms
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the samples of an item say: comparisons in the order base:head, base:agent, base:main."""

    comparisons: tuple[ComparisonResult, ...]
    unmeasured: tuple[Unmeasured, ...]
    control: ControlResult | None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on base:head; None when there is no measurement."""
        return next((result.verdict for result in self.comparisons if result.arms == PRIMARY[0]), None)

    @property
    def failure(self) -> Unmeasured | None:
        """The first primary comparison that is not a measurement; its reason is the item's."""
        return next((missing for missing in self.unmeasured if missing.arms in PRIMARY), None)


def judge(samples: Sequence[TimedSample], margin: float) -> Judgement:
    """Judge the samples of one item, warm-up left out; `margin` is a fraction (0.02 is 2%).

    An arm without samples is left out: why it has none is not a question for its times.
    """
    about_results = doubt_about_results([sample for sample in samples if sample.arm != "agent"])
    about_agent = doubt_about_results([sample for sample in samples if sample.arm in WITH_AGENT])
    control = _control_interval(samples, margin)
    comparisons: list[ComparisonResult] = []
    unmeasured: list[Unmeasured] = []
    for arms in (*PRIMARY, *SECONDARY):
        pairs = pairs_of(samples, arms)
        if not pairs:
            continue
        doubt = about_agent if "agent" in arms else about_results
        outcome = doubt or _compare(arms, pairs, margin, control)
        if isinstance(outcome, Doubt):
            unmeasured.append(Unmeasured(arms, outcome.reason, outcome.message))
        else:
            comparisons.append(outcome)
    return Judgement(tuple(comparisons), tuple(unmeasured), _control_result(control))


def _compare(arms: Arms, pairs: Sequence[Pair], margin: float, control: Interval | None) -> ComparisonResult | Doubt:
    if doubt := doubt_about_times(pairs, margin):
        return doubt
    log_ratios = _log_ratios(pairs)
    if doubt := doubt_about_ties(log_ratios):
        return doubt
    interval = interval_of(log_ratios)
    verdict = verdict_of(interval, margin, control) if interval else None
    if interval is None or verdict is None:
        return _too_slow(arms, len(pairs))
    if verdict == "faster" and (doubt := doubt_about_savings(pairs)):
        return doubt
    return ComparisonResult(
        arms=arms,
        speedup=math.exp(interval.estimate),
        ci_low=math.exp(interval.low),
        ci_high=math.exp(interval.high),
        pairs=interval.pairs,
        confidence=interval.confidence,
        verdict=verdict,
        noisy=control is not None and excludes_zero(control),
    )


def _too_slow(arms: Arms, pairs: int) -> Doubt:
    message = (
        f"{pairs} pairs of {arms[0]} and {arms[1]} fit into the time: an interval needs {MIN_PAIRS}, and "
        f"{FEWEST_PAIRS} do when all agree beyond 1.5x; make the workload smaller or raise timing.timeoutSeconds"
    )
    return Doubt(Reason.TOO_SLOW, message)


def _log_ratios(pairs: Sequence[Pair]) -> list[float]:
    return [math.log(first.printed_ms / second.printed_ms) for first, second in pairs]


def _control_interval(samples: Sequence[TimedSample], margin: float) -> Interval | None:
    pairs = pairs_of(samples, CONTROL)
    if not pairs or doubt_about_times(pairs, margin):
        return None
    return interval_of(_log_ratios(pairs))


def _control_result(interval: Interval | None) -> ControlResult | None:
    """The control's speed-up and the largest effect that its interval allows between equal arms."""
    if interval is None:
        return None
    return ControlResult(
        speedup=math.exp(interval.estimate),
        ci_low=math.exp(interval.low),
        ci_high=math.exp(interval.high),
        pairs=interval.pairs,
        resolution=math.expm1(max(-interval.low, interval.high)),
    )

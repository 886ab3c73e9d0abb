"""What makes timed samples no measurement at all, each with its reason and a sentence."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from isobench.contracts.reasons import Reason
from isobench.contracts.record import Arm
from isobench.engine.comparison import interval_of
from isobench.engine.samples import Pair, TimedSample, arm_of

SHORTEST_MS = 1.0
"""Below this median a printed time says more about the clock and the loop than about the workload."""

DIGIT_SHARE_OF_MARGIN = 0.25
"""One unit of the last printed digit may be at most this share of the margin."""

WALL_TOLERANCE_MS = 1.0
"""How far a claimed time may exceed the process's wall time: clocks differ, and so do their starts."""

SHARE_TO_REAPPEAR = 0.5
"""At least this share of the claimed saving must show in the process's own wall or CPU time."""


class Doubt(NamedTuple):
    """Why samples are not a measurement."""

    reason: Reason
    message: str


def doubt_about_results(samples: Sequence[TimedSample]) -> Doubt | None:
    """`NotEquivalent` when all arms print a digest of their result and it differs within a block.

    Only within a block: the hash seed is one per block and may change a result. Two equal arms that differ say
    that the workload itself is `ResultUnstable`.
    """
    digests: dict[int, dict[Arm, str]] = defaultdict(dict)
    for sample in samples:
        if sample.result_sha256 is None:
            return None
        digests[sample.block][sample.arm] = sample.result_sha256
    differing = {block: arms for block, arms in digests.items() if len(set(arms.values())) > 1}
    for block, arms in differing.items():
        if "base" in arms and arms.get("control", arms["base"]) != arms["base"]:
            message = f"two builds of base gave different results in block {block}: make the test deterministic"
            return Doubt(Reason.RESULT_UNSTABLE, message)
    for block, arms in differing.items():
        message = f"{_listed(arms)} gave different results in block {block}: let the test compare like with like"
        return Doubt(Reason.NOT_EQUIVALENT, message)
    return None


def doubt_about_times(pairs: Sequence[Pair], margin: float) -> Doubt | None:
    """`TimesContradict` or `BelowResolution` in the printed times of either arm; `margin` is a fraction."""
    arms = (arm_of(pairs, 0), arm_of(pairs, 1))
    contradictions = (_contradiction(sample) for arm in arms for sample in arm)
    coarseness = (_coarseness(arm, margin) for arm in arms)
    return _first(contradictions) or _first(coarseness)


def doubt_about_ties(log_ratios: Sequence[float]) -> Doubt | None:
    """`BelowResolution` when the interval has no width: only ties give that, and ties are not sameness."""
    interval = interval_of(log_ratios)
    if interval is None or interval.low < interval.high:
        return None
    message = f"most of the {interval.pairs} pairs are exact ties: print more digits of a time from a finer clock"
    return Doubt(Reason.BELOW_RESOLUTION, message)


def doubt_about_savings(pairs: Sequence[Pair]) -> Doubt | None:
    """`WorkDisplaced` when the second arm prints less time, but its process takes neither less wall nor CPU time.

    Per pair, saved wall (and CPU) time less half of the claimed saving: the 99% intervals of both medians lie
    below zero.
    """
    claimed = [SHARE_TO_REAPPEAR * (base.claimed_ms - other.claimed_ms) for base, other in pairs]
    wall = [base.wall_ms - other.wall_ms for base, other in pairs]
    cpu = [base.cpu_ms - other.cpu_ms for base, other in pairs]
    if not (_falls_short(wall, claimed) and _falls_short(cpu, claimed)):
        return None
    arm = pairs[0][1].arm
    message = (
        f"{arm} prints {statistics.median(claimed) / SHARE_TO_REAPPEAR:.3g} ms less a run, but its process saves "
        f"{statistics.median(wall):.3g} ms wall and {statistics.median(cpu):.3g} ms CPU: time all of the work"
    )
    return Doubt(Reason.WORK_DISPLACED, message)


def _falls_short(saved: Sequence[float], expected: Sequence[float]) -> bool:
    interval = interval_of([have - want for have, want in zip(saved, expected, strict=True)])
    return interval is not None and interval.high < 0


def _contradiction(sample: TimedSample) -> Doubt | None:
    if sample.claimed_ms <= sample.wall_ms + WALL_TOLERANCE_MS:
        return None
    message = (
        f"{sample.arm} printed {sample.printed_ms:.6g} ms × {sample.iterations} in block {sample.block}, but its "
        f"process took {sample.wall_ms:.6g} ms: print the time of one iteration, as the clock gave it"
    )
    return Doubt(Reason.TIMES_CONTRADICT, message)


def _coarseness(samples: Sequence[TimedSample], margin: float) -> Doubt | None:
    arm = samples[0].arm
    median = statistics.median(sample.printed_ms for sample in samples)
    # The finest digit seen is the format's: a JSON number drops its trailing zeros.
    digit = min(sample.digit_ms for sample in samples)
    if any(sample.printed_ms == 0 for sample in samples):
        message = f"{arm} printed a time of zero: make the workload longer or print more digits"
    elif median < SHORTEST_MS:
        message = f"{arm} takes {median:.3g} ms, under {SHORTEST_MS:g} ms: make the workload longer"
    elif digit > DIGIT_SHARE_OF_MARGIN * margin * median:
        message = f"{arm} prints {median:.3g} ms in steps of {digit:.3g} ms: print more digits"
    else:
        return None
    return Doubt(Reason.BELOW_RESOLUTION, message)


def _first(doubts: Iterable[Doubt | None]) -> Doubt | None:
    return next((doubt for doubt in doubts if doubt), None)


def _listed(arms: Iterable[Arm]) -> str:
    return ", ".join(sorted(arms))

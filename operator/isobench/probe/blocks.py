"""The timing protocol: blocks of every arm in a drawn order, until the numbers are settled or a limit is reached."""

from __future__ import annotations

import math
import random
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .failure import ArmFailure
from .protocol import Measurement
from .statistics import MIN_PAIRS, Interval, next_look, paired_interval, settled

FEWEST_PAIRS = 5
"""Below this many pairs no verdict is possible, so nothing is timed."""

DISPENSABLE = ("main", "control")
"""Arms that give way, in this order, when the time allowed is too short for `MIN_PAIRS` blocks."""


class Timed(NamedTuple):
    """One run that gave a measurement; start in seconds since timing began."""

    measurement: Measurement
    start: float
    wall_ms: float
    cpu_ms: float
    instructions: Optional[int]


class Sample(NamedTuple):
    """A timed run and its place: warm-up blocks have negative numbers."""

    block: int
    position: int
    arm: str
    timed: Timed


class Schedule(NamedTuple):
    """What the protocol needs to know of a request; times in seconds, precision and margin as fractions."""

    seed: int
    arms: Tuple[str, ...]
    primary: Tuple[Tuple[str, str], ...]
    warmup: int
    min_pairs: int
    max_pairs: int
    precision: float
    margin: float
    item_seconds: float


class Look(NamedTuple):
    """What the stopping rule saw: an interval per comparison, named `first:second`."""

    pairs: int
    comparisons: Dict[str, Optional[Interval]]


class Outcome(NamedTuple):
    """Why timing stopped, in a word and a sentence, and all that was gathered until then."""

    stop: str
    message: str
    samples: List[Sample]
    looks: List[Look]
    failures: Dict[str, ArmFailure]
    dropped: Dict[str, str]


RunArm = Callable[[str, int], Timed]
"""Run an arm once with a hash seed; raises ArmFailure."""

Report = Callable[[int, Look], None]
"""Told after every block: its number and the intervals so far."""


def draw_block(seed: int, block: int, arms: Sequence[str]) -> Tuple[List[str], int]:
    """Return the order of `arms` in `block` and its PYTHONHASHSEED: the same for the same seed and block.

    The order is drawn over all arms of the request, so dropping one does not change the order of the others.
    """
    draw = random.Random("%d:%d" % (seed, block))
    order = list(arms)
    draw.shuffle(order)
    return order, draw.randrange(1, 2**32)


def fit_arms(
    run_seconds: Dict[str, float], dispensable: Sequence[str], remaining: float, done: int
) -> Tuple[List[str], int]:
    """Return the arms to drop so that `MIN_PAIRS` blocks fit, and how many blocks fit then, beside the `done` ones.

    Arms give way in the order of `dispensable`; times in seconds, of one run of each arm.
    """
    kept = dict(run_seconds)
    dropped: List[str] = []
    for arm in dispensable:
        if arm in kept and sum(kept.values()) * (MIN_PAIRS - done) > remaining:
            del kept[arm]
            dropped.append(arm)
    return dropped, int(remaining / sum(kept.values()))


def time_blocks(schedule: Schedule, run_arm: RunArm, clock: Callable[[], float], report: Report) -> Outcome:
    """Warm up, then time blocks until the comparisons are settled, a limit is reached or they can't be made."""
    return _Timing(schedule, run_arm, clock, report).outcome()


def time_once(schedule: Schedule, run_arm: RunArm) -> Outcome:
    """Run every arm once in the order given: the old protocol, without warm-up, looks or interval."""
    samples: List[Sample] = []
    failures: Dict[str, ArmFailure] = {}
    _, hash_seed = draw_block(schedule.seed, 0, schedule.arms)
    for position, arm in enumerate(schedule.arms):
        try:
            samples.append(Sample(0, position, arm, run_arm(arm, hash_seed)))
        except ArmFailure as failure:
            failures[arm] = failure
    return Outcome("Complete", "", samples, [], failures, {})


class _TimingStopped(Exception):  # a way out of a block, not an error: its arguments are the outcome's stop and message
    pass


class _Timing:
    """One item's timing as it goes on: which arms are still in, and what was gathered."""

    def __init__(self, schedule: Schedule, run_arm: RunArm, clock: Callable[[], float], report: Report) -> None:
        self._schedule = schedule
        self._run_arm = run_arm
        self._clock = clock
        self._report = report
        self._deadline = clock() + schedule.item_seconds
        self._arms = list(schedule.arms)
        self._run_seconds: Dict[str, float] = {}
        self._samples: List[Sample] = []
        self._looks: List[Look] = []
        self._failures: Dict[str, ArmFailure] = {}
        self._dropped: Dict[str, str] = {}

    def outcome(self) -> Outcome:
        try:
            for block in range(-self._schedule.warmup, 0):
                self._run_block(block)
            stop, message = self._measure(), ""
        except _TimingStopped as stopped:
            stop, message = stopped.args
        return Outcome(stop, message, self._samples, self._looks, self._failures, self._dropped)

    def _measure(self) -> str:
        """Time as many blocks as are needed or allowed; return why it ended."""
        minimum, maximum = self._schedule.min_pairs, self._schedule.max_pairs
        pairs, look_at = 0, next_look(0, minimum, maximum)
        allowed = self._affordable_blocks(0) if self._run_seconds else maximum
        while pairs < allowed:
            if self._clock() + self._block_seconds() > self._deadline:
                return "TimeLimit"
            self._run_block(pairs)
            pairs += 1
            if pairs == 1 and not self._schedule.warmup:
                allowed = self._affordable_blocks(pairs)
            look = Look(pairs, self._intervals())
            self._report(pairs - 1, look)
            if pairs == look_at:
                self._looks.append(look)
                stop = self._settled(look)
                if stop is not None:
                    return stop
                look_at = next_look(pairs, minimum, maximum)
        return "MaxPairs" if pairs == maximum else "TimeLimit"

    def _affordable_blocks(self, done: int) -> int:
        """How many blocks may be timed in all, after the arms that give way to the clock are gone."""
        remaining = self._deadline - self._clock()
        dropped, more = fit_arms(self._run_seconds, self._dispensable(), remaining, done)
        for arm in dropped:
            self._drop(arm, "TooSlow")
        if done + more < FEWEST_PAIRS:
            message = (
                "a block takes %.3g s and %.3g s are left, so %d blocks fit and a verdict needs %d: make the test "
                "shorter or raise limits.item_seconds"
            )
            raise _TimingStopped("TooSlow", message % (self._block_seconds(), remaining, more, FEWEST_PAIRS))
        return done + more if done + more < MIN_PAIRS else self._schedule.max_pairs

    def _run_block(self, block: int) -> None:
        order, hash_seed = draw_block(self._schedule.seed, block, self._schedule.arms)
        for position, arm in enumerate(order):
            if arm in self._arms:
                self._run(block, position, arm, hash_seed)

    def _run(self, block: int, position: int, arm: str, hash_seed: int) -> None:
        started = self._clock()
        try:
            timed = self._run_arm(arm, hash_seed)
        except ArmFailure as failure:
            self._failures[arm] = failure
            self._drop(arm, failure.reason)
            if not self._primary():
                message = "no primary comparison is left since arm %s failed (%s)" % (arm, failure.reason)
                raise _TimingStopped("ArmFailed", message) from failure
        else:
            self._samples.append(Sample(block, position, arm, timed))
            self._run_seconds[arm] = min(self._run_seconds.get(arm, math.inf), self._clock() - started)

    def _drop(self, arm: str, reason: str) -> None:
        self._arms.remove(arm)
        self._run_seconds.pop(arm, None)
        self._dropped[arm] = reason

    def _block_seconds(self) -> float:
        return sum(self._run_seconds.values())

    def _primary(self) -> List[Tuple[str, str]]:
        """The primary comparisons whose arms are both still in."""
        return [pair for pair in self._schedule.primary if set(pair) <= set(self._arms)]

    def _dispensable(self) -> List[str]:
        return [arm for arm in DISPENSABLE if not any(arm in pair for pair in self._schedule.primary)]

    def _intervals(self) -> Dict[str, Optional[Interval]]:
        """Intervals of the primary comparisons, then of every other arm with the first one's base."""
        base = self._schedule.primary[0][0]
        others = [(base, arm) for arm in self._arms if arm != base]
        pairs = dict.fromkeys([*self._primary(), *(pair for pair in others if base in self._arms)])
        return {"%s:%s" % pair: paired_interval(log_ratios(self._samples, *pair)) for pair in pairs}

    def _settled(self, look: Look) -> Optional[str]:
        intervals = [look.comparisons["%s:%s" % pair] for pair in self._primary()]
        known = [interval for interval in intervals if interval is not None]
        if len(known) < len(intervals):
            return None
        return settled(known, self._schedule.precision, self._schedule.margin)


def log_ratios(samples: Sequence[Sample], first: str, second: str) -> List[float]:
    """Return log(first / second) of every block that timed both; a block with a printed zero has no ratio."""
    printed: Dict[str, Dict[int, float]] = {first: {}, second: {}}
    for sample in samples:
        if sample.arm in printed and sample.block >= 0 and sample.timed.measurement.printed_ms > 0:
            printed[sample.arm][sample.block] = sample.timed.measurement.printed_ms
    blocks = sorted(printed[first].keys() & printed[second].keys())
    return [math.log(printed[first][block] / printed[second][block]) for block in blocks]

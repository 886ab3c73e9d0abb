"""One timed run as the verdict sees it, and the pairs that two arms form within their blocks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isobench.contracts.record import Arm


@dataclass(frozen=True, slots=True)
class TimedSample:
    """One run of one arm in one block; times in milliseconds."""

    block: int
    arm: Arm
    printed_ms: float
    """Time of one iteration, as the test printed it."""
    digit_ms: float
    """Value of one unit in the last digit that the test printed."""
    iterations: int
    """How often the test says that it ran the workload; 1 when it says nothing."""
    wall_ms: float
    cpu_ms: float
    result_sha256: str | None = None

    @property
    def claimed_ms(self) -> float:
        """The time that the test says it spent in the workload, in all."""
        return self.printed_ms * self.iterations


Pair = tuple[TimedSample, TimedSample]


def pairs_of(samples: Iterable[TimedSample], arms: tuple[Arm, Arm]) -> list[Pair]:
    """The samples of both arms, block by block; a block that lacks one of them gives no pair."""
    first, second = ({sample.block: sample for sample in samples if sample.arm == arm} for arm in arms)
    return [(first[block], second[block]) for block in sorted(first.keys() & second.keys())]


def arm_of(pairs: Sequence[Pair], index: int) -> list[TimedSample]:
    """The samples of the first (0) or second (1) arm of each pair."""
    return [pair[index] for pair in pairs]

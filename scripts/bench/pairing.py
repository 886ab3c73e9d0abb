"""What a thing adds to the time of an act, from pairs: the act without it, and at once with it."""

import statistics
import time
from collections.abc import Callable, Sequence

Act = Callable[[], object]


def milliseconds(act: Act) -> float:
    """How long ``act`` takes once."""
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def time_pairs(without: Act, within: Act, pairs: int) -> list[tuple[float, float]]:
    """So many pairs of milliseconds, after one of each that does not count."""
    without()
    within()
    return [(milliseconds(without), milliseconds(within)) for _ in range(pairs)]


def what_is_added(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Both ways as medians, and their difference as median and 95th percentile."""
    added = sorted(after - before for before, after in pairs)
    return {
        "without_ms": statistics.median(before for before, _ in pairs),
        "with_ms": statistics.median(after for _, after in pairs),
        "added_ms": statistics.median(added),
        "added_p95_ms": added[int(len(added) * 0.95)],
    }

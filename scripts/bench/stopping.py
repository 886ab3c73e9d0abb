"""Simulates the stopping rule: what each interval level makes of false rate, coverage, hit rate and pairs used.

    python scripts/bench/stopping.py [--trials N]

A trial draws blocks of base, control and another arm and goes through isobench's looks, stop and verdict. Prints one
table and, as its last line, the same numbers as JSON.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Callable
from typing import Final, NamedTuple

from protocols import MAX_PAIRS, Trial, isobench_trial

LEVELS: Final = (0.98, 0.99, 0.995, 0.998)
EFFECTS: Final = (0.03, 0.05, 0.10, 0.50)
NULL_FACTOR: Final = 4
"""A false rate near 1% needs more trials than a hit rate."""

Block = tuple[float, float, float]
"""Log times of base, control and the other arm, without any effect."""


def gaussian(sd: float) -> Callable[[random.Random], list[Block]]:
    """Independent Gaussian noise; `sd` is that of the paired log ratio, so each run has sd / √2."""
    return lambda draw: [_block(lambda: draw.gauss(0, sd / math.sqrt(2))) for _ in range(MAX_PAIRS)]


def heavy_tailed(draw: random.Random) -> list[Block]:
    """Student's t with two degrees of freedom: its variance is infinite."""
    return [_block(lambda: 0.04 * draw.gauss(0, 1) / math.sqrt(draw.expovariate(1))) for _ in range(MAX_PAIRS)]


def drifting(draw: random.Random) -> list[Block]:
    """A slow random walk under autocorrelated noise from run to run, the arms in random order within a block."""
    level, echo = 0.0, 0.0
    blocks = []
    for _ in range(MAX_PAIRS):
        runs = []
        for _ in range(3):
            level += draw.gauss(0, 0.01)
            echo = 0.7 * echo + draw.gauss(0, 0.04)
            runs.append(level + echo)
        draw.shuffle(runs)
        blocks.append((runs[0], runs[1], runs[2]))
    return blocks


def bimodal(draw: random.Random) -> list[Block]:
    """Three runs of ten are 15% slower, as when a neighbour is awake."""
    return [_block(lambda: draw.gauss(0, 0.03) + 0.15 * (draw.random() < 0.3)) for _ in range(MAX_PAIRS)]


def first_is_slow(draw: random.Random) -> list[Block]:
    """The first run of each block is 20% slower, as when caches have to be filled."""
    blocks = []
    for _ in range(MAX_PAIRS):
        runs = [draw.gauss(place, 0.02) for place in (0.2, 0.0, 0.0)]
        draw.shuffle(runs)
        blocks.append((runs[0], runs[1], runs[2]))
    return blocks


def opposed(draw: random.Random) -> list[Block]:
    """The worst case, made up: in each block exactly one of two arms is 20% slower, so no ratio is ever near zero."""
    return [
        (draw.gauss(0, 0.02), draw.gauss(0, 0.02), draw.choice((-0.2, 0.2)) + draw.gauss(0, 0.02))
        for _ in range(MAX_PAIRS)
    ]


NOISES: Final = {
    "Gaussian 0.07": gaussian(0.07),
    "Gaussian 0.15": gaussian(0.15),
    "Gaussian 0.30": gaussian(0.30),
    "heavy-tailed": heavy_tailed,
    "drifting": drifting,
    "bimodal": bimodal,
    "first is slow": first_is_slow,
    "opposed": opposed,
}


class Row(NamedTuple):
    """What one level makes of one noise."""

    noise: str
    robust_sd: float
    level: float
    false: float
    coverage: float
    hits: dict[str, float]
    pairs: dict[str, float]


def simulate(noise: str, trials: int) -> list[Row]:
    """One row per level, all levels over the same draws."""
    draw = random.Random(f"{noise} {trials}")
    null = [_trials(noise, 0.0, draw) for _ in range(NULL_FACTOR * trials)]
    effects = {effect: [_trials(noise, effect, draw) for _ in range(trials)] for effect in EFFECTS}
    robust_sd = _robust_sd(noise, draw)
    return [
        _row(
            noise,
            robust_sd,
            level,
            [trial[level] for trial in null],
            {effect: [trial[level] for trial in found] for effect, found in effects.items()},
        )
        for level in LEVELS
    ]


def _trials(noise: str, effect: float, draw: random.Random) -> dict[float, Trial]:
    blocks = NOISES[noise](draw)
    log_ratios = [base - other + math.log1p(effect) for base, _, other in blocks]
    controls = [base - control for base, control, _ in blocks]
    return {level: isobench_trial(log_ratios, controls, level) for level in LEVELS}


def _row(noise: str, robust_sd: float, level: float, null: list[Trial], effects: dict[float, list[Trial]]) -> Row:
    by_effect = {0.0: null, **effects}
    covered = [
        statistics.fmean(trial.interval.low <= math.log1p(effect) <= trial.interval.high for trial in trials)
        for effect, trials in by_effect.items()
    ]
    return Row(
        noise=noise,
        robust_sd=robust_sd,
        level=level,
        false=statistics.fmean(trial.verdict in ("faster", "slower") for trial in null),
        coverage=min(covered),
        hits={f"{effect:+.0%}": _share(trials, "faster") for effect, trials in effects.items()},
        pairs={f"{effect:+.0%}": statistics.fmean(t.pairs for t in trials) for effect, trials in by_effect.items()},
    )


def _share(trials: list[Trial], verdict: str) -> float:
    return statistics.fmean(trial.verdict == verdict for trial in trials)


def _robust_sd(noise: str, draw: random.Random) -> float:
    ratios = [base - other for _ in range(50) for base, _, other in NOISES[noise](draw)]
    return 1.4826 * statistics.median(abs(ratio) for ratio in ratios)


def _block(run: Callable[[], float]) -> Block:
    return run(), run(), run()


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table; rates in percent, coverage the least over all effects."""
    effects = [f"{effect:+.0%}" for effect in EFFECTS]
    header = [
        "noise",
        "robust sd",
        "level",
        "A/A false",
        "coverage",
        *(f"found {e}" for e in effects),
        *(f"pairs {e}" for e in ("A/A", *effects)),
    ]
    lines = [header, ["---"] * len(header)]
    lines += [
        [
            row.noise,
            f"{row.robust_sd:.3f}",
            f"{row.level:.1%}",
            f"{row.false:.2%}",
            f"{row.coverage:.1%}",
            *(f"{hit:.0%}" for hit in row.hits.values()),
            *(f"{pairs:.0f}" for pairs in row.pairs.values()),
        ]
        for row in rows
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate the stopping rule with several interval levels.")
    parser.add_argument("--trials", type=int, default=1000, help="trials per noise and effect (A/A: four times)")
    trials = parser.parse_args().trials
    rows = [row for noise in NOISES for row in simulate(noise, trials)]
    print(table(rows))
    print(json.dumps({"benchmark": "stopping", "trials": trials, "rows": [row._asdict() for row in rows]}))


if __name__ == "__main__":
    main()

"""From recorded streams to the table of measurement.py: one row per condition and protocol."""

import math
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from protocols import Trial, filtered_mann_whitney, threshold_of_means
from replay import Rate, Replay, Replayed, achieved, agrees, block_bootstrap, claims, robust_sd

from isobench.contracts.record import Verdict

Lines = Sequence[Mapping[str, Any]]
Streams = Mapping[str, Lines]

ISOBENCH: Final = "isobench"
ARMS_PER_BLOCK: Final = 3
"""Base, the other arm and the control: what one block of a verdict of isobench costs."""

CYCLE: Final = ("+3%", "base", "control", "+5%", "+10%", "base", "control", "+50%")
NEIGHBOURS: Final = (("+3%", 1, 0), ("A/A", 1, 2), ("+5%", 2, 3), ("+10%", 5, 4), ("A/A", 5, 6), ("+50%", 6, 7))
"""Trials of one cycle: the effect, and the places of the arm without it and of the arm with it, next to each other."""

EFFECTS: Final = ("+2%", "+3%", "+5%", "+10%", "+50%")


class Competitor(NamedTuple):
    """A protocol without interleaving: so many runs of one arm in a row, then of the other, then a verdict."""

    repeats: int
    verdict: Callable[[Sequence[float], Sequence[float]], Verdict]


COMPETITORS: Final = {
    "1 run": Competitor(1, threshold_of_means),
    "5 runs": Competitor(5, threshold_of_means),
    "3+20 runs": Competitor(23, filtered_mann_whitney),
}


class Live(NamedTuple):
    """Whole measurements made one after another, and whether their count fits the replayed rate."""

    happened: int
    trials: int
    agrees: bool


class Row(NamedTuple):
    """What one protocol achieves under one condition; `runs` are timed runs per verdict, warm-ups included."""

    protocol: str
    false: Rate
    found: dict[str, Rate]
    wrong: dict[str, float]
    runs: dict[str, float]
    coverage: Rate | None = None
    """How often the interval at the stop held the truth: of the arm where it did least often."""
    live_null: Live | None = None
    live_effect: Live | None = None


class Condition(NamedTuple):
    """Everything about one condition."""

    name: str
    robust_sd: float
    wall_ms: float
    achieved: dict[str, float]
    """Measured slow-down of each arm: 0.03 is 3% slower than base."""
    rows: list[Row]

    def numbers(self) -> dict[str, Any]:
        """The condition for the machine-readable line."""
        return self._asdict() | {"rows": [_plain(row) for row in self.rows]}


def analyse(name: str, streams: Streams, max_pairs: int, trials: int) -> Condition:
    """Replay and judge what was recorded under one condition."""
    draw = random.Random(name)
    blocks = [line["printed_ms"] for line in streams["interleaved"]]
    large = [line["printed_ms"] for line in streams["large"]]
    replay = Replay(blocks, trials, max_pairs, draw)
    effects = {effect: replay.effect(effect) for effect in EFFECTS if effect in blocks[0]}
    effects["+50%"] = Replay(large, trials, max_pairs, draw).effect("+50%")
    slow_downs = {effect: math.expm1(-replayed.truth) for effect, replayed in effects.items()}
    slow_downs["control"] = math.expm1(-achieved(blocks, "control"))
    return Condition(
        name=name,
        robust_sd=robust_sd(blocks),
        wall_ms=statistics.median(line["wall_ms"]["base"] for line in streams["interleaved"]),
        achieved=slow_downs,
        rows=[
            _isobench(replay.null(), effects, streams, draw),
            *(_competing(protocol, streams[protocol], draw) for protocol in COMPETITORS),
        ],
    )


def _isobench(null: Replayed, effects: Mapping[str, Replayed], streams: Streams, draw: random.Random) -> Row:
    false = null.rate(lambda trial: claims(trial.verdict), draw)
    found = {
        effect: replayed.rate(lambda trial: trial.verdict == "slower", draw) for effect, replayed in effects.items()
    }
    everything = {"A/A": null, **effects}
    return Row(
        protocol=ISOBENCH,
        false=false,
        found=found,
        wrong={effect: _share(replayed.trials, "faster") for effect, replayed in effects.items()},
        runs={effect: _runs(replayed.trials) for effect, replayed in everything.items()},
        coverage=min(replayed.rate(replayed.covers, draw) for replayed in everything.values()),
        live_null=_live([claims(line["verdict"]) for line in streams["live null"]], false),
        live_effect=_live([line["verdict"] == "slower" for line in streams["live effect"]], found["+5%"]),
    )


def _competing(protocol: str, cycles: Lines, draw: random.Random) -> Row:
    competitor = COMPETITORS[protocol]
    outcomes: dict[str, list[tuple[int, Verdict]]] = {}
    for cycle, line in enumerate(cycles):
        for effect, verdict in _judged(competitor, line["groups"], draw):
            outcomes.setdefault(effect, []).append((cycle, verdict))
    null = outcomes.pop("A/A")
    return Row(
        protocol=protocol,
        false=_rate(null, ("faster", "slower"), draw),
        found={effect: _rate(verdicts, ("slower",), draw) for effect, verdicts in outcomes.items()},
        wrong={effect: _rate(verdicts, ("faster",), draw).share for effect, verdicts in outcomes.items()},
        runs=dict.fromkeys(("A/A", *outcomes), 2.0 * competitor.repeats),
    )


def _judged(
    competitor: Competitor, groups: Sequence[Sequence[float]], draw: random.Random
) -> Iterator[tuple[str, Verdict]]:
    """The trials of one cycle; in A/A it is drawn which arm is called the first."""
    for effect, without, with_effect in NEIGHBOURS:
        first, second = groups[without], groups[with_effect]
        if effect == "A/A" and draw.random() < 0.5:
            first, second = second, first
        yield effect, competitor.verdict(first, second)


def _rate(verdicts: Sequence[tuple[int, Verdict]], counted: Sequence[Verdict], draw: random.Random) -> Rate:
    return block_bootstrap([(cycle, verdict in counted) for cycle, verdict in verdicts], draw)


def _live(outcomes: Sequence[bool], replayed: Rate) -> Live:
    return Live(sum(outcomes), len(outcomes), agrees(sum(outcomes), len(outcomes), replayed))


def _share(trials: Sequence[Trial], verdict: Verdict) -> float:
    return statistics.fmean(trial.verdict == verdict for trial in trials)


def _runs(trials: Sequence[Trial]) -> float:
    """Timed runs per verdict, the warm-up block included."""
    return ARMS_PER_BLOCK * (1 + statistics.fmean(trial.pairs for trial in trials))


def table(conditions: Sequence[Condition]) -> str:
    """The rows as a Markdown table with what has to be known to read it below."""
    header = ["condition", "protocol", "A/A false", "95% bootstrap", "bound", "disjoint", "coverage", "wrong sign"]
    header += [f"found {effect}" for effect in EFFECTS]
    header += [f"runs {effect}" for effect in ("A/A", "+5%", "+50%")] + ["live A/A false", "live +5% found"]
    lines = [header, ["---"] * len(header)]
    lines += [_cells(condition, row) for condition in conditions for row in condition.rows]
    notes = [
        "isobench's rates are replayed: windows of one interleaved stream at random starts, A/A relabelled within "
        "blocks; `disjoint` windows fit side by side. `bound` is one-sided, 95%. `coverage` is the least over all "
        "arms, with its 95% bootstrap. `runs` are timed runs per verdict, control and warm-ups included.",
        *map(_note, conditions),
    ]
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", *notes])


def _cells(condition: Condition, row: Row) -> list[str]:
    false = row.false
    return [
        condition.name,
        row.protocol,
        f"{false.share:.1%}",
        f"{false.low:.1%} to {false.high:.1%}",
        f"{false.upper:.1%}",
        str(false.disjoint),
        "" if row.coverage is None else f"{row.coverage.share:.1%} ({row.coverage.low:.1%} to {row.coverage.high:.1%})",
        f"{max(row.wrong.values()):.1%}",
        *(f"{row.found[effect].share:.0%}" if effect in row.found else "" for effect in EFFECTS),
        *(f"{row.runs[effect]:.0f}" for effect in ("A/A", "+5%", "+50%")),
        _shown(row.live_null),
        _shown(row.live_effect),
    ]


def _shown(live: Live | None) -> str:
    if live is None:
        return ""
    return f"{live.happened}/{live.trials} ({'agrees' if live.agrees else 'disagrees'})"


def _note(condition: Condition) -> str:
    slow_downs = ", ".join(f"{arm} {slow_down:+.2%}" for arm, slow_down in condition.achieved.items())
    return (
        f"{condition.name}: robust sd of paired log ratios {condition.robust_sd:.3f}, median wall time of a run "
        f"{condition.wall_ms:.1f} ms, achieved slow-downs {slow_downs}."
    )


def _plain(row: Row) -> dict[str, Any]:
    """A row without tuples, so that its JSON has names everywhere."""
    return row._asdict() | {
        "false": row.false._asdict(),
        "coverage": row.coverage and row.coverage._asdict(),
        "found": {effect: rate._asdict() for effect, rate in row.found.items()},
        "live_null": row.live_null and row.live_null._asdict(),
        "live_effect": row.live_effect and row.live_effect._asdict(),
    }

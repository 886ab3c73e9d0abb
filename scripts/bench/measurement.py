"""Measures isobench's protocol on this machine against the protocols in use: false, found, coverage and runs.

    python scripts/bench/measurement.py [--state .work/bench/measurement] [--smoke] [--condition idle ...]

Under each condition (idle, other core busy, same core busy) the probe times one interleaved stream of six arms, one
with a +50% arm, a sequential stream per competing protocol, and live measurements. Every line is kept in the state
folder as it comes: run the same command again to go on. Prints one table and, as its last line, the numbers as JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from report import COMPETITORS, CYCLE, Condition, analyse, table
from stream_worker import Task, whole_lines
from workload import Places, build_arms, busy

from isobench.probe.machine import describe_machine

OPERATOR: Final = Path(__file__).resolve().parents[2] / "operator"
STREAM_ARMS: Final = ["base", "control", "+2%", "+3%", "+5%", "+10%"]
LARGE_ARMS: Final = ["base", "control", "+50%"]
LIVE_NULL: Final = ["base", "equal", "control"]
LIVE_EFFECT: Final = ["base", "+5%", "control"]


class Size(NamedTuple):
    """How much is timed: blocks of both interleaved streams, cycles per competing protocol, live trials."""

    conditions: dict[str, tuple[int, int]]
    """Per condition the numbers of live A/A and live +5% trials."""
    blocks: int
    large_blocks: int
    cycles: dict[str, int]
    max_pairs: int
    replayed_trials: int


FULL: Final = Size(
    conditions={"idle": (60, 30), "other core busy": (30, 15), "same core busy": (10, 5)},
    blocks=3000,
    large_blocks=320,
    cycles={"1 run": 150, "5 runs": 40, "3+20 runs": 20},
    max_pairs=160,
    replayed_trials=2000,
)
SMOKE: Final = Size(
    conditions={"other core busy": (1, 1)},
    blocks=16,
    large_blocks=16,
    cycles={"1 run": 1, "5 runs": 1, "3+20 runs": 1},
    max_pairs=15,
    replayed_trials=50,
)


def tasks(condition: str, size: Size, places: Places, state: Path, core: int) -> dict[str, Task]:
    """The streams of one condition by name, in the order in which they are timed."""
    null_trials, effect_trials = size.conditions[condition]
    folder = state / condition.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)

    def task(name: str, kind: str, arms: list[str], lines: int, repeats: int = 1) -> Task:
        output = folder / f"{name.replace(' ', '-')}.jsonl"
        seed = sum(map(ord, condition + name))
        return Task(kind, arms, repeats, lines, core, size.max_pairs, seed, places, str(state / "scratch"), str(output))

    streams = {
        "interleaved": task("interleaved", "interleaved", STREAM_ARMS, size.blocks),
        "large": task("large", "interleaved", LARGE_ARMS, size.large_blocks),
        "live null": task("live null", "live", LIVE_NULL, null_trials),
        "live effect": task("live effect", "live", LIVE_EFFECT, effect_trials),
    }
    for protocol, competitor in COMPETITORS.items():
        streams[protocol] = task(protocol, "sequential", list(CYCLE), size.cycles[protocol], competitor.repeats)
    return streams


def time_stream(name: str, task: Task) -> None:
    """Time what is missing of a stream in a process of its own."""
    if len(whole_lines(Path(task.output))) >= task.lines:
        return
    started = time.monotonic()
    worker = Path(__file__).with_name("stream_worker.py")
    environment = os.environ | {"PYTHONPATH": str(OPERATOR)}
    finished = subprocess.run([sys.executable, str(worker), json.dumps(task._asdict())], env=environment)
    if finished.returncode != 0:
        raise SystemExit(f"timing {name} ended early; what it timed is kept, and the same command goes on from there")
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


def timed_and_other_core() -> tuple[int, int]:
    """The core that is timed, and the one that is kept busy beside it."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit(f"this benchmark needs two cores and may use only {cores}: allow it another one")
    return cores[-1], cores[0]


def measure(size: Size, chosen: Sequence[str], state: Path) -> list[Condition]:
    """Time the chosen conditions, then read what they left."""
    core, other = timed_and_other_core()
    (state / "scratch").mkdir(parents=True, exist_ok=True)
    places = build_arms(state, core)
    loads = {"idle": None, "other core busy": other, "same core busy": core}
    conditions = []
    for condition in chosen:
        streams = tasks(condition, size, places, state, core)
        with busy(loads[condition]):
            for name, task in streams.items():
                time_stream(f"{condition}, {name}", task)
        lines = {name: whole_lines(Path(task.output))[: task.lines] for name, task in streams.items()}
        conditions.append(analyse(condition, lines, size.max_pairs, size.replayed_trials))
    return conditions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, help="where samples are kept (default: below .work/bench)")
    parser.add_argument("--smoke", action="store_true", help="a tiny version of everything, in 20 s")
    parser.add_argument("--condition", action="append", choices=list(FULL.conditions), help="only this; repeatable")
    options = parser.parse_args()
    size, folder = (SMOKE, "measurement-smoke") if options.smoke else (FULL, "measurement")
    state = (options.state or Path(".work") / "bench" / folder).resolve()
    machine = describe_machine(timed_and_other_core()[0])
    conditions = measure(size, options.condition or list(size.conditions), state)
    print(table(conditions))
    numbers = [condition.numbers() for condition in conditions]
    print(json.dumps({"benchmark": "measurement", "smoke": options.smoke, "machine": machine, "conditions": numbers}))


if __name__ == "__main__":
    main()

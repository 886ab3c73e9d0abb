"""Builds the calibrated workload: one tree and one environment per arm, all paths of equal length, and the loads."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LONGEST_WALL_MS: Final = 14.0
"""Start-up and workload together: a little under the 15 ms allowed."""
PRINTED_MS: Final = (2.5, 3.5)
"""The workload's own time at least and at most: well over the millisecond that isobench asks for."""
CALIBRATION_RUNS: Final = 20

SLOW_DOWNS: Final = {"+2%": 0.02, "+3%": 0.03, "+5%": 0.05, "+10%": 0.10, "+50%": 0.50}
EQUAL_ARMS: Final = ("base", "control", "equal")
"""Separately built arms of the same workload: base, its control, and the head of live A/A trials."""

SCRIPT: Final = """\
import time

ITERATIONS = {iterations}


def work():
    total = 0
    for value in range(ITERATIONS):
        total += value * value % 7
    return total


start = time.perf_counter()
work()
print('{{"avg_ms": %.6f}}' % ((time.perf_counter() - start) * 1000))
"""

SPIN: Final = """\
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""

Places = dict[str, dict[str, str]]


def build_arms(state: Path, core: int) -> Places:
    """Build every arm below `state`, once: a later run finds the same workload. Returns each arm's paths."""
    kept = state / "arms.json"
    if kept.exists():
        places: Places = json.loads(kept.read_text())
        return places
    names = (*EQUAL_ARMS, *SLOW_DOWNS)
    places = {name: _build_environment(state, place) for place, name in enumerate(names)}
    iterations = _calibrate(places["base"], core)
    for name, place in places.items():
        slowed = round(iterations * (1 + SLOW_DOWNS.get(name, 0.0)))
        Path(place["script"]).write_text(SCRIPT.format(iterations=slowed))
    kept.with_suffix(".new").write_text(json.dumps(places))
    kept.with_suffix(".new").replace(kept)
    return places


@contextlib.contextmanager
def busy(core: int | None) -> Iterator[None]:
    """Keep a core busy by a process of its own while the block lasts; None keeps nothing busy."""
    if core is None:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", SPIN, str(core)]) as load:
        try:
            yield
        finally:
            load.kill()


def _build_environment(state: Path, place: int) -> dict[str, str]:
    tree, environment = state / f"tree-{place}", state / f"environment-{place}"
    tree.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)], check=True)
    return {
        "tree": str(tree),
        "script": str(tree / "efficiency_test.py"),
        "environment": str(environment),
        "python": str(environment / "bin" / "python"),
    }


def _calibrate(place: dict[str, str], core: int) -> int:
    """Iterations that keep a whole run under `LONGEST_WALL_MS` where this machine starts Python fast enough."""
    iterations = 20_000
    Path(place["script"]).write_text(SCRIPT.format(iterations=iterations))
    runs = [_run(place, core) for _ in range(CALIBRATION_RUNS)]
    printed = min(printed for printed, _ in runs)
    start_up = min(wall - printed for printed, wall in runs)
    shortest, longest = PRINTED_MS
    return round(iterations * max(shortest, min(longest, LONGEST_WALL_MS - start_up)) / printed)


def _run(place: dict[str, str], core: int) -> tuple[float, float]:
    """Printed and wall milliseconds of one run."""
    started = time.perf_counter()
    finished = subprocess.run(
        [place["python"], place["script"]],
        check=True,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    return json.loads(finished.stdout)["avg_ms"], (time.perf_counter() - started) * 1000

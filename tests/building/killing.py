"""Runs that are killed at random instants and started again, and what must be true of them when they have ended."""

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from building.bench import Bench, Event, events_of, strict_json, told
from building.processes import survivors
from building.swift_history import TEST, SwiftHistory

BATCH = "killed"
STAGES = ("prepare", "timing", "collect")
SECONDS_TO_DIE = 10.0
MEASURED = {"duration_changes", "human_performance", "measurement", "api_manifest_paths"}
"""Fields of a record that no two runs have in common."""


@dataclass(frozen=True)
class Instant:
    """So many seconds after a run's start; after the first start of ``stage`` where one is given."""

    seconds: float
    stage: str | None = None


@dataclass(frozen=True)
class Kill:
    """One delivered SIGKILL: what the run had last told, and the processes that outlived it for long."""

    instant: Instant
    during: str
    left: list[str]


@dataclass(frozen=True)
class Campaign:
    """One batch on a fresh work root: killed, started again, killed again, and at last run to its end."""

    kills: list[Kill]
    wrong: list[str]


def write_manifest(bench: Bench, swift: SwiftHistory) -> Path:
    """Two items that are recorded and one that is not."""
    commits = [{"head": head} for head in (swift.merged, swift.unbuildable, swift.slower)]
    return bench.manifest(BATCH, swift.path, commits, test={"inline": TEST}, timing={"minPairs": 8, "maxPairs": 8})


def draw_instants(seed: int, count: int, events: Sequence[tuple[float, Event]]) -> list[Instant]:
    """Instants over the length of a run that told ``events`` (seconds from its start); every third aims at a stage."""
    draw, length = random.Random(seed), events[-1][0]
    stages = [STAGES[number // 3 % len(STAGES)] if number % 3 == 2 else None for number in range(count)]
    return [Instant(draw.uniform(0, _stage_length(stage, events) if stage else length), stage) for stage in stages]


def _stage_length(stage: str, events: Sequence[tuple[float, Event]]) -> float:
    """Seconds from the first start of a stage to what was told next that is not its progress."""
    told_of = [(at, event) for at, event in events if event["event"] != "StageProgress"]
    return next(end - start for (start, event), (end, _) in pairwise(told_of) if event.get("stage") == stage)


def timed_run(bench: Bench, manifest: Path) -> list[tuple[float, Event]]:
    """Run to the end without a kill; the events with the seconds at which they were told."""
    started = time.monotonic()
    with bench.start("run", manifest, "--json") as process:
        assert process.stdout is not None
        return [(time.monotonic() - started, strict_json(line)) for line in process.stdout]


def campaigns(folder: Path, swift: SwiftHistory, reference: Bench, instants: Sequence[Instant]) -> Iterator[Campaign]:
    """Deliver a kill at each of the instants, on as many work roots as that takes.

    A start that ends before its instant has come ends its campaign; an instant that the first start of a campaign
    does not live to see is halved.
    """
    pending, number = list(instants), 0
    while pending:
        number += 1
        bench = Bench(folder / f"bench-{number}")
        manifest, kills = write_manifest(bench, swift), []
        while pending and (kill := strike(bench, manifest, pending[0])):
            kills.append(kill)
            del pending[0]
        if not kills:
            pending[0] = replace(pending[0], seconds=pending[0].seconds / 2)
        yield Campaign(kills, list(findings(bench, manifest, reference)))


def strike(bench: Bench, manifest: Path, instant: Instant) -> Kill | None:
    """Start the run and kill it (alone, its children not) at the instant; None when it had ended before."""
    with bench.start("run", manifest, "--json") as process:
        last = _follow_until(process, instant)
        if last is None:
            return None
        os.kill(process.pid, signal.SIGKILL)
    return Kill(instant, last, survivors(bench.folder, SECONDS_TO_DIE))


def _follow_until(process: subprocess.Popen[str], instant: Instant) -> str | None:
    """What the run had told by the instant; None when it ended first."""
    assert process.stdout is not None
    deadline = time.monotonic() + instant.seconds if instant.stage is None else float("inf")
    printed, pipe = b"", process.stdout.fileno()
    while (remaining := deadline - time.monotonic()) > 0:
        if not select.select([pipe], [], [], None if remaining == float("inf") else remaining)[0]:
            break
        chunk = os.read(pipe, 65536)
        if not chunk:
            return None
        printed += chunk
        if deadline == float("inf") and any(event.get("stage") == instant.stage for event in _whole(printed)):
            deadline = time.monotonic() + instant.seconds
    return _in_words(_whole(printed))


def _whole(printed: bytes) -> list[Event]:
    return events_of(printed[: printed.rfind(b"\n") + 1].decode())


def _in_words(events: Sequence[Event]) -> str:
    if not events:
        return "start"
    last = events[-1]
    words = [str(last[key]) for key in ("stage", "text") if last.get(key)]
    return " ".join(words) if words else str(last["event"])


def findings(bench: Bench, manifest: Path, reference: Bench) -> Iterator[str]:
    """Run the batch to its end, and say what is wrong with it beside ``reference``, which was never killed."""
    ended = bench.run("run", manifest, "--json")
    if ended.returncode != 1:
        yield f"the last start exits with {ended.returncode}: {ended.stderr}"
        return
    if torn := list(_torn_files(bench)):
        yield from torn
        return
    yield from _records(bench, reference)
    yield from _journals(bench, reference)
    yield from _trees_and_environments(bench, reference)
    again = bench.run("run", manifest, "--json")
    if again.returncode != 1 or told(events_of(again.stdout), "StageStarted"):
        yield f"one more start does something again: {again.stdout}"
    yield from (f"a process is left: {process}" for process in survivors(bench.folder, SECONDS_TO_DIE))


def _records(bench: Bench, reference: Bench) -> Iterator[str]:
    rows, wanted = bench.rows(BATCH), reference.rows(BATCH)
    heads = sorted(row["head_commit"] for row in rows)
    if heads != sorted(row["head_commit"] for row in wanted):
        yield f"the dataset has records of {heads}"
        return
    for row, other in zip(sorted(rows, key=_head), sorted(wanted, key=_head), strict=True):
        yield from (f"{_head(row)}: {key} differs" for key in row.keys() - MEASURED if row[key] != other.get(key))
    if names := [path.name for path in bench.data.iterdir() if path.name != f"{BATCH}.jsonl"]:
        yield f"the data folder also holds {names}"


def _head(row: dict[str, Any]) -> str:
    return str(row["head_commit"])


def _journals(bench: Bench, reference: Bench) -> Iterator[str]:
    found = set((bench.work / "state" / "runs").rglob("journal.json"))
    expected = {head: folder / "journal.json" for head, folder in bench.items(BATCH).items()}
    if found != set(expected.values()):
        yield f"there are journals {sorted(map(str, found))}"
        return
    for head, folder in reference.items(BATCH).items():
        journal, other = strict_json(expected[head].read_text()), strict_json((folder / "journal.json").read_text())
        if (journal["outcome"], len(journal["stages"])) != (other["outcome"], len(other["stages"])):
            yield f"the journal of {head} says {journal['outcome']} after {len(journal['stages'])} stages"


def _torn_files(bench: Bench) -> Iterator[str]:
    for path in [path for kind in ("*.json", "*.jsonl") for path in bench.folder.rglob(kind)]:
        if path.name.startswith("."):  # never under its own name, so never read
            continue
        try:
            for text in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                strict_json(text)
        except ValueError:
            yield f"{path} is torn"


def _trees_and_environments(bench: Bench, reference: Bench) -> Iterator[str]:
    trees = {tree.name: tree for tree in (bench.work / "trees").iterdir() if not tree.name.startswith(".")}
    for tree in (reference.work / "trees").iterdir():
        if tree.name not in trees or _contents(trees[tree.name]) != _contents(tree):
            yield f"the tree {tree.name} is not whole"
    for folder in bench.items(BATCH).values():
        if not (folder / "prepared.json").exists():
            continue
        for arm in strict_json((folder / "prepared.json").read_text())["arms"]:
            installed = next(Path(arm["environment"]).glob("venv/lib/python*/site-packages/swift"))
            code = Path(arm["tree"], "swift", "__init__.py").read_bytes()
            if (installed / "__init__.py").read_bytes() != code or _answer(arm["python"]) != "works":
                yield f"the environment of {arm['name']} in {folder.name} is not whole"


def _contents(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def _answer(python: str) -> str:
    command = [python, "-I", "-B", "-c", "import swift; print('works')"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

"""Measures what an item costs on one machine besides its timed runs, against the flow that isobench replaces.

    python scripts/bench/local_pipeline.py [--repository URL_OR_PATH] [--python 3.12] [--installer uv|pip] [--count 20]

Real commits of one repository go through the whole pipeline in one batch, and before each of them the same commit goes
through the old flow. Both get the repository by git's own protocol from a server on this machine (file://, with partial
clones, as public servers offer them), begin with an empty folder, and are on the same Python. An item's cost is
everything from the end of the item before to its own end, less the wall time of the timed runs. Prints one table and,
as its last line, the numbers as JSON. With --memory: the peak memory of dry batches of 100 and of 1,000 items instead.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dry_memory import measure_memory
from old_flow import OldFlow

from isobench.adapters.environments import find_uv
from isobench.adapters.files import read_json
from isobench.adapters.interpreters import interpreters
from isobench.contracts.objects import BatchCommit, BatchSpec, BatchTemplate, CommitBenchmarkBatch, Metadata
from isobench.contracts.reasons import Reason
from isobench.contracts.spec import EfficiencyTest, EnvironmentSpec, RepositorySpec, TimingSpec
from isobench.contracts.status import StageName
from isobench.engine.commit_plan import parse_commit_plan
from isobench.local.batch_state import BatchState, Item, open_batch
from isobench.local.events import Event, ItemEnded, RunStarted
from isobench.local.executor import Executor
from isobench.local.inputs import Supplies, test_in
from isobench.local.work_root import WorkRoot
from isobench.local.workbench import Workbench, now

AIM: Final = 10.0
PAIRS: Final = 10
"""The fewest that give a verdict by the defaults: what is timed is of no interest here."""

TEST: Final = """import json, time
import {package}
started = time.perf_counter()
total = sum(range(100_000))
print(json.dumps({{"avg_ms": (time.perf_counter() - started) * 1000}}))
"""


@dataclass(frozen=True)
class Pair:
    """One commit of the comparison, full hashes."""

    base: str
    head: str
    test: str


@dataclass
class Row:
    """What one item cost in seconds, both ways; the steps of either say where it went."""

    head: str
    old: dict[str, float]
    new_seconds: float = 0.0
    outcome: Reason | None = None
    steps: dict[str, float] | None = None

    @property
    def old_seconds(self) -> float:
        """The old flow's cost."""
        return sum(self.old.values())


@dataclass
class Comparison:
    """Listens to a run: before each item it lets the old flow build the same commit, and it times the item."""

    old: OldFlow
    pairs: Sequence[Pair]
    main: str
    items: Sequence[Item]
    rows: list[Row]
    began: float = 0.0

    def __call__(self, event: Event) -> None:
        """The executor runs one item at a time, and waits for its listener."""
        if isinstance(event, ItemEnded):
            self._end(event.reason)
        if isinstance(event, RunStarted | ItemEnded) and len(self.rows) < len(self.pairs):
            pair = self.pairs[len(self.rows)]
            self.rows.append(Row(pair.head, self.old.build([pair.base, pair.head, self.main])))
            self.began = time.perf_counter()

    def _end(self, outcome: Reason) -> None:
        elapsed = time.perf_counter() - self.began
        row = self.rows[-1]
        item = self.items[len(self.rows) - 1]
        timed_runs = _timed_runs(item)
        row.new_seconds, row.outcome = elapsed - timed_runs, outcome
        row.steps = _stages(item)
        row.steps[StageName.TIMING] = row.steps.get(StageName.TIMING, 0.0) - timed_runs
        print(f"{row.head[:12]} old {row.old_seconds:.2f} s, new {row.new_seconds:.2f} s: {outcome}", file=sys.stderr)


def _timed_runs(item: Item) -> float:
    """Seconds of wall time that the test's own processes took."""
    result = item.workspace.probe("timing") / "output" / "result.json"
    return sum(sample["wall_ms"] for sample in read_json(result)["samples"]) / 1000 if result.exists() else 0.0


def _stages(item: Item) -> dict[str, float]:
    return {
        stage.name: (stage.finished_at - stage.started_at).total_seconds()
        for stage in item.status().stages
        if stage.started_at and stage.finished_at
    }


def compare(pairs: Sequence[Pair], source: str, main: str, state: Path, options: argparse.Namespace) -> list[Row]:
    """Take every pair through both flows, one after the other."""
    old = OldFlow(source, _interpreter(options.python), state / "old", find_uv(), options.installer)
    old.build([pairs[0].base, pairs[0].head, main])  # fills its cache
    root = WorkRoot(state / "new")
    root.create()
    run = open_batch(root, _batch(pairs, source, options.python), {source: "bench/local-pipeline"}, now(), fresh=True)
    comparison = Comparison(old, pairs, main, list(run.items()), [])
    _execute(run, state / "data", comparison)
    return comparison.rows


def _interpreter(python: str) -> Path:
    here = [found.executable for found in interpreters() if f"{found.version}.".startswith(f"{python}.")]
    return here[0] if here else sys.exit(f"there is no Python {python} here: name another by --python")


def _execute(run: BatchState, data: Path, tell: Callable[[Event], None]) -> None:
    workbench = Workbench(run, Supplies(), data, allow_network=False, tell=tell)
    Executor(run, workbench.plan_of, workbench.run_stage, tell, now).run()


def _batch(pairs: Sequence[Pair], source: str, python: str) -> CommitBenchmarkBatch:
    template = BatchTemplate(
        repository=RepositorySpec(url=source),
        environment=EnvironmentSpec(python=python),
        timing=TimingSpec(warmup=0, min_pairs=PAIRS, max_pairs=PAIRS),
    )
    commits = [BatchCommit(head=pair.head, base=pair.base, test=EfficiencyTest(inline=pair.test)) for pair in pairs]
    return CommitBenchmarkBatch(
        metadata=Metadata(name="local-pipeline"), spec=BatchSpec(commits=commits, template=template)
    )


def serve(repository: str, mirror: Path) -> str:
    """A bare copy of the repository that offers what public servers do; its file:// address."""
    if not mirror.is_dir():
        _git("clone", "--quiet", "--mirror", repository, str(mirror))
        _git("-C", str(mirror), "config", "uploadpack.allowFilter", "true")
        _git("-C", str(mirror), "config", "uploadpack.allowAnySHA1InWant", "true")
    return mirror.as_uri()


def choose(mirror: Path, package: str, options: argparse.Namespace) -> list[Pair]:
    """The listed commits; else the newest ones that change code of the package and are no merges."""
    asked = [(commit, f"{commit}^") for commit in _newest(mirror, package, options.count)]
    if options.commits is not None:
        listed = parse_commit_plan(options.commits.read_text(encoding="utf-8")).commits[: options.count]
        asked = [(row.head, row.base or f"{row.head}^{row.parent}") for row in listed]
    pairs = []
    for head, base in asked:
        supplied = test_in(options.tests, head) if options.tests is not None else None
        pairs.append(Pair(_resolve(mirror, base), _resolve(mirror, head), supplied or TEST.format(package=package)))
    return pairs


def _newest(mirror: Path, package: str, count: int) -> list[str]:
    code = f":(glob)**/{package}/**/*.py"
    return _git("-C", str(mirror), "log", "--no-merges", "--format=%H", f"-{count}", "HEAD", "--", code).split()


def _resolve(mirror: Path, reference: str) -> str:
    return _git("-C", str(mirror), "rev-parse", "--verify", f"{reference}^{{commit}}").strip()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def table(rows: Sequence[Row]) -> str:
    """One line an item, then the first, and the median and total of the others."""
    first, *others = rows
    lines = [
        f"{'item':>4} {'commit':12} {'old s':>8} {'new s':>8} {'ratio':>6}",
        *(_line(f"{n:>4} {row.head[:12]}", row.old_seconds, row.new_seconds) for n, row in enumerate(rows, 1)),
        _line(f"{'first item':17}", first.old_seconds, first.new_seconds),
    ]
    if others:
        lines += [_line(f"{name:17}", *figures) for name, figures in _after_the_first(others).items()]
    return "\n".join(lines)


def _line(name: str, old: float, new: float) -> str:
    return f"{name} {old:8.2f} {new:8.2f} {old / new:6.1f}"


def _after_the_first(others: Sequence[Row]) -> dict[str, tuple[float, float]]:
    old, new = [row.old_seconds for row in others], [row.new_seconds for row in others]
    return {"median after it": (statistics.median(old), statistics.median(new)), "total after it": (sum(old), sum(new))}


def numbers(rows: Sequence[Row]) -> dict[str, Any]:
    """The same for machines, with where the seconds went."""
    after = _after_the_first(rows[1:]) if len(rows) > 1 else {}
    return {
        "aim": AIM,
        "first": [rows[0].old_seconds, rows[0].new_seconds],
        "after_the_first": {name: {"old": old, "new": new, "ratio": old / new} for name, (old, new) in after.items()},
        "items": [
            {"head": r.head, "outcome": r.outcome, "old": r.old, "new_seconds": r.new_seconds, "new": r.steps}
            for r in rows
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", default="https://github.com/networkx/networkx", help="URL or path")
    parser.add_argument("--package", help="what tests import (default: the repository's name)")
    parser.add_argument("--python", default="3.12", help="Python of both flows (default: 3.12)")
    parser.add_argument("--installer", choices=["uv", "pip"], default="uv", help="of the old flow (default: uv)")
    parser.add_argument("--commits", type=Path, help="list of commits (default: the newest of the package)")
    parser.add_argument("--tests", type=Path, help="folder of <sha>_test_case_generator.py")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--state", type=Path, default=Path(".work") / "bench" / "local-pipeline")
    parser.add_argument("--memory", action="store_true", help="peak memory of dry batches instead")
    options = parser.parse_args()
    name = options.repository.rstrip("/").rpartition("/")[2].removesuffix(".git")
    package = options.package or name.replace("-", "_")
    state = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    mirror = state / f"{name}.git"
    source = serve(options.repository, mirror)
    if options.memory:
        print(measure_memory(mirror, state / "memory"))
        return
    for flow in ("old", "new", "data"):
        shutil.rmtree(state / flow, ignore_errors=True)
    pairs = choose(mirror, package, options)
    load = os.getloadavg()[0]
    rows = compare(pairs, source, _resolve(mirror, "HEAD"), state, options)
    print(table(rows))
    described = {"benchmark": "local_pipeline", "repository": name, "python": options.python, "old": options.installer}
    print(json.dumps({**described, "load_before": load, "load_after": os.getloadavg()[0], **numbers(rows)}))


if __name__ == "__main__":
    main()

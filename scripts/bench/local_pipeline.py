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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from dry_memory import measure_memory
from new_flow import Cost, NewFlow, Pair
from old_flow import OldFlow

from isobench.adapters.inputs import test_in
from isobench.adapters.python.environments import find_uv
from isobench.adapters.python.interpreters import interpreters
from isobench.contracts.reasons import Reason
from isobench.engine.commit_plan import parse_commit_plan

AIM: Final = 10.0
TEST: Final = """import json, time
import {package}
started = time.perf_counter()
total = sum(range(100_000))
print(json.dumps({{"avg_ms": (time.perf_counter() - started) * 1000}}))
"""


class Row(NamedTuple):
    """What one item cost, both ways; the old one by step."""

    head: str
    old: dict[str, float]
    new: Cost

    @property
    def old_seconds(self) -> float:
        """The old flow's cost."""
        return sum(self.old.values())


def compare(pairs: Sequence[Pair], main: str, old_flow: OldFlow, new_flow: NewFlow) -> list[Row]:
    """Take every pair through both flows, one after the other."""
    old_costs: list[dict[str, float]] = []

    def build_old(item: int) -> None:
        old_costs.append(old_flow.build([pairs[item].base, pairs[item].head, main]))
        print(f"item {item + 1}: old {sum(old_costs[-1].values()):.2f} s", file=sys.stderr)

    old_flow.build([pairs[0].base, pairs[0].head, main])  # fills its caches
    new_costs = new_flow.run(pairs, build_old)
    return [Row(pair.head, old, new) for pair, old, new in zip(pairs, old_costs, new_costs, strict=True)]


def serve(repository: str, mirror: Path) -> str:
    """A bare copy of the repository that offers what public servers do; its file:// address."""
    if not mirror.is_dir():
        _git("clone", "--quiet", "--mirror", repository, str(mirror))
        _git("-C", str(mirror), "config", "uploadpack.allowFilter", "true")
        _git("-C", str(mirror), "config", "uploadpack.allowAnySHA1InWant", "true")
    return mirror.as_uri()


def choose(mirror: Path, package: str, options: argparse.Namespace) -> list[Pair]:
    """The listed commits; else the newest ones that change code of the package and are no merges."""
    if options.commits is not None:
        listed = parse_commit_plan(options.commits.read_text(encoding="utf-8")).commits[: options.count]
        asked = [(row.head, row.base or f"{row.head}^{row.parent}") for row in listed]
    else:
        asked = [(commit, f"{commit}^") for commit in _newest(mirror, package, options.count)]
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


def _interpreter(python: str) -> Path:
    here = [found.executable for found in interpreters() if f"{found.version}.".startswith(f"{python}.")]
    return here[0] if here else sys.exit(f"there is no Python {python} here: name another by --python")


def table(rows: Sequence[Row]) -> str:
    """One line an item, then the first, the median and the total of the others."""
    items = [(f"{number:4} {row.head[:12]}", row.old_seconds, row.new.seconds) for number, row in enumerate(rows, 1)]
    lines = [f"{'item commit':20} {'old s':>8} {'new s':>8} {'ratio':>6}"]
    for name, old, new in [*items, *_summary(rows)]:
        lines.append(f"{name:20} {old:8.2f} {new:8.2f} {old / new:6.1f}")
    recorded = sum(row.new.outcome == Reason.RECORDED for row in rows)
    return "\n".join([*lines, f"{recorded} of {len(rows)} items were recorded"])


def _summary(rows: Sequence[Row]) -> list[tuple[str, float, float]]:
    old, new = [row.old_seconds for row in rows], [row.new.seconds for row in rows]
    return [
        ("first item", old[0], new[0]),
        ("median after it", statistics.median(old[1:]), statistics.median(new[1:])),
        ("total after it", sum(old[1:]), sum(new[1:])),
    ]


def numbers(rows: Sequence[Row]) -> dict[str, Any]:
    """The same for machines, with where the seconds went."""
    return {
        "aim": AIM,
        "summary": {name: {"old": old, "new": new, "ratio": old / new} for name, old, new in _summary(rows)},
        "items": [{"head": row.head, "old": row.old, "new": row.new._asdict()} for row in rows],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repository", default="https://github.com/networkx/networkx", help="URL or path")
    parser.add_argument("--package", help="what tests import (default: the repository's name)")
    parser.add_argument("--python", default="3.12", help="Python of both flows (default: 3.12)")
    parser.add_argument("--installer", choices=["uv", "pip"], default="uv", help="of the old flow (default: uv)")
    parser.add_argument("--commits", type=Path, help="list of commits (default: the newest of the package)")
    parser.add_argument("--tests", type=Path, help="folder of <sha>_test_case_generator.py")
    parser.add_argument("--count", type=int, default=20, help="how many commits, 2 or more (default: 20)")
    parser.add_argument("--state", type=Path, default=Path(".work") / "bench" / "local-pipeline")
    parser.add_argument("--memory", action="store_true", help="peak memory of dry batches instead")
    options = parser.parse_args()
    name = options.repository.rstrip("/").rpartition("/")[2].removesuffix(".git")
    state = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True)
    mirror = state / f"{name}.git"
    source = serve(options.repository, mirror)
    if options.memory:
        print(measure_memory(mirror, state / "memory"))
        return
    for flow in ("old", "new"):
        shutil.rmtree(state / flow, ignore_errors=True)
    old = OldFlow(source, _interpreter(options.python), state / "old", find_uv(), options.installer)
    new = NewFlow(source, options.python, state / "new")
    load = os.getloadavg()[0]
    pairs = choose(mirror, options.package or name.replace("-", "_"), options)
    rows = compare(pairs, _resolve(mirror, "HEAD"), old, new)
    print(table(rows))
    described = {"benchmark": "local_pipeline", "repository": name, "python": options.python, "old": options.installer}
    print(json.dumps({**described, "load_before": load, "load_after": os.getloadavg()[0], **numbers(rows)}))


if __name__ == "__main__":
    main()

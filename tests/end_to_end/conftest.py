"""One finished run over every way in which an item can end, made once for all tests that only look at it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from building.bench import Bench
from building.swift_history import TEST, SwiftHistory, write_history
from isobench.adapters.inputs_archive import write_archive
from isobench.adapters.made_once import make_once

INSTANT_TEST = "print('Execution time: 0.000000100s')\n"
SYNTAX_ERROR = "def total(:\n"
BINARY = b"\xff\xfe\x00 not a script"


@pytest.fixture
def bench(tmp_path):
    """A folder of one test's own."""
    return Bench(tmp_path / "bench")


@pytest.fixture(scope="session")
def swift(tmp_path_factory):
    """The project and its history; only read."""
    return write_history(tmp_path_factory.mktemp("source") / "swift")


@dataclass(frozen=True)
class Finished:
    """A bench with two batches that have ended: `blocks` over every outcome, and `single` by the old protocol."""

    bench: Bench
    swift: SwiftHistory
    commits: dict[str, str]
    """Head commit by what becomes of the item."""
    exits: dict[str, int]
    events: dict[str, str]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, swift):
    """Only looked at; made by the first process of the test run that wants it."""
    here = tmp_path_factory.getbasetemp()
    folder = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "finished"
    facts = make_once(folder, lambda: _finish(folder, swift)).facts
    return Finished(Bench(folder / "bench"), swift, outcomes(swift), facts["exits"], facts["events"])


def outcomes(swift):
    """A commit for each outcome."""
    names = ("no test", "syntax error", "empty", "binary", "below resolution", "unreachable")
    return {
        "faster": swift.merged,
        "neutral": swift.neutral,
        "slower": swift.slower,
        "failing": swift.failing,
        "different": swift.different,
        "unbuildable": swift.unbuildable,
        "missing": "f" * 40,
        "root": swift.root,
    } | dict(zip(names, swift.plain, strict=False))


def _finish(folder: Path, swift: SwiftHistory):
    bench, head = Bench(folder / "bench"), outcomes(swift)
    tests = dict.fromkeys(
        ("faster", "neutral", "slower", "failing", "different", "unbuildable", "missing", "root"), TEST
    )
    tests |= {"syntax error": SYNTAX_ERROR, "empty": "", "below resolution": INSTANT_TEST, "unreachable": TEST}
    commits = [{"head": head[name], **({"test": {"inline": tests[name]}} if name in tests else {})} for name in head]
    commits[-1]["repository"] = {"url": "http://127.0.0.1:1/fast/swift.git"}
    archive = bench.folder / "inputs.tar.gz"
    write_archive(archive, [(f"tests/{head['binary']}_test_case_generator.py", BINARY)])
    inputs = {"uri": archive.name, "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    old = [{"head": head[name]} for name in ("faster", "slower", "failing")]
    manifests = [
        bench.manifest("blocks", swift.path, commits, inputs=inputs, api="swift.total"),
        bench.manifest(
            "single", swift.path, old, test={"inline": TEST}, timing={"protocol": "single"}, api="swift.total"
        ),
    ]
    ended = {manifest.stem: bench.run("run", manifest, "--json") for manifest in manifests}
    return {
        "exits": {name: run.returncode for name, run in ended.items()},
        "events": {name: run.stdout for name, run in ended.items()},
    }

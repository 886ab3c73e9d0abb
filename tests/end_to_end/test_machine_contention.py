"""Two runs on one machine: they never time at once, and never share a work root."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest

from building.bench import Bench, strict_json, wait_for
from building.swift_history import ENDLESS_TEST, TEST

pytestmark = pytest.mark.slow


def timed_intervals(process):
    """For each item the instants at which its first and its last timed block were told."""
    told_at = {}
    for line in process.stdout:
        event = strict_json(line)
        if event["event"] == "StageProgress" and event["pairs"] is not None:
            told_at.setdefault(event["item"], []).append(time.monotonic())
    return [(instants[0], instants[-1]) for instants in told_at.values()]


def test_two_runs_with_work_roots_of_their_own_never_time_at_once(tmp_path, swift):
    benches = [Bench(tmp_path / name) for name in ("one", "other")]
    commits = [{"head": swift.merged}, {"head": swift.slower}]
    manifests = [bench.manifest("shared", swift.path, commits, test={"inline": TEST}) for bench in benches]
    runs = [bench.start("run", manifest, "--json") for bench, manifest in zip(benches, manifests, strict=True)]
    with runs[0], runs[1], ThreadPoolExecutor(2) as pool:
        one, other = pool.map(timed_intervals, runs)

    assert [run.returncode for run in runs] == [0, 0]
    assert all(start < end for start, end in one + other)
    intervals = sorted(one + other)
    assert len(intervals) == 4
    assert all(end < start for (_, end), (start, _) in combinations(intervals, 2))


def test_a_second_run_on_the_same_work_root_is_refused_in_one_sentence_and_harms_nothing(bench, swift):
    manifest = bench.manifest("shared", swift.path, [{"head": swift.merged}], test={"inline": ENDLESS_TEST})
    with bench.start("run", manifest, "--json") as first:
        wait_for(first, "StageStarted", stage="timing")
        before = (bench.items("shared")[swift.merged] / "status.json").read_bytes()

        second = bench.run("run", manifest)

        assert second.returncode == 2
        assert second.stdout == ""
        assert second.stderr.count("\n") == 1
        assert "another isobench run is using it" in second.stderr
        assert first.poll() is None
        assert (bench.items("shared")[swift.merged] / "status.json").read_bytes() == before
        os.kill(first.pid, signal.SIGKILL)

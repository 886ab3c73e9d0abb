"""Ctrl-C: the first finishes the running stage, the second stops at once, and the same command goes on from there."""

import os
import signal

import pytest

from building.bench import events_of, strict_json, told, wait_for
from building.processes import survivors
from building.swift_history import ENDLESS_TEST, TEST

pytestmark = pytest.mark.slow


def press_ctrl_c(process):
    """What a terminal does: the signal goes to the whole foreground group."""
    os.killpg(process.pid, signal.SIGINT)


def test_the_first_ctrl_c_finishes_the_stage_and_the_same_command_goes_on_after_it(bench, swift):
    commits = [{"head": swift.merged}, {"head": swift.slower}]
    manifest = bench.manifest("stopped", swift.path, commits, test={"inline": TEST})
    with bench.start("run", manifest, "--json") as process:
        (first,) = told(wait_for(process, "StageStarted", stage="prepare"), "StageStarted")
        press_ctrl_c(process)
        rest = events_of(process.stdout.read())
        said = process.stderr.read()
    assert process.returncode == 130
    assert "stopping after the running stage" in said
    assert "Traceback" not in said
    assert told(rest, "StageStarted") == []
    assert told(rest, "RunEnded")[0]["interrupted"]
    assert (bench.items("stopped")[swift.merged] / "prepared.json").exists()

    resumed = bench.run("run", manifest, "--json")
    started = [(e["item"], e["stage"]) for e in told(events_of(resumed.stdout), "StageStarted")]
    assert resumed.returncode == 0
    assert [stage for item, stage in started if item == first["item"]] == ["timing", "collect"]
    assert [stage for item, stage in started if item != first["item"]] == ["prepare", "timing", "collect"]
    assert [row["head_commit"] for row in bench.rows("stopped")] == [swift.merged, swift.slower]


def test_the_second_ctrl_c_stops_at_once_and_takes_the_timed_run_with_it(bench, swift):
    manifest = bench.manifest("stopped", swift.path, [{"head": swift.merged}], test={"inline": ENDLESS_TEST})
    with bench.start("run", manifest, "--json") as process:
        wait_for(process, "StageStarted", stage="timing")
        press_ctrl_c(process)
        assert "stopping after the running stage" in process.stderr.readline()
        press_ctrl_c(process)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert rest == ""
    assert survivors(bench.folder, seconds=10) == []

    status = strict_json((bench.items("stopped")[swift.merged] / "status.json").read_text())
    assert [(stage["name"], stage["state"]) for stage in status["stages"]] == [
        ("prepare", "Succeeded"),
        ("timing", "Creating"),
    ]

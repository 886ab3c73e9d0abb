"""Ctrl-C: the first finishes the running stage, the second stops at once, and the same command goes on from there."""

import os
import pty
import signal
import sys

import pytest

from building.bench import events_of, strict_json, told, wait_for
from building.processes import survivors
from building.swift_history import ENDLESS_TEST, TEST

pytestmark = pytest.mark.slow

CTRL_C = b"\x03"
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


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


def test_on_a_terminal_the_second_ctrl_c_leaves_the_cursor_visible(bench, swift):
    manifest = bench.manifest("stopped", swift.path, [{"head": swift.merged}], test={"inline": ENDLESS_TEST})
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(bench.folder)
        command = [sys.executable, "-m", "isobench", "run", str(manifest)]
        os.execve(sys.executable, command, bench.environment | {"TERM": "xterm", "COLUMNS": "100"})
    assert HIDE_CURSOR in read_until(terminal, b"timing")
    os.write(terminal, CTRL_C)
    read_until(terminal, b"Ctrl-C again stops now")
    os.write(terminal, CTRL_C)
    rest = read_until(terminal, None)
    assert rest.rindex(SHOW_CURSOR) > rest.rfind(HIDE_CURSOR)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130


def read_until(terminal, words):
    """What is shown until ``words`` are; to the end without any."""
    shown = b""
    while words is None or words not in shown:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # how a terminal says that nobody writes to it any more
            assert words is None, shown
            return shown
    return shown

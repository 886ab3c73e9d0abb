"""The benchmark scripts, run as a person runs them, in their smallest size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "bench"


def run(script, *arguments):
    return subprocess.run([sys.executable, str(SCRIPTS / script), *arguments], capture_output=True, text=True)


def test_stopping_prints_one_table_and_a_line_of_json():
    finished = run("stopping.py", "--trials", "3")
    *table, last = finished.stdout.splitlines()
    rows = json.loads(last)["rows"]
    assert len(table) == len(rows) + 2
    assert all(line.startswith("| ") for line in table)
    assert {row["level"] for row in rows} == {0.98, 0.99, 0.995, 0.998}


@pytest.mark.slow
def test_measurement_prints_its_table_and_goes_on_from_what_a_killed_run_left(tmp_path):
    first = run("measurement.py", "--smoke", "--state", str(tmp_path))
    assert first.returncode == 0, first.stderr
    (condition,) = json.loads(first.stdout.splitlines()[-1])["conditions"]
    assert [row["protocol"] for row in condition["rows"]] == ["isobench", "1 run", "5 runs", "3+20 runs"]
    assert condition["rows"][0]["live_null"]["trials"] == 1

    recorded = {stream: stream.read_bytes() for stream in tmp_path.rglob("*.jsonl")}
    interrupted = next(stream for stream in recorded if stream.name == "interleaved.jsonl")
    whole = recorded.pop(interrupted).splitlines(keepends=True)
    interrupted.write_bytes(b"".join(whole[:10]) + whole[10][:7])

    second = run("measurement.py", "--smoke", "--state", str(tmp_path))
    assert second.returncode == 0, second.stderr
    resumed = interrupted.read_bytes().splitlines(keepends=True)
    assert (resumed[:10], len(resumed)) == (whole[:10], len(whole))
    assert {stream: stream.read_bytes() for stream in recorded} == recorded


def test_measurement_on_a_single_core_says_what_it_needs(tmp_path):
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, str(SCRIPTS / "measurement.py"), "--state", str(tmp_path)]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "needs two cores" in finished.stderr
    assert "Traceback" not in finished.stderr

"""The result on disk: whole, strictly valid JSON, and a summary that fits a termination message."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.probe.blocks import Look, Outcome, Sample, Timed
from isobench.probe.protocol import Measurement
from isobench.probe.result import SUMMARY_BYTES, outcome_fields, progress_line, write_result, write_summary
from isobench.probe.statistics import Interval

INTERVAL = Interval(0.5, 0.4, 0.6, 10, 0.99)


def result(message: str = "", **changes: Any) -> dict[str, Any]:
    arms = {name: {"reason": "ProcessLeftBehind"} for name in ("base", "head", "main", "agent", "control")}
    return {"stop": "MaxPairs", "message": message, "samples": [{"block": -1}, {"block": 0}], "arms": arms} | changes


def test_a_progress_line_is_one_line_of_json() -> None:
    line = progress_line(3, Look(4, {"base:head": INTERVAL, "base:main": None}))
    assert line.endswith("\n")
    assert json.loads(line) == {
        "event": "block",
        "block": 3,
        "pairs": 4,
        "comparisons": {"base:head": INTERVAL._asdict(), "base:main": None},
    }


@pytest.mark.parametrize(("instructions", "present"), [(None, False), (123, True)])
def test_instructions_are_absent_where_they_were_not_counted(instructions: int | None, present: bool) -> None:
    sample = Sample(0, 1, "head", Timed(Measurement(1.5, 0.1, 2, None), 0.25, 30.0, 20.0, instructions))
    [written] = outcome_fields(Outcome("Same", "", [sample], [], {}, {}))["samples"]
    assert ("instructions" in written) is present
    assert (written["arm"], written["printed_ms"], written["digit_ms"], written["start"]) == ("head", 1.5, 0.1, 0.25)


def test_a_result_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    tmp_path.joinpath("result.json").write_text("old")
    write_result(str(tmp_path), result())
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert json.loads(tmp_path.joinpath("result.json").read_text()) == result()


def test_what_is_not_json_is_not_written_and_the_old_result_stays(tmp_path: Path) -> None:
    tmp_path.joinpath("result.json").write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        write_result(str(tmp_path), result(samples=[{"printed_ms": float("nan")}]))
    assert tmp_path.joinpath("result.json").read_text() == "old"


@given(st.text(max_size=5000))
def test_a_summary_always_fits(tmp_path_factory: pytest.TempPathFactory, message: str) -> None:
    path = tmp_path_factory.mktemp("summary") / "termination"
    write_summary(str(path), result(message))
    assert path.stat().st_size <= SUMMARY_BYTES
    summary = json.loads(path.read_text())
    assert message.startswith(summary["message"])
    assert (summary["pairs"], summary["arms"]["base"]) == (1, "ProcessLeftBehind")

"""The result file and the short summary: strictly valid JSON that appears whole or not at all."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

from .blocks import Look, Outcome, Sample
from .statistics import Interval

RESULT_NAME = "result.json"
SUMMARY_BYTES = 2048


def progress_line(block: int, look: Look) -> str:
    """One block's event for whoever watches."""
    comparisons = _comparisons(look)
    return _json({"event": "block", "block": block, "pairs": look.pairs, "comparisons": comparisons}) + "\n"


def outcome_fields(outcome: Outcome) -> Dict[str, Any]:
    """Return the protocol's part of the result."""
    return {
        "looks": [{"pairs": look.pairs, "comparisons": _comparisons(look)} for look in outcome.looks],
        "stop": outcome.stop,
        "message": outcome.message,
        "dropped": [{"arm": arm, "reason": reason} for arm, reason in outcome.dropped.items()],
        "samples": [_sample(sample) for sample in outcome.samples],
    }


def write_result(directory: str, result: Dict[str, Any]) -> None:
    """Write the whole result; raises OSError."""
    _replace(os.path.join(directory, RESULT_NAME), _json(result) + "\n")


def write_summary(path: str, result: Dict[str, Any]) -> None:
    """Write stop, pairs and reasons in at most 2 KiB, for a pod's termination message; raises OSError."""
    reasons = {name: arm["reason"] for name, arm in result["arms"].items()}
    blocks = {sample["block"] for sample in result["samples"] if sample["block"] >= 0}
    summary = {"version": 1, "stop": result["stop"], "pairs": len(blocks), "arms": reasons}
    room = SUMMARY_BYTES - len(_json({**summary, "message": ""}))
    # In the worst case a character takes six bytes as an escape.
    summary["message"] = result["message"][: max(room // 6, 0)]
    with open(path, "w", encoding="ascii") as file:  # in place: a pod's termination file is a mount of its own
        file.write(_json(summary))


def _sample(sample: Sample) -> Dict[str, Any]:
    timed = sample.timed
    fields: Dict[str, Any] = {
        "block": sample.block,
        "position": sample.position,
        "arm": sample.arm,
        "start": timed.start,
        "printed_ms": timed.measurement.printed_ms,
        "digit_ms": timed.measurement.digit_ms,
        "iterations": timed.measurement.iterations,
        "wall_ms": timed.wall_ms,
        "cpu_ms": timed.cpu_ms,
    }
    return fields if timed.instructions is None else {**fields, "instructions": timed.instructions}


def _comparisons(look: Look) -> Dict[str, Optional[Dict[str, float]]]:
    return {name: _interval(interval) for name, interval in look.comparisons.items()}


def _interval(interval: Optional[Interval]) -> Optional[Dict[str, float]]:
    return None if interval is None else interval._asdict()


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _replace(path: str, text: str) -> None:
    temporary = path + ".tmp"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

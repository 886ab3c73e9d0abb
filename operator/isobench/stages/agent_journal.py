"""The journal's files of an attempt, each bounded: what the agent printed, its steps, its patch."""

import json
import os
import stat
from pathlib import Path

from isobench.adapters.files import write_bytes, write_text
from isobench.contracts.attempt import Assignment
from isobench.contracts.prepared import Prepared
from isobench.engine.workspace import Room, Workspace

KEPT = ("progress.json", "steps.jsonl", "end.json")
KEPT_BYTES = 4 * 2**20
NO_MODEL = "none"


def keep_output(room: Room, own: Path, workspace: Workspace) -> None:
    """Take what the agent printed, and those of its own files that a reader wants, out of its room."""
    for stream in ("stdout", "stderr"):
        write_text(workspace.agent_output(stream), _text(room.control / f"{stream}.txt"))
    for name in KEPT:
        text = _text(room.folder / name)
        if text:
            write_text(own / name, text)


def write_patch(workspace: Workspace, patch: bytes, prepared: Prepared, assignment: Assignment) -> None:
    """Write `model_patch.diff`, and `prediction.jsonl` as SWE-bench's harness reads it."""
    shown = patch.decode("utf-8", errors="replace")
    write_bytes(workspace.patch, patch)
    prediction = {
        "instance_id": prepared.commits.instance_id,
        "model_name_or_path": f"{assignment.kind}/{assignment.model or NO_MODEL}",
        "model_patch": shown,
    }
    write_text(workspace.prediction, json.dumps(prediction, ensure_ascii=False) + "\n")


def _text(path: Path) -> str:
    """The beginning of a regular file that somebody hostile may have written; nothing of anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return stream.read(KEPT_BYTES).decode("utf-8", errors="replace")

"""What a run's exit status and the end of its output say about why it failed."""

from __future__ import annotations

import re
import signal
from typing import Optional

from .failure import ArmFailure
from .request import Limits

_OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|Cannot allocate memory|\[Errno 12\]")
_SCRATCH_FULL = re.compile(r"No space left on device|File too large|\[Errno (?:28|27)\]")
_REFUSED = re.compile(r"Permission denied|Read-only file system|\[Errno (?:13|30)\]")
_ABSOLUTE_PATH = re.compile(r"(?<![\w.~-])/[^\s'\":;,]+")


def explain_exit(exit_code: int, tail: str, run_directory: str, limits: Limits) -> ArmFailure:
    """Name the reason of an exit code that is not 0 (minus the signal's number when one ended the run)."""
    ended = _ending(exit_code)
    refused = _refused_path(tail, run_directory)
    if exit_code == -signal.SIGXFSZ or _SCRATCH_FULL.search(tail):
        return ArmFailure(
            "ScratchFull",
            "the run wrote more than its scratch space (%d bytes) holds and %s: write less or "
            "raise limits.scratch_bytes" % (limits.scratch_bytes, ended),
        )
    if exit_code == -signal.SIGKILL or _OUT_OF_MEMORY.search(tail):
        return ArmFailure(
            "OutOfMemory",
            "the run asked for more memory than the %d bytes allowed, or than the machine has, and %s: use less "
            "or raise limits.memory_bytes" % (limits.memory_bytes, ended),
        )
    if refused is not None:
        return ArmFailure(
            "WroteOutsideScratch",
            "the run was refused access to %s and %s: write only below the working directory, HOME or TMPDIR, and "
            "read only the arm's own tree" % (refused, ended),
        )
    return ArmFailure(
        "TestFailed", "the run %s (%s): make the test exit with status 0 on this arm" % (ended, _last_line(tail))
    )


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return "exited with status %d" % exit_code
    try:
        return "was ended by signal %s" % signal.Signals(-exit_code).name
    except ValueError:
        return "was ended by signal %d" % -exit_code


def _refused_path(tail: str, run_directory: str) -> Optional[str]:
    """Return the path outside the run directory that the last refusal in `tail` names."""
    for line in reversed(tail.splitlines()):
        if _REFUSED.search(line):
            outside = [
                path for path in _ABSOLUTE_PATH.findall(line) if not (path + "/").startswith(run_directory + "/")
            ]
            if outside:
                return str(outside[-1])
    return None


def _last_line(tail: str) -> str:
    lines = tail.strip().splitlines()
    return lines[-1].strip()[:200] if lines else "no output"

"""What an exit code and the last output lines are taken for."""

import pytest
from test_probe_request import LIMITS

from isobench.probe.exits import explain_exit
from isobench.probe.request import Limits

RUN = "/scratch/run"
BOUNDS = Limits(**LIMITS)


@pytest.mark.parametrize(
    ("exit_code", "tail", "reason"),
    [
        (1, "", "TestFailed"),
        (1, "ValueError: wrong", "TestFailed"),
        (-11, "", "TestFailed"),
        (-64, "", "TestFailed"),
        (127, "the run could not be started: no such file", "TestFailed"),
        (1, "MemoryError", "OutOfMemory"),
        (1, "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB", "OutOfMemory"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", "OutOfMemory"),
        (1, "OSError: [Errno 12] Cannot allocate memory", "OutOfMemory"),
        (-9, "", "OutOfMemory"),
        (-25, "", "ScratchFull"),
        (1, "OSError: [Errno 28] No space left on device: 'x'", "ScratchFull"),
        (1, "OSError: [Errno 27] File too large", "ScratchFull"),
        (1, "PermissionError: [Errno 13] Permission denied: '/arms/base/x.py'", "WroteOutsideScratch"),
        (1, "OSError: [Errno 30] Read-only file system: '/arms/base'", "WroteOutsideScratch"),
        (1, "touch: cannot touch '/usr/x': Permission denied", "WroteOutsideScratch"),
        (1, "bash: line 1: /etc/x: Permission denied", "WroteOutsideScratch"),
        (1, "PermissionError: [Errno 13] Permission denied: '/scratch/runner/x'", "WroteOutsideScratch"),
        (1, "PermissionError: [Errno 13] Permission denied: '/scratch/run/work/x'", "TestFailed"),
        (1, "PermissionError: [Errno 13] Permission denied: 'x'", "TestFailed"),
        (1, "PermissionError: [Errno 13] Permission denied", "TestFailed"),
        (1, "File '/arms/base/x.py', line 1\nValueError: wrong", "TestFailed"),
    ],
)
def test_an_ending_has_its_reason(exit_code: int, tail: str, reason: str) -> None:
    failure = explain_exit(exit_code, tail, RUN, BOUNDS)
    assert failure.reason == reason
    assert "\n" not in failure.message


def test_the_refused_path_and_the_ending_are_named() -> None:
    tail = "PermissionError: [Errno 13] Permission denied: '/arms/base/x.py'"
    message = explain_exit(2, tail, RUN, BOUNDS).message
    assert "/arms/base/x.py" in message
    assert "exited with status 2" in message


def test_a_signal_is_named_or_numbered() -> None:
    assert "signal SIGSEGV" in explain_exit(-11, "", RUN, BOUNDS).message
    assert "signal 33" in explain_exit(-33, "", RUN, BOUNDS).message

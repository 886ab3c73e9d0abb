"""Waiting for what another process does, with a bound that only a hang reaches."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Return as soon as it holds.

    Raises:
        TimeoutError: it did not, within the seconds.
    """
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.3)

"""Turns: how many agents run at once on this machine, and that nothing is timed meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from isobench.adapters.isolation import machine_lock


class Turns:
    """Lets so many agents run at once, and nothing be timed meanwhile."""

    def __init__(self, agents: int) -> None:
        """``agents`` may run at once."""
        self._free = threading.BoundedSemaphore(agents)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and hold the machine as a build does."""
        with self._free, machine_lock.building():
            yield

"""A run's standard output and error: read as they come, bounded, with the tail of both in the order of arrival."""

from __future__ import annotations

import contextlib
import os
from typing import List, Set

TAIL_BYTES = 2048


class Capture:
    """Two pipes whose write ends go to the child."""

    def __init__(self) -> None:
        """Open the pipes; close them with `close`."""
        self._out, child_out = os.pipe()
        self._error, child_error = os.pipe()
        self.child_ends = [child_out, child_error]
        os.set_blocking(self._out, False)
        os.set_blocking(self._error, False)
        self.open: Set[int] = {self._out, self._error}
        self._printed: List[bytes] = []
        self._tail = b""
        self.size = 0

    def release_child_ends(self) -> None:
        """Close the write ends here, once the child has them."""
        while self.child_ends:
            os.close(self.child_ends.pop())

    def read(self, descriptor: int) -> None:
        """Take one chunk from a pipe that is ready; forget the pipe at its end."""
        chunk = b""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(descriptor, 65536)
            if not chunk:
                self.open.discard(descriptor)
        self.size += len(chunk)
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        if descriptor == self._out:
            self._printed.append(chunk)

    def drain(self, limit: int) -> None:
        """Read what is in the pipes, but not more than `limit` bytes in all."""
        for descriptor in (self._out, self._error):
            before = -1
            while before < self.size <= limit:
                before = self.size
                self.read(descriptor)

    def close(self) -> None:
        """Close all that is open."""
        self.release_child_ends()
        os.close(self._out)
        os.close(self._error)

    @property
    def printed(self) -> str:
        """Return the standard output so far."""
        return b"".join(self._printed).decode("utf-8", "replace")

    @property
    def tail(self) -> str:
        """Return the last 2 KiB of both streams."""
        return self._tail.decode("utf-8", "replace")

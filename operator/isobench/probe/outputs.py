"""The standard output and error of a kept process: into files as they come, the beginning and the end of each."""

from __future__ import annotations

import contextlib
import os
from typing import Dict, List, Set

_CHUNK = 65536
_LEFT_OUT = b"\n[isobench: %d bytes are left out here]\n"


class Outputs:
    """Two pipes whose write ends go to the child; has what `launch.fork_child` needs of a capture."""

    def __init__(self, folder: str, limit: int) -> None:
        """Write `stdout.txt` and `stderr.txt` in `folder`, each of at most about `limit` bytes."""
        self.child_ends: List[int] = []
        self._files: Dict[int, _BoundedFile] = {}
        for name in ("stdout.txt", "stderr.txt"):
            ours, theirs = os.pipe()
            os.set_blocking(ours, False)
            self.child_ends.append(theirs)
            self._files[ours] = _BoundedFile(os.path.join(folder, name), limit)
        self.open: Set[int] = set(self._files)

    def release_child_ends(self) -> None:
        """Close the write ends here, once the child has them."""
        while self.child_ends:
            os.close(self.child_ends.pop())

    def read(self, descriptor: int) -> bool:
        """Take one chunk from a pipe; False when it held none. The pipe is forgotten at its end."""
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                self.open.discard(descriptor)
            self._files[descriptor].write(chunk)
            return bool(chunk)
        return False

    def finish(self) -> None:
        """Take what is still in the pipes, once nobody writes any more, and close everything."""
        self.release_child_ends()
        for descriptor, file in self._files.items():
            while descriptor in self.open and self.read(descriptor):
                pass
            os.close(descriptor)
            file.close()


class _BoundedFile:
    """The first half of its limit as it comes, and at the end the last half of it, with a note between."""

    def __init__(self, path: str, limit: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._half = limit // 2
        self._room = self._half
        self._end = b""
        self._left_out = 0

    def write(self, chunk: bytes) -> None:
        beginning, rest = chunk[: self._room], chunk[self._room :]
        if beginning:
            os.write(self._file, beginning)
            self._room -= len(beginning)
        self._end += rest
        if len(self._end) > 2 * self._half:
            self._shorten()

    def close(self) -> None:
        self._shorten()
        if self._left_out:
            os.write(self._file, _LEFT_OUT % self._left_out)
        os.write(self._file, self._end)
        os.close(self._file)

    def _shorten(self) -> None:
        self._left_out += max(0, len(self._end) - self._half)
        self._end = self._end[max(0, len(self._end) - self._half) :]

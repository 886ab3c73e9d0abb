"""A fingerprint of an arm's files: the same before and after, or something has changed them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import Iterator


def tree_fingerprint(*trees: str) -> str:
    """Return a SHA-256 over path, mode, size, times and inode of everything at and below `trees`.

    One of the times is that of the inode's last change, which no process can set: a file that was written to can't be
    made to look as it did before. What is not there counts as that.
    """
    digest = hashlib.sha256()
    for tree in trees:
        for line in _lines(tree):
            digest.update(line)
    return digest.hexdigest()


def _lines(tree: str) -> Iterator[bytes]:
    pending = [tree]
    while pending:
        path = pending.pop()
        try:
            facts = os.lstat(path)
        except FileNotFoundError:
            yield os.fsencode(path) + b"\0absent\n"
            continue
        numbers = "%o %d %d %d %d" % (
            facts.st_mode,
            facts.st_size,
            facts.st_mtime_ns,
            facts.st_ctime_ns,
            facts.st_ino,
        )
        yield os.fsencode(path) + b"\0" + numbers.encode() + b"\n"
        if stat.S_ISDIR(facts.st_mode):
            with contextlib.suppress(PermissionError):  # the mode that keeps it closed is in its line
                pending += sorted(entry.path for entry in os.scandir(path))

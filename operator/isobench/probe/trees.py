"""A fingerprint of an arm's tree: the same before and after, or a run has changed it."""

from __future__ import annotations

import hashlib
import os
from typing import Iterator


def tree_fingerprint(tree: str) -> str:
    """Return a SHA-256 over path, mode, size, modification time and inode of everything below `tree`."""
    digest = hashlib.sha256()
    for line in _lines(tree):
        digest.update(line)
    return digest.hexdigest()


def _lines(tree: str) -> Iterator[bytes]:
    pending = [tree]
    while pending:
        for entry in sorted(os.scandir(pending.pop()), key=lambda entry: entry.name):
            facts = entry.stat(follow_symlinks=False)
            numbers = "%o %d %d %d" % (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino)
            yield os.fsencode(entry.path) + b"\0" + numbers.encode() + b"\n"
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)

"""The local dataset file: one record a line, one line per (repo, head_commit)."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from io import RawIOBase
from pathlib import Path
from typing import Any

from isobench.adapters.files import write_text
from isobench.adapters.folder_lock import held
from isobench.contracts.base import InvalidInput
from isobench.contracts.record import Record
from isobench.engine.agent_record import joined

Row = dict[str, Any]
Key = tuple[str, str]


class Stored(StrEnum):
    """What storing a record did to the file."""

    APPENDED = "appended"
    REPLACED = "replaced"
    KEPT = "kept"


class DatasetFile:
    """`data/<dataset>.jsonl`; safe for several processes, and whole after a kill at any instant."""

    def __init__(self, path: Path) -> None:
        """The folder of ``path`` is the lock: runs with other work roots meet it too."""
        self.path = path
        self._keys: set[Key] = set()
        self._seen: object = None

    def rows(self) -> Iterator[Row]:
        """Every record of the file; a line that a kill cut short is not one.

        Raises:
            InvalidInput: a line is not a record.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.endswith(b"\n"):
                    yield self._row(line, number)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with held(self.path.parent, alone=True):
            yield

    def holds(self, repo: str, head_commit: str) -> bool:
        """Whether there is a record of that key."""
        if not self.path.exists():
            return False
        with self._alone():
            self._look()
            return (repo, head_commit) in self._keys

    def store(self, record: Record) -> Stored:
        """Keep one record per key: the first stays, but an online record replaces an offline one, or is joined to one.

        Raises:
            InvalidInput: a line of the file is not a record.
            OSError: the disk is full or the file can't be written; it is as it was.
        """
        with self._alone():
            self._look()
            if record.key not in self._keys:
                self._append(record)
                return Stored.APPENDED
            if record.online and (row := joined(self._row_of(record.key), record)) is not None:
                self._replace(record.key, row)
                return Stored.REPLACED
            return Stored.KEPT

    def _look(self) -> None:
        """Learn the keys anew when somebody else has written since our own last look."""
        if self._signature() == self._seen:
            return
        self._cut_torn_line()
        self._keys = {(row["repo"], row["head_commit"]) for row in self.rows()}
        self._seen = self._signature()

    def _signature(self) -> object:
        if not self.path.exists():
            return None
        stat = self.path.stat()
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _append(self, record: Record) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab", buffering=0) as stream:
            before = stream.tell()
            try:
                _write_all(stream, _line(record.row()).encode())
            except OSError:
                stream.truncate(before)
                raise
        self._learn(record)

    def _row_of(self, key: Key) -> Row:
        return next(row for row in self.rows() if (row["repo"], row["head_commit"]) == key)

    def _replace(self, key: Key, new: Row) -> None:
        rows = (new if (row["repo"], row["head_commit"]) == key else row for row in self.rows())
        write_text(self.path, "".join(_line(row) for row in rows))
        self._seen = self._signature()

    def _learn(self, record: Record) -> None:
        self._keys.add(record.key)
        self._seen = self._signature()

    def _cut_torn_line(self) -> None:
        """Drop what a kill left of an append: everything behind the last newline."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as stream:
            whole = 0
            for line in stream:
                whole += len(line) if line.endswith(b"\n") else 0
            if whole < stream.tell():
                stream.truncate(whole)

    def _row(self, line: bytes, number: int) -> Row:
        try:
            row: Row = json.loads(line)
            if {"repo", "head_commit"} <= row.keys():
                return row
        except (ValueError, AttributeError):
            pass
        raise InvalidInput(str(self.path), [f"line {number} is not a record; mend or remove it"])


def _write_all(stream: RawIOBase, content: bytes) -> None:
    remaining = memoryview(content)
    while remaining:
        remaining = remaining[stream.write(remaining) or 0 :]
    os.fsync(stream.fileno())


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"

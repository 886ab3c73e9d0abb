"""The ledger of paid calls: an append-only JSONL file of intents, each on disk before its call is made, and answers."""

import errno
import fcntl
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.money import Answer, Balance, Entry, Grant, Intent, balance, charged_calls

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Intent | Answer, Field(discriminator="kind")])


class Ledger:
    """The one writer of a ledger file; a lock on it keeps a second one out.

    A torn last line is what a kill leaves of an entry that nobody has acted on yet: it is cut off. An intent that lost
    its answer that way stays charged at its reserve.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path``, create it if need be, and repair its end.

        Raises:
            ItemFailure: ALREADY_STARTED while another writer has it; PAID_ATTEMPT_LOST when a line can't be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock()
            whole = _whole_lines(path.read_bytes())
            self._entries = _parse(path, whole)
            self._end = len(whole)
            self._cut()
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Let the next writer in."""
        os.fsync(self._file)
        os.close(self._file)

    @property
    def balance(self) -> Balance:
        """What is spent and what is reserved."""
        return balance(self._entries)

    def charged_calls(self, attempt: int) -> int:
        """How many calls of ``attempt`` count: all but those that the provider refused for nothing."""
        return charged_calls(self._entries, attempt)

    def intend(self, attempt: int, model: str, prompt_tokens: int, granted: Grant, at: datetime) -> Intent:
        """Write that a call is about to be made; only when this returns may it be forwarded.

        Raises:
            OSError: it could not be written; the ledger is as it was.
        """
        calls = (entry.call for entry in self._entries)
        intent = Intent(
            call=1 + max(calls, default=0),
            attempt=attempt,
            at=at,
            model=model,
            prompt_tokens=prompt_tokens,
            max_tokens=granted.max_tokens,
            reserved_usd=granted.reserved_usd,
        )
        self._append(intent, on_disk=True)
        return intent

    def settle(self, answer: Answer) -> None:
        """Write what became of an intent; a power cut may take it back, and then the intent's reserve is charged.

        Raises:
            OSError: it could not be written; the intent stays charged at its reserve.
        """
        self._append(answer, on_disk=False)

    def _append(self, entry: Entry, *, on_disk: bool) -> None:
        line = _ENTRY.dump_json(entry, exclude_none=True) + b"\n"
        try:
            self._write(line)
            if on_disk:
                os.fsync(self._file)
        except OSError:
            self._cut()
            raise
        self._entries.append(entry)
        self._end += len(line)

    def _write(self, line: bytes) -> None:
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def _cut(self) -> None:
        os.ftruncate(self._file, self._end)
        os.fsync(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{self._path} is in use by another gateway: wait for it to end"
            raise ItemFailure(Reason.ALREADY_STARTED, message) from None


def read_entries(path: Path) -> list[Entry]:
    """The entries of a ledger that somebody else may be writing; none when there is no such file.

    Raises:
        ItemFailure: PAID_ATTEMPT_LOST when a line can't be read.
    """
    try:
        return _parse(path, _whole_lines(path.read_bytes()))
    except FileNotFoundError:
        return []


def claim(folder: Path, stage: str, attempt: int) -> None:
    """Take the one start that this attempt at a paid stage has, for good: `<stage>-<attempt>.started` in ``folder``.

    Raises:
        ItemFailure: ALREADY_STARTED; the attempt was started before, whatever became of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / f"{stage}-{attempt}.started"
    try:
        descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise ItemFailure(
            Reason.ALREADY_STARTED, f"attempt {attempt} at {stage} was started before: a paid attempt runs at most once"
        ) from None
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _sync_folder(folder)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]


def _parse(path: Path, content: bytes) -> list[Entry]:
    entries: list[Entry] = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            entries.append(_ENTRY.validate_json(line))
        except ValidationError:
            raise ItemFailure(
                Reason.PAID_ATTEMPT_LOST,
                f"line {number} of {path} can't be read, so what was spent is unknown: start the item anew",
            ) from None
    return entries


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files that are whole or absent: temporary name, fsync, replace; and contracts as JSON in them."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from isobench.contracts.base import Contract, InvalidInput

Model = TypeVar("Model", bound=Contract)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream for what ``path`` is to hold; a crash or an error leaves the old content, the block's end the new.

    Raises:
        OSError: the disk is full or the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Make ``path`` hold exactly ``content``."""
    with replacing(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Make ``path`` hold exactly ``text``."""
    write_bytes(path, text.encode())


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, whatever its modes; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    _open(path)
    for folder, below, _ in os.walk(path):
        for name in below:
            _open(Path(folder, name))
    shutil.rmtree(path)


def _open(folder: Path) -> None:
    """Let what is in it be removed; modes that let it stay as they are: those of a kubelet's folder are root's."""
    if not folder.is_symlink() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        folder.chmod(0o700)


def write_json(path: Path, data: Any) -> None:
    """Make ``path`` hold ``data`` as strictly valid JSON, or raise ValueError for NaN and infinity."""
    write_text(path, json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def write_model(path: Path, model: Contract) -> None:
    """Make ``path`` hold ``model`` as JSON."""
    write_json(path, model.model_dump(mode="json", by_alias=model.camel_case, exclude_none=True))


def read_model(path: Path, model: type[Model]) -> Model:
    """The ``model`` that ``path`` holds.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is not JSON, or not of this model.
    """
    return model.parse(read_json(path), str(path))


def read_json(path: Path) -> Any:
    """What the JSON file ``path`` holds.

    Raises:
        FileNotFoundError: there is no such file.
        InvalidInput: it is not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise InvalidInput(str(path), [f"is not valid JSON (line {error.lineno}: {error.msg})"]) from None
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None

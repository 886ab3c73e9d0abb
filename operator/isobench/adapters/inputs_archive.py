"""The archive of a batch's inputs: equal inputs give equal bytes, so that its digest names what is in it."""

import gzip
import hashlib
import io
import os
import secrets
import tarfile
from collections.abc import Iterable
from pathlib import Path

Member = tuple[str, bytes]


def write_archive(path: Path, members: Iterable[Member]) -> str:
    """Write ``members`` (name, content), in their order, to ``path``; whole or not at all. Its SHA-256.

    Raises:
        OSError: the disk is full or the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
            ):
                for name, content in members:
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
            stream.flush()
            os.fsync(stream.fileno())
        with temporary.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest

"""The archive of a batch's inputs: equal inputs give equal bytes, so that its digest names what is in it."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from isobench.adapters.files import replacing

Member = tuple[str, bytes]


def write_archive(path: Path, members: Iterable[Member]) -> str:
    """Write ``members`` (name, content), in their order, to ``path``; whole or not at all. Its SHA-256.

    Raises:
        OSError: the disk is full or the folder can't be written.
    """
    with (
        replacing(path) as stream,
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()

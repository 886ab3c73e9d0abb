"""The probe as one file that any Python 3.8 or newer runs: a zip archive with the same bytes for the same sources."""

import io
import os
import secrets
import zipfile
from importlib import resources
from pathlib import Path

_ENTRY = """\
# Starts the probe.
import sys

from probe.__main__ import main

sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_probe(destination: Path) -> Path:
    """Write the probe's archive to `destination`, whole or not at all, and return `destination`; raises OSError.

    The bytes depend on the sources only: sorted names, one date, no compression (which also spares the environment
    that runs it the zlib module).
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(_archive())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)
    return destination


def _archive() -> bytes:
    sources = resources.files("isobench.probe")
    modules = sorted(entry.name for entry in sources.iterdir() if entry.name.endswith(".py"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", _ENTRY.encode())
        for name in modules:
            _add(archive, f"probe/{name}", sources.joinpath(name).read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)

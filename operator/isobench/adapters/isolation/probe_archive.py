"""Probe and runner as files that any Python 3.8 or newer runs: zip archives, the same bytes for the same sources."""

import io
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from isobench.adapters.files import write_bytes

_ENTRY = """\
# Starts the {module}.
import sys

from {package}.__main__ import main

sys.exit(main(sys.argv[1:]))
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_probe(destination: Path) -> Path:
    """Write the probe's archive to `destination`, whole or not at all, and return `destination`; raises OSError.

    The bytes depend on the sources only: sorted names, one date, no compression (which also spares the environment
    that runs it the zlib module).
    """
    write_bytes(destination, _archive("probe", {"probe": "probe"}))
    return destination


def build_runner(destination: Path) -> Path:
    """Write the archive of the runner, which uses the probe's knowledge of processes, in the same way."""
    write_bytes(destination, _archive("isobench.runner", {"runner": "isobench/runner", "probe": "isobench/probe"}))
    return destination


def _archive(package: str, folders: Mapping[str, str]) -> bytes:
    """The archive that starts ``package``, with isobench's packages in these folders of it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        entry = _ENTRY.format(package=package, module=package.rpartition(".")[2])
        _add(archive, "__main__.py", entry.encode())
        if "." in package:
            _add(archive, "isobench/__init__.py", b"")
        for name, folder in folders.items():
            sources = resources.files(f"isobench.{name}")
            for module in sorted(entry.name for entry in sources.iterdir() if entry.name.endswith(".py")):
                _add(archive, f"{folder}/{module}", sources.joinpath(module).read_bytes())
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)

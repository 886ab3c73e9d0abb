"""A container image of this machine's own files: the Python of these tests, a shell and a few programs; no registry."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isobench.adapters.isolation.container_engine import Engine, find_engine
from isobench.adapters.python.environments import find_uv
from isobench.local.work_root import WorkRoot

PYTHON = Path("/opt/python")
"""Where the image has its Python: somewhere else than this machine."""

PATH = f"{PYTHON}/bin:/usr/bin:/bin"
_PROGRAMS = ("bash", "cat", "chmod", "env", "ls", "mkdir", "rm", "sh", "sleep", "touch", "true")
_LEFT_OUT = re.compile(
    r"/(__pycache__|site-packages|test|tests|idlelib|tkinter|turtledemo|config-3[^/]*)(/|$)|_tkinter|\.a$"
)


def write_image(archive: Path, *, python: bool = True) -> Path:
    """A tar of the image's whole file tree."""
    programs = [Path(found) for found in map(shutil.which, _PROGRAMS) if found]
    binaries = [*programs, find_uv()]
    with tarfile.open(archive, "w") as tar:
        for folder in ("dev", "etc", "proc", "run", "sys", "tmp", "usr/lib"):
            _add_folder(tar, folder)
        for program in programs:
            tar.add(program.resolve(), f"bin/{program.name}")
        if python:
            binaries += _add_python(tar)
        for name, path in _libraries(binaries).items():
            tar.add(path.resolve(), name)
    return archive


def load_image(engine: Engine, archive: Path, name: str) -> None:
    """Make the tree in ``archive`` an image called ``name`` in the engine's storage."""
    subprocess.run(engine.command("import", f"--change=ENV PATH={PATH}", str(archive), name), check=True)


@contextmanager
def root_with_image(folder: Path, archive: Path, name: str) -> Iterator[WorkRoot]:
    """A work root whose engine has the tree in ``archive`` as an image; afterwards TMPDIR is what it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", os.environ.get("TMPDIR", "/tmp"))
        root = WorkRoot(folder)
        root.create()
        engine = find_engine(root.containers)
        assert engine is not None, "these tests need podman: scripts/install_test_tools.sh"
        load_image(engine, archive, name)
        yield root


def _add_python(tar: tarfile.TarFile) -> Iterator[Path]:
    """Add it, and give its binaries."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    executable, library = Path(sys.base_prefix, "bin", version), Path(sys.base_prefix, "lib", version)
    tar.add(executable.resolve(), f"{PYTHON}/bin/{version}")
    _add_link(tar, f"{PYTHON}/bin/python3", version)
    tar.add(library, f"{PYTHON}/lib/{version}", filter=_wanted)
    yield executable
    yield from (module for module in library.glob("lib-dynload/*.so") if _LEFT_OUT.search(str(module)) is None)


def _libraries(binaries: Iterable[Path]) -> dict[str, Path]:
    """Where the loader looks for what ``binaries`` are linked with, and where that is here."""
    found = {}
    for path in {path for binary in binaries for path in _linked(binary)}:
        system = path.is_relative_to("/lib") or path.is_relative_to("/lib64")
        found[str(path) if system else f"/usr/lib/{path.name}"] = path
    return found


def _linked(binary: Path) -> Iterator[Path]:
    listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    yield from (Path(path) for path in re.findall(r"(/\S+) \(0x", listed))


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if _LEFT_OUT.search(f"/{entry.name}") else entry


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry, io.BytesIO())


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(os.fspath(name))
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)

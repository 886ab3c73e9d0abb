"""The probe's archive and a bench of its own for every test."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from probe_bench import Bench, identity, interpreters, runs

from isobench.adapters.isolation.probe_archive import build_probe

NOBODY = 65534


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_probe(tmp_path_factory.mktemp("archive") / "probe.pyz")


@pytest.fixture
def bench(tmp_path: Path, archive: Path) -> Bench:
    return Bench(tmp_path, archive, sys.executable)


@pytest.fixture
def unprivileged_bench(bench: Bench) -> Iterator[Bench]:
    """A bench that an ordinary user runs: this one, or, when this is root, somebody who can't enter root's folders."""
    if os.geteuid() != 0:
        yield bench
        return
    folder = Path(tempfile.mkdtemp(prefix="probe-"))
    try:
        archive = shutil.copy(bench.archive, folder)
        usable = [python for python in interpreters() if runs([*identity(NOBODY), python, "-c", "import ctypes"])]
        assert usable, "no Python on this machine can be run by an ordinary user: install one below /usr"
        yield Bench(folder, Path(archive), usable[0], user=NOBODY)
    finally:
        shutil.rmtree(folder)

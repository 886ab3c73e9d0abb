"""A fingerprint of files: what it sees, and what leaves it alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from isobench.probe.trees import tree_fingerprint


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tmp_path.joinpath("package").mkdir()
    tmp_path.joinpath("package", "module.py").write_text("x = 1\n")
    tmp_path.joinpath("link").symlink_to("/nowhere")
    return tmp_path


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda tree: tree.joinpath("package", "module.py").write_text("x = 10\n"),
    "as long": lambda tree: tree.joinpath("package", "module.py").write_text("x = 2\n"),
    "new file": lambda tree: tree.joinpath("package", "cache").touch(),
    "removed": lambda tree: tree.joinpath("package", "module.py").unlink(),
    "renamed": lambda tree: tree.joinpath("package", "module.py").rename(tree / "package" / "m.py"),
    "mode": lambda tree: tree.joinpath("package", "module.py").chmod(0o600),
    "time": lambda tree: os.utime(tree / "package" / "module.py", (1, 1)),
    "replaced": lambda tree: _replace(tree / "package" / "module.py"),
    "link": lambda tree: _point_elsewhere(tree / "link"),
    "rewritten, with its times put back": lambda tree: _rewrite(tree / "package" / "module.py"),
    "another name for it elsewhere": lambda tree: os.link(tree / "package" / "module.py", f"{tree}-linked"),
    "a folder closed": lambda tree: tree.joinpath("package").chmod(0),
}


def _point_elsewhere(link: Path) -> None:
    link.unlink()
    link.symlink_to("/elsewhere")


def _replace(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.chmod(before.st_mode)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def _rewrite(path: Path) -> None:
    """Until the clock of the inode, which may tick every few milliseconds only, has moved on."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_text("x = 2\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(tree: Path, change: str) -> None:
    before = tree_fingerprint(str(tree))
    CHANGES[change](tree)
    assert tree_fingerprint(str(tree)) != before


def test_reading_is_no_change(tree: Path) -> None:
    before = tree_fingerprint(str(tree))
    assert tree.joinpath("package", "module.py").read_text() == "x = 1\n"
    assert tree_fingerprint(str(tree)) == before


def test_it_is_of_several_places_files_and_such_as_are_not_there_too(tree: Path) -> None:
    module, missing = str(tree / "package" / "module.py"), tree / "missing"
    before = tree_fingerprint(module, str(missing))
    assert tree_fingerprint(module, str(missing)) == before
    missing.symlink_to("/nowhere")
    assert tree_fingerprint(module, str(missing)) != before

"""What an agent left of its worktree, looked at without running anything of it: no git, no link followed."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.git.command import Git
from isobench.engine.worktree_rules import Change, RepositoryState

GIT = ".git"
LARGEST_REF, LARGEST_CONFIG = 4096, 1 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str
    executable: bool = False
    size: int = 0
    link: str | None = None


def changes(base: Path, worktree: Path) -> list[Change]:
    """Every path that differs between ``base``, a plain tree, and ``worktree``; folders count by what is in them."""
    before, after = dict(_entries(base)), dict(_entries(worktree))
    found = []
    for path in sorted(before.keys() | after.keys()):
        was, entry = before.get(path), after.get(path)
        if entry is None:
            found.append(Change(path, "removed"))
        elif entry.kind == "unreadable":
            found.append(Change(path, "unreadable"))
        elif was is None or not _same(was, entry, base / path, worktree / path):
            special = entry.kind == "special"
            found.append(Change(path, "changed" if was else "added", entry.link, special))
    return found


def read_file(worktree: Path, path: str) -> tuple[bytes, bool]:
    """The content of a regular file, and whether it is executable; never through a link in its last part."""
    descriptor = os.open(worktree / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(), bool(os.fstat(descriptor).st_mode & stat.S_IXUSR)


def repository_state(worktree: Path) -> RepositoryState:
    """What decides what git does in ``worktree``; of a repository that is gone or damaged, what there is."""
    folder = worktree / GIT
    head = _small_text(folder / "HEAD") or "nothing"
    return RepositoryState(head, dict(_refs(folder)), dict(_hooks(folder)), _settings(folder / "config"))


def _entries(root: Path) -> Iterator[tuple[str, _Entry]]:
    pending = [""]
    while pending:
        folder = pending.pop()
        listed = _listed(root / folder)
        if listed is None:
            yield folder, _Entry("unreadable")
            continue
        for entry in listed:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if path == GIT:
                continue
            shown = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                yield shown, _entry(entry)


def _listed(folder: Path) -> list[os.DirEntry[str]] | None:
    """What is in a folder, if it must be after making it readable; None where that can't be told."""
    try:
        return list(os.scandir(folder))
    except PermissionError:
        with suppress(OSError):
            folder.chmod(0o700)  # found as a folder, and nobody is left who could put a link in its place
            return list(os.scandir(folder))
    except OSError:
        pass
    return None


def _entry(entry: os.DirEntry[str]) -> _Entry:
    status = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return _Entry("link", link=os.fsencode(Path(entry.path).readlink()).decode(errors="replace"))
    if not stat.S_ISREG(status.st_mode):
        return _Entry("special")
    if not status.st_mode & stat.S_IRUSR:
        Path(entry.path).chmod(status.st_mode | stat.S_IRUSR)
    return _Entry("file", bool(status.st_mode & stat.S_IXUSR), status.st_size)


def _same(was: _Entry, entry: _Entry, base: Path, worktree: Path) -> bool:
    if was != entry:
        return False
    return entry.kind != "file" or _same_content(base, worktree)


def _same_content(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            block, match = first.read(_BLOCK), second.read(_BLOCK)
            if block != match:
                return False
            if not block:
                return True


def _refs(folder: Path) -> Iterator[tuple[str, str]]:
    for line in (_small_text(folder / "packed-refs", 1 << 20) or "").splitlines():
        value, _, name = line.partition(" ")
        if name and not line.startswith(("#", "^")):
            yield name, value
    for path in _regular_files(folder / "refs"):
        yield str(path.relative_to(folder)), _small_text(path) or "unreadable"


def _hooks(folder: Path) -> Iterator[tuple[str, str]]:
    for place in ("hooks", "info/attributes", "objects/info/alternates"):
        for path in _regular_files(folder / place):
            status = path.lstat()
            yield str(path.relative_to(folder)), f"{status.st_mode:o} {status.st_size} {_small_text(path)}"


def _settings(config: Path) -> dict[str, str]:
    """By git's own reader, without includes, from its standard input: it is never in the worktree."""
    content = _content(config, LARGEST_CONFIG + 1)
    if content is None or len(content) > LARGEST_CONFIG:
        return {"core.config": "is not a file of ordinary size"}
    listing = ("config", "--file", "-", "--no-includes", "--list", "--null")
    listed = Git.of_files(Path("/")).answer(*listing, stdin=content)
    settings: dict[str, str] = {}
    for setting in (listed if listed is not None else "core.config\nis damaged").split("\0"):
        key, _, value = setting.partition("\n")
        if key:
            settings[key] = f"{settings[key]}\n{value}" if key in settings else value
    return settings


def _regular_files(place: Path) -> Iterator[Path]:
    """The files at and below ``place``; a link counts as one, whatever it leads to."""
    if place.is_symlink() or place.is_file():
        yield place
        return
    for folder, names, files in os.walk(place):
        yield from (Path(folder, name) for name in (*files, *names) if _is_leaf(Path(folder, name)))


def _is_leaf(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _small_text(path: Path, limit: int = LARGEST_REF) -> str | None:
    content = _content(path, limit)
    return None if content is None else content.decode(errors="replace").strip()


def _content(path: Path, limit: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read(limit)
    except OSError:
        return None

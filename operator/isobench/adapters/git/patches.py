"""Patches between plain files: made in a repository of our own, so that nothing of the files' own is run or obeyed."""

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.git.command import Git, GitFailed
from isobench.adapters.isolation.folders import clear

Content = tuple[bytes, bool]
"""What is in a file, and whether it is executable."""


@dataclass(frozen=True, slots=True)
class PatchRefused(Exception):
    """A patch does not apply; ``complaint`` is what git says."""

    complaint: str


def patch_between(before: Mapping[str, Content], after: Mapping[str, Content], scratch: Path) -> bytes:
    """The difference of two sets of files, as `git apply` takes it; empty where there is none."""
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="patch-", dir=scratch) as folder:
        Git(Path(folder)).output("init", "--quiet", "--bare", ".")
        git = Git.of_repository(Path(folder)).with_environment(GIT_INDEX_FILE=f"{folder}/index")
        trees = [_tree(git, files) for files in (before, after)]
        options = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "-p")
        return git.output("diff-tree", "-r", *options, *trees)


def apply_patch(patch: bytes, base: Path, destination: Path) -> Path:
    """A copy of the plain tree ``base`` at ``destination`` with ``patch`` applied; anything there before is removed.

    Raises:
        PatchRefused: it does not apply.
    """
    if destination.exists():
        clear(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(base, destination, symlinks=True)
    try:
        Git.of_files(destination).output("apply", "--whitespace=nowarn", "-", stdin=patch)
    except GitFailed as failure:
        raise PatchRefused(failure.complaint) from None
    return destination


def ignored_by(base: Path, paths: Collection[str], scratch: Path) -> frozenset[str]:
    """Those of ``paths`` that git would ignore by the rules in the plain tree ``base``."""
    if not paths:
        return frozenset()
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ignored-", dir=scratch) as folder:
        Git(Path(folder)).output("init", "--quiet", "--bare", ".")
        git = Git.of_repository(Path(folder)).with_environment(GIT_WORK_TREE=str(base), GIT_INDEX_FILE=f"{folder}/i")
        listing = "\0".join(paths).encode(errors="surrogateescape")
        try:
            told = git.output("-C", str(base), "check-ignore", "--no-index", "--stdin", "-z", stdin=listing)
        except GitFailed:  # it exits with 1 when none is
            return frozenset()
        return frozenset(told.decode(errors="surrogateescape").split("\0")) - {""}


def _tree(git: Git, files: Mapping[str, Content]) -> str:
    git.output("read-tree", "--empty")
    lines: Sequence[str] = [
        f"{'100755' if executable else '100644'} {git.text('hash-object', '-w', '--stdin', stdin=content)}\t{path}"
        for path, (content, executable) in files.items()
    ]
    git.output("update-index", "-z", "--index-info", stdin="\0".join(lines).encode(errors="surrogateescape"))
    return git.text("write-tree")

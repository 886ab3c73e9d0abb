"""Plain trees: the files of one commit without git, byte for byte, submodules included where they can be had."""

import os
import posixpath
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.git.command import RepositoryError
from isobench.adapters.git.object_cache import ObjectCache
from isobench.adapters.git.source import Source
from isobench.adapters.git.submodules import Submodule, submodules_of, tree_entries
from isobench.adapters.git.whole_folders import whole_folder

CacheOf = Callable[[Source], ObjectCache]
"""Where the objects of another repository, a submodule's, are kept."""


@dataclass(frozen=True)
class TreeExport:
    """A plain tree, and what a reader should know of it; names that aren't UTF-8 are shown escaped."""

    path: Path
    outside_links: tuple[str, ...] = ()
    missing_submodules: tuple[str, ...] = ()


def export_tree(cache: ObjectCache, commit: str, destination: Path, cache_of: CacheOf) -> TreeExport:
    """Write the tree of `commit` to `destination`, all of it or nothing; a finished one is left as it is.

    One process at a time may write one destination.

    Raises:
        RepositoryError: the source can't give the contents.
    """
    _place(cache, commit, destination, cache_of)
    return TreeExport(
        destination,
        tuple(_shown(link) for link in _outside_links(cache, commit)),
        tuple(_shown(gap) for gap in _gaps(cache, commit, destination, cache_of)),
    )


def fill_submodules(cache: ObjectCache, commit: str, directory: Path, cache_of: CacheOf) -> None:
    """Put the files of each submodule that can be had into its empty folder below `directory`.

    Raises:
        RepositoryError: a transfer broke that may go well the next time.
    """
    for submodule in submodules_of(cache, commit):
        for source in submodule.sources:
            try:
                _place_submodule(submodule, directory, cache_of(source), cache_of)
                break
            except RepositoryError as error:
                if error.reason.consequence.retried:
                    raise


def _place_submodule(submodule: Submodule, directory: Path, cache: ObjectCache, cache_of: CacheOf) -> None:
    cache.ensure()
    cache.fetch_commit(submodule.commit)
    _place(cache, submodule.commit, directory / submodule.path, cache_of)


def _place(cache: ObjectCache, commit: str, destination: Path, cache_of: CacheOf) -> None:
    if not _is_empty(destination):
        return
    cache.fetch_contents([commit])
    with (
        whole_folder(destination) as folder,
        tempfile.TemporaryDirectory(prefix=".index-", dir=cache.path.parent) as scratch,
    ):
        git = cache.git.with_environment(GIT_WORK_TREE=str(folder), GIT_INDEX_FILE=f"{scratch}/index")
        git.output("read-tree", commit)
        git.output("checkout-index", "--all", "--force", "--quiet")
        fill_submodules(cache, commit, folder, cache_of)


def _outside_links(cache: ObjectCache, commit: str) -> Iterator[str]:
    links = [entry for entry in tree_entries(cache, commit) if entry.mode == "120000"]
    for link, target in zip(links, cache.contents(link.sha for link in links), strict=True):
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), os.fsdecode(target)))
        if reached.startswith(("/", "../")) or reached == "..":
            yield link.path


def _gaps(cache: ObjectCache, commit: str, directory: Path, cache_of: CacheOf) -> Iterator[str]:
    for submodule in submodules_of(cache, commit):
        filled = directory / submodule.path
        if _is_empty(filled):
            yield submodule.path
            continue
        caches = (cache_of(source) for source in submodule.sources)
        holder = next(inner for inner in caches if inner.has(submodule.commit))
        yield from (f"{submodule.path}/{gap}" for gap in _gaps(holder, submodule.commit, filled, cache_of))


def _is_empty(directory: Path) -> bool:
    return not directory.is_dir() or not any(directory.iterdir())


def _shown(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")

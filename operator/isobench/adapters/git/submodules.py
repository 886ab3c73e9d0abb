"""Submodules of one commit: which commits they are at, and where their repositories may be had."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from isobench.adapters.git.object_cache import ObjectCache
from isobench.adapters.git.source import Source


@dataclass(frozen=True)
class Submodule:
    """A commit of another repository at `path` of a tree; no `sources` where `.gitmodules` doesn't name one."""

    path: str
    commit: str
    sources: tuple[Source, ...]


def submodules_of(cache: ObjectCache, commit: str) -> list[Submodule]:
    """The submodules that the commit's tree holds, in the tree's order."""
    links = [entry for entry in tree_entries(cache, commit) if entry.kind == "commit"]
    if not links:
        return []
    named = _sources_by_path(cache, commit)
    return [Submodule(link.path, link.sha, named.get(link.path, ())) for link in links]


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file, symlink or submodule of a tree; `path` is decoded as the file system's names are."""

    mode: str
    kind: str
    sha: str
    path: str


def tree_entries(cache: ObjectCache, commit: str) -> Iterator[TreeEntry]:
    """All entries of the commit's tree, folders left out."""
    for line in cache.git.output("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
        description, _, path = line.partition(b"\t")
        mode, kind, sha = description.decode().split()
        yield TreeEntry(mode, kind, sha, os.fsdecode(path))


def _sources_by_path(cache: ObjectCache, commit: str) -> dict[str, tuple[Source, ...]]:
    settings: dict[str, dict[str, str]] = {}
    listing = cache.git.answer("config", "--null", "--blob", f"{commit}:.gitmodules", "--list") or ""
    for key, _, value in (setting.partition("\n") for setting in listing.split("\0")):
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "submodule":
            settings.setdefault(name, {})[variable] = value
    return {
        module["path"]: tuple(_sources(cache.source, name, module["url"]))
        for name, module in settings.items()
        if "path" in module and "url" in module
    }


def _sources(parent: Source, name: str, url: str) -> Iterator[Source]:
    """The user's own clone of the submodule first, then the address that the commit names."""
    checked_out = parent.module_directory(name)
    if checked_out is not None:
        yield Source.parse(str(checked_out))
    yield parent.submodule(url, parent.origin_url() or parent.url)

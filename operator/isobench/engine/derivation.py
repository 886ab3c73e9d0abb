"""Whether an arm's environment follows from one that was built before: only files differ that its wheel holds verbatim.

A backend decides what is in a wheel by the files that it reads. While a wheel is built every file of the tree that the
backend opens is noted. A file that was never opened can't have had an influence; one that was opened once, never handed
to the compiler, and that is in the wheel byte for byte was copied. Any other file is decisive. Two trees with the same
files by name and mode, and with the same content in the decisive ones, give wheels that differ in the copied files and
in nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

File = tuple[int, str]
"""A file's mode and the digest of its content; of a link, the digest of where it points."""


@dataclass(frozen=True)
class Reads:
    """What a backend did to the files of its tree while it built a wheel."""

    opened: Mapping[str, int]
    """How often each file was opened."""
    compiled: frozenset[str]
    """Digests of the sources that went through Python's compiler: imported, executed or parsed."""
    started: bool
    """Some other program was started, and what that read is unknown."""


@dataclass(frozen=True)
class Origin:
    """What decided a built environment: the files of its tree, and which of them its wheel holds as copies."""

    files: Mapping[str, File]
    copied: Mapping[str, str]
    """Copied files of the tree, and where each is in the wheel."""
    decisive: frozenset[str]


def origin_of(files: Mapping[str, File], members: Mapping[str, str], reads: Reads) -> Origin:
    """The origin of a wheel; ``members`` are the digests of its files by name."""
    if reads.started:
        return Origin(files, {}, frozenset(files))
    copied = {}
    for member, digest in members.items():
        path = _source_of(member, digest, files)
        if path is not None and reads.opened.get(path) == 1 and digest not in reads.compiled:
            copied[path] = member
    decisive = {path for path in files if path in reads.opened and path not in copied}
    return Origin(files, copied, frozenset(decisive))


def _source_of(member: str, digest: str, files: Mapping[str, File]) -> str | None:
    """The one file of the tree that ``member`` is a copy of, at its place or below a source folder."""
    places = [path for path in files if path == member or path.endswith(f"/{member}")]
    same = [path for path in places if files[path][1] == digest]
    return same[0] if len(same) == 1 else None


def changed_copies(origin: Origin, files: Mapping[str, File]) -> Sequence[str] | None:
    """The copied files whose content differs in a tree of ``files``; None when that tree has to be built itself."""
    if origin.files.keys() != files.keys():
        return None
    differing = [path for path, file in files.items() if origin.files[path] != file]
    if any(path in origin.decisive or origin.files[path][0] != files[path][0] for path in differing):
        return None
    return [path for path in differing if path in origin.copied]

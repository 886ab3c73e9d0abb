"""The version that a commit's history gives a project whose version is its tags (setuptools_scm's default scheme)."""

import re
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

_TAG = re.compile(r"(?P<prefix>(?:[\w./-]+[-_/])?[vV]?)(?P<version>\d[^+]*)(?:\+.*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """A PEP 440 version, and the tag that would give it in the project's own style (`v1.2.4.dev3`)."""

    version: str
    tag: str


def described_version(tag: str, distance: int) -> DescribedVersion | None:
    """The version `distance` commits after `tag`; None where the tag names no PEP 440 version.

    On the tag it is the tag's own; after it, the next one's development release: `1.2` and 3 give `1.3.dev3`.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    try:
        tagged = Version(match["version"])
    except InvalidVersion:
        return None
    version = str(tagged) if distance == 0 else _next_development_release(tagged, distance)
    return DescribedVersion(version, match["prefix"] + version)


def untagged_version(commits: int) -> DescribedVersion:
    """The version of a history of so many commits that holds no version tag."""
    version = f"0.1.dev{commits}"
    return DescribedVersion(version, version)


def _next_development_release(tagged: Version, distance: int) -> str:
    if tagged.dev is not None:
        released, _, _ = str(tagged).rpartition(".dev")
        return f"{released}.dev{tagged.dev + distance}"
    upcoming = re.sub(r"\d+$", lambda last: str(int(last[0]) + 1), str(tagged))
    return f"{upcoming}.dev{distance}"

"""Names: of a repository, a benchmark instance, an item and a run. Pure, so equal inputs get equal names."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

_MERGES_READ = 10
_PULL_REQUEST = re.compile(r"#([0-9]+)")


def repo_slug(origin_url: str | None, path: str) -> str:
    """`owner/name`: the last two parts of the clone's origin URL; `local/<folder>` of `path` without origin.

    `git@host:owner/name.git` and `https://host/owner/name` are the same repository; a local path gives its parent
    folder's name as owner.
    """
    if not origin_url:
        return f"local/{PurePosixPath(path).name.removesuffix('.git')}"
    address = re.sub(r"(?<=://)[^/@]*@", "", origin_url)
    parts = [part for part in address.replace(":", "/").split("/") if part not in ("", ".")]
    owner, name = parts[-2:] if len(parts) > 1 else ("local", *parts)
    return f"{owner}/{name.removesuffix('.git')}"


def pull_request_number(merge_subjects: Sequence[str]) -> int | None:
    """The number that the first of the first ten subjects with "Merge pull request" names."""
    merges = (subject for subject in merge_subjects[:_MERGES_READ] if "Merge pull request" in subject)
    numbered = _PULL_REQUEST.search(next(merges, ""))
    return int(numbered[1]) if numbered else None


def instance_id(slug: str, head: str, merge_subjects: Sequence[str]) -> str:
    """`owner__name-PR-N` where the pair came in by a pull request's merge, else `owner__name-<head7>`.

    `merge_subjects`: the merges from head's first parent to the main arm, oldest first.
    """
    number = pull_request_number(merge_subjects)
    return f"{slug.replace('/', '__')}-{head[:7] if number is None else f'PR-{number}'}"


def item_id(slug: str, head: str, *variant: object) -> str:
    """A DNS label of at most 30 characters for one item: repository, head and a digest of all that tells it apart.

    `variant`: base, model, sample and whatever else several items of one pair differ in.
    """
    name = re.sub(r"[^a-z0-9]+", "-", slug.rpartition("/")[2].lower())[:12].strip("-") or "item"
    whole = "\0".join([slug, head, *(str(part) for part in variant)])
    return f"{name}-{head[:8].lower()}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def run_id(slug: str, agent: str | None, model: str | None, started_at: datetime) -> str:
    """`<owner__name>/<agent or none>/<model, / as __>/<timestamp>`: a relative path, in UTC, that sorts by time."""
    moment = started_at.astimezone(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    return "/".join((path_part(slug), path_part(agent or "none"), path_part(model or "none"), moment))


def path_part(name: str) -> str:
    """`name` as one part of a path: `/` as `__`, other characters than letters, digits and `._-` as `-`."""
    part = re.sub(r"[^A-Za-z0-9._-]", "-", name.replace("/", "__"))
    return part if part.strip(".") else "-"

"""Planning on this machine: commit lists and extraction files in, items out; what can't be planned is reported."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from isobench.adapters.extraction_files import extraction_files, read_extraction
from isobench.adapters.git.command import RepositoryError
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.git.source import Source
from isobench.adapters.inputs import test_in
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Reason
from isobench.engine.commit_plan import parse_commit_plan
from isobench.engine.planning import PlannedItem, without_duplicates
from isobench.local.work_root import WorkRoot

FULL_HASH = 40
SHORTEST_HASH = 7
OF_ONE_COMMIT = {Reason.COMMIT_NOT_FOUND, Reason.NO_PARENT}
"""Reasons that end one commit; by any other nothing of the repository can be planned."""

Thing = TypeVar("Thing")
Made = TypeVar("Made")


@dataclass(frozen=True)
class PlanSources:
    """What a plan is made from: the commits of a list if there is one, else those of all extraction files."""

    repository: Source
    work_root: WorkRoot
    commits: Path | None = None
    extractions: Path | None = None
    tests: Path | None = None


@dataclass(frozen=True)
class Plan:
    """The items, what is supplied for them by head, and a line for each thing that was left out."""

    items: list[PlannedItem]
    extractions: Mapping[str, Path]
    tests: Path | None
    tested: frozenset[str]
    dropped: list[str]
    broken: list[str]


def open_repository(address: str) -> Source:
    """The repository at ``address``, if it is one that a manifest may name.

    Raises:
        InvalidInput: a path holds no usable clone, or the URL carries a password, which a manifest must not.
    """
    source = Source.parse(address)
    if source.username:
        problem = "carries a user or a password, which a manifest must not hold; leave it to git's credential helper"
        raise InvalidInput(str(source), [problem])
    try:
        source.repository()
    except RepositoryError as error:
        raise InvalidInput("repository", [error.message]) from None
    return source


def make_plan(sources: PlanSources) -> Plan:
    """Read the sources; a broken file or line is reported and stops no other.

    Raises:
        InvalidInput: there is nothing to plan from, or the repository does not answer what is asked of it.
    """
    if sources.tests is not None and not sources.tests.is_dir():
        raise InvalidInput(str(sources.tests), ["is not a folder; give the one that holds the tests"])
    broken: list[str] = []
    described: list[PlannedItem] = []
    if sources.extractions is not None:
        described = list(_each(extraction_files(sources.extractions), _describe, broken))
    if sources.commits is not None:
        wanted = _listed(sources.commits, broken)
    elif sources.extractions is not None:
        wanted = described
    else:
        raise InvalidInput("plan", ["there is nothing to plan from: give --commits FILE or --extractions DIR"])
    items, dropped = without_duplicates(_settled(wanted, sources, broken))
    supplied = dict(_each(items, lambda item: (item, _is_tested(item, sources.tests)), broken))
    return Plan(
        items=list(supplied),
        extractions=_by_head(supplied, described, sources.extractions),
        tests=sources.tests,
        tested=frozenset(item.head for item, tested in supplied.items() if tested),
        dropped=dropped,
        broken=broken,
    )


def _each(things: Iterable[Thing], step: Callable[[Thing], Made], broken: list[str]) -> Iterator[Made]:
    """What ``step`` makes of each; those that it can't take are reported."""
    for thing in things:
        try:
            yield step(thing)
        except InvalidInput as error:
            broken.extend(f"{error.source}: {problem}" for problem in error.problems)


def _describe(path: Path) -> PlannedItem:
    extraction = read_extraction(path)
    return PlannedItem(extraction.commit_hash, extraction.parent_hash, path.name)


def _listed(path: Path, broken: list[str]) -> list[PlannedItem]:
    try:
        plan = parse_commit_plan(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(str(path), [f"can't be read ({error.strerror}); give a commits.txt"]) from None
    except UnicodeDecodeError:
        raise InvalidInput(str(path), ["is not UTF-8 text; save it as UTF-8"]) from None
    broken.extend(f"{path}: {problem}" for problem in plan.problems)
    return [PlannedItem(row.head, row.base, f"{path.name} line {row.line}", row.parent) for row in plan.commits]


def _settled(wanted: Iterable[PlannedItem], sources: PlanSources, broken: list[str]) -> list[PlannedItem]:
    """The items with full hashes; the repository is asked only where one is short or names its parent by number."""

    @cache
    def repository() -> RepoManager:
        sources.work_root.create()
        return RepoManager(sources.work_root.path, sources.repository.url)

    try:
        return list(_each(wanted, lambda item: _settle(item, repository), broken))
    except RepositoryError as error:
        raise InvalidInput("repository", [error.message]) from None


def _settle(item: PlannedItem, repository: Callable[[], RepoManager]) -> PlannedItem:
    if len(item.head) == FULL_HASH and item.parent == 1:
        return item
    try:
        head = repository().resolve(item.head)
        parents = repository().parents(head) if item.parent > 1 else ()
    except RepositoryError as error:
        if error.reason in OF_ONE_COMMIT:
            raise InvalidInput(item.origin, [error.message]) from None
        raise
    if item.parent == 1:
        return replace(item, head=head)
    if item.parent > len(parents):
        raise InvalidInput(item.origin, [f"parent={item.parent}: {head[:12]} has {len(parents)} only"])
    return PlannedItem(head, parents[item.parent - 1], item.origin)


def _is_tested(item: PlannedItem, tests: Path | None) -> bool:
    return tests is not None and test_in(tests, item.head) is not None


def _by_head(items: Iterable[PlannedItem], described: list[PlannedItem], folder: Path | None) -> dict[str, Path]:
    """The extraction file of each item that has one, however many digits of the hash the file gives."""
    near: defaultdict[str, list[PlannedItem]] = defaultdict(list)
    for entry in described:
        near[entry.head[:SHORTEST_HASH]].append(entry)
    found = {}
    for item in items:
        match = next((e for e in near[item.head[:SHORTEST_HASH]] if item.head.startswith(e.head)), None)
        if match is not None and folder is not None:
            found[item.head] = folder / match.origin
    return found

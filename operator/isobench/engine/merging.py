"""Which rows a published split holds after a publish: one per (repo, head_commit), the newer one, nothing lost."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from isobench.contracts.base import InvalidInput
from isobench.contracts.record import Record

Row = Mapping[str, Any]
"""A record as it stands in the JSONL, or a published row, which may lack fields of a record and have others."""
Change = Literal["added", "replaced", "unchanged"]

RECORD_FIELDS = frozenset(Record.model_fields)


@dataclass(frozen=True, slots=True)
class Source:
    """What a row of the merged split is: a published row, a new row, or a new row in a published one's place."""

    published: int | None
    new: int | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """What publishing does to one record."""

    instance_id: str
    repo: str
    head_commit: str
    change: Change


@dataclass(frozen=True, slots=True)
class Merge:
    """The merged split's rows in order, and what becomes of each new record."""

    sources: tuple[Source, ...]
    changes: tuple[RowChange, ...]

    def count(self, change: Change) -> int:
        """How many records meet this fate."""
        return sum(row.change == change for row in self.changes)


def require_records(count: int, minimum: int) -> None:
    """Refuse to publish fewer than ``minimum`` records.

    Raises:
        InvalidInput: there are fewer.
    """
    if count < minimum:
        problem = f"{minimum} is more than the {count} records there are; make more records or lower it"
        raise InvalidInput("publish.min_records", [problem])


def merge(published: Sequence[Row], new: Sequence[Row]) -> Merge:
    """Place ``new`` among ``published``: a known key is replaced where it stands, the others follow at the end.

    Of two new rows with one key the later counts. A published row whose key is not published again stays whatever
    it is; several published rows of a key that is become one.
    """
    latest = {_key(row): index for index, row in enumerate(new)}
    standing: defaultdict[tuple[Any, Any], list[int]] = defaultdict(list)
    for index, row in enumerate(published):
        standing[_key(row)].append(index)

    kept: dict[int, Source] = {}
    appended, changes = [], []
    for key, index in latest.items():
        places = standing.pop(key, [])
        change = _change([published[place] for place in places], new[index])
        changes.append(RowChange(new[index]["instance_id"], *key, change))
        if change == "added":
            appended.append(Source(None, index))
        else:
            kept[places[0]] = Source(places[0], None if change == "unchanged" else index)
    kept |= {place: Source(place, None) for places in standing.values() for place in places}
    return Merge((*(kept[place] for place in sorted(kept)), *appended), tuple(changes))


def differing_fields(row: Row, other: Row) -> list[str]:
    """The record's fields, and any other of ``row``, in which both rows differ by more than what is absent."""
    one, two = present(row), present(other)
    return sorted(name for name in RECORD_FIELDS | row.keys() if one.get(name) != two.get(name))


def present(value: Any) -> Any:
    """``value`` without what is absent: a key that is missing, null, or an object with nothing in it are one thing.

    A column has a value in every row, so this is all that a published row cannot tell from the record it came from.
    Lists keep their length: nothing inside them is dropped.
    """
    if isinstance(value, Mapping):
        kept = {name: shown for name, item in value.items() if (shown := present(item)) is not None}
        return kept or None
    if isinstance(value, list):
        return [present(item) for item in value]
    return value


def _change(standing: Sequence[Row], row: Row) -> Change:
    if not standing:
        return "added"
    same = len(standing) == 1 and not differing_fields(row, standing[0])
    return "unchanged" if same else "replaced"


def _key(row: Row) -> tuple[Any, Any]:
    return row.get("repo"), row.get("head_commit")

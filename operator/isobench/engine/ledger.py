"""A batch's ledger, one row a commit begun: what is reserved for it, what it spent, how it ended.

Everything follows from the rows as they were written last and the children as they are now; asked again with the same
facts it answers the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from isobench.contracts.objects import BatchSpec
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import LedgerRow

Rows = Sequence[LedgerRow]


@dataclass(frozen=True, slots=True)
class Child:
    """An item of the batch as it is now."""

    index: int
    """Its place in spec.commits."""
    name: str
    outcome: Reason | None
    """How it ended; None: it did not."""
    spent_usd: float


def observed(rows: Rows, children: Iterable[Child]) -> list[LedgerRow]:
    """The rows as the children say: ended ones are settled, new ones entered.

    A child that disappeared before its end is settled at what was reserved for it. One that ended and was asked for
    again is open again.
    """
    before = {row.index: row for row in rows}
    now = {child.index: child for child in children}
    return [_row(before.get(index), now.get(index)) for index in sorted(before.keys() | now.keys())]


def _row(row: LedgerRow | None, child: Child | None) -> LedgerRow:
    if child is None:
        assert row is not None  # the index came from one of the two
        return row if row.outcome is not None else _closed(row, Reason.ITEM_DELETED, row.spent_usd + row.reserved_usd)
    row = row or LedgerRow(index=child.index, item=child.name)
    if child.outcome is None:
        return row if row.outcome is None else row.model_copy(update={"outcome": None})
    if (row.outcome, row.reserved_usd) == (child.outcome, 0.0) and row.spent_usd >= child.spent_usd:
        return row
    return _closed(row, child.outcome, max(row.spent_usd, child.spent_usd))


def _closed(row: LedgerRow, outcome: Reason, spent_usd: float) -> LedgerRow:
    return row.model_copy(update={"outcome": outcome, "reserved_usd": 0.0, "spent_usd": spent_usd})


def granted(rows: Rows, held: Mapping[str, float]) -> list[LedgerRow]:
    """The rows with what is ``held`` for open ones, by the item's name."""
    return [
        row.model_copy(update={"reserved_usd": held[row.item]})
        if row.outcome is None and not row.reserved_usd and row.item is not None and held.get(row.item)
        else row
        for row in rows
    ]


def to_begin(spec: BatchSpec, rows: Rows) -> list[int]:
    """The commits whose items are to be created now: the next without a row, so that ``parallelism`` are unfinished.

    An item that was deleted before its row was entered left no trace: it is created again.
    """
    if stopped(spec, rows) or spec.suspend:
        return []
    begun = {row.index for row in rows}
    missing = (index for index in range(len(spec.commits)) if index not in begun)
    room = spec.parallelism - sum(row.outcome is None for row in rows)
    return list(islice(missing, max(0, room)))


def stopped(spec: BatchSpec, rows: Rows) -> bool:
    """Whether a failure ended the batch early."""
    return spec.fail_fast and any(not _done(row) for row in rows if row.outcome is not None)


def finished(spec: BatchSpec, rows: Rows) -> bool:
    """Whether every item has ended, and no other will begin."""
    all_begun = len(rows) == len(spec.commits) or stopped(spec, rows)
    return all_begun and all(row.outcome is not None for row in rows)


def _done(row: LedgerRow) -> bool:
    return row.outcome is not None and row.outcome.consequence.family is Family.DONE


@dataclass(frozen=True, slots=True)
class Counts:
    """A ledger in one line."""

    running: int
    done: int
    failed: int
    reasons: Mapping[str, int]
    reserved_usd: float
    spent_usd: float

    @property
    def ended(self) -> int:
        """Items that have ended, one way or the other."""
        return self.done + self.failed


def counts(rows: Rows) -> Counts:
    """How many items run and ended, how, and the money."""
    ended = [row for row in rows if row.outcome is not None]
    done = sum(map(_done, ended))
    return Counts(
        running=len(rows) - len(ended),
        done=done,
        failed=len(ended) - done,
        reasons=dict(Counter(str(row.outcome) for row in ended).most_common()),
        reserved_usd=round(sum(row.reserved_usd for row in rows), 6),
        spent_usd=round(sum(row.spent_usd for row in rows), 6),
    )


def finished_by(total: int, ended: int, began_at: datetime, now: datetime) -> datetime | None:
    """When the last item should have ended at the pace so far, to the minute; None while there is no pace."""
    if not ended or ended >= total:
        return None
    expected = now + (total - ended) * (now - began_at) / ended
    return expected.replace(second=0, microsecond=0) + timedelta(minutes=1)

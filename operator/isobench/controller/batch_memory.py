"""What is known of a batch beside the objects: what was parsed of them once a version, and what is to be written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.status import CommitBenchmarkBatchStatus, LedgerRow
from isobench.controller.batch_children import child_of
from isobench.controller.kinds import Object
from isobench.engine.ledger import Child
from isobench.engine.plan import duplicates

DUPLICATES_SHOWN = 5


@dataclass
class BatchMemory:
    """Of one batch; nothing of it is missed after a restart but a few seconds of rows that follow from the objects."""

    uid: str
    rows: list[LedgerRow] | None = None
    written_at: datetime | None = None
    _batch: tuple[int, CommitBenchmarkBatch] | None = None
    _status: tuple[str, CommitBenchmarkBatchStatus] | None = None
    _children: dict[str, tuple[str, Child | None]] = field(default_factory=dict)

    def batch(self, found: Object) -> CommitBenchmarkBatch:
        """The batch that ``found`` is.

        Raises:
            InvalidInput: it asks for what can't be done.
        """
        generation = found["metadata"].get("generation", 0)
        if self._batch is None or self._batch[0] != generation:
            parsed = CommitBenchmarkBatch.parse({**found, "status": None}, "the batch")
            problems: Sequence[str] = duplicates(parsed)
            if problems:
                raise InvalidInput("spec.commits", problems[:DUPLICATES_SHOWN])
            self._batch = generation, parsed
        return self._batch[1]

    def status(self, found: Object) -> CommitBenchmarkBatchStatus:
        """The status that ``found`` has.

        Raises:
            InvalidInput: a newer operator wrote it.
        """
        version = found["metadata"]["resourceVersion"]
        if self._status is None or self._status[0] != version:
            self._status = version, CommitBenchmarkBatchStatus.parse(found.get("status") or {}, "status")
        return self._status[1]

    def wrote(self, written: Object, status: CommitBenchmarkBatchStatus, now: datetime) -> None:
        """The API server took ``status`` and answered with ``written``."""
        self._status = written["metadata"]["resourceVersion"], status
        self.written_at = now

    def children(self, batch: CommitBenchmarkBatch, items: Sequence[Object]) -> Iterator[tuple[Child, Object]]:
        """Those of ``items`` that the batch began, each with what the ledger wants to know of it."""
        for item in items:
            name, version = item["metadata"]["name"], item["metadata"]["resourceVersion"]
            if self._children.get(name, ("", None))[0] != version:
                self._children[name] = version, child_of(batch, item)
            child = self._children[name][1]
            if child is not None:
                yield child, item

"""One batch's reconcile: observe its items, settle and grant, write the status, then begin, wake, export and publish.

Money is granted by the write alone: an item may spend what the ledger holds for it once the ledger is written.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.status import ClosingStatus, CommitBenchmarkBatchStatus, LedgerRow, Waiting
from isobench.controller.admission import AGENT_PARALLELISM, Admission
from isobench.controller.api_errors import AlreadyExists
from isobench.controller.app import Parts
from isobench.controller.batch_children import child_manifest, suspension, waits_for
from isobench.controller.batch_closing import Closings
from isobench.controller.batch_jobs import closing_job, dataset_uri
from isobench.controller.batch_memory import BatchMemory
from isobench.controller.budgets import NoBudget, budget_of, shared_usd
from isobench.controller.kinds import BATCHES, ITEMS, JOBS, Key, Kind, Object, owner_uid
from isobench.engine import ledger
from isobench.engine.account import BUDGET, NAMESPACE_BUDGET
from isobench.engine.batch_status import Facts, refused, status_of
from isobench.engine.closing import Step
from isobench.engine.machine import SUSPENDED

BETWEEN_WRITES = timedelta(seconds=5)
_FOR_MONEY = (BUDGET, NAMESPACE_BUDGET)


@dataclass(frozen=True)
class _Seen:
    """A batch as it is now."""

    found: Object
    batch: CommitBenchmarkBatch
    before: CommitBenchmarkBatchStatus
    rows: list[LedgerRow]
    children: dict[int, Object]
    granted: list[str] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Its key."""
        return Key.of(BATCHES, self.found)

    @property
    def unfinished(self) -> list[Object]:
        """The items that have not ended, in the batch's order."""
        return [self.children[row.index] for row in self.rows if row.outcome is None and row.index in self.children]


class BatchReconciler:
    """Begins a batch's items, keeps its ledger and brings it to its end."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        """``admission`` is the one that items ask."""
        self._api, self._cache, self._clock = parts.api, parts.cache, parts.clock
        self._settings, self._wake = parts.settings, parts.wake
        self._admission = admission
        self._memory: dict[Key, BatchMemory] = {}
        self._closings = Closings(parts)

    async def reconcile(self, key: Key) -> datetime | None:
        """Bring the batch a step on; say when to look again if nothing wakes it earlier."""
        found = self._cache.batches.get(key)
        if found is None or found["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return None
        memory = self._remembered(key, found)
        try:
            before = memory.status(found)
        except InvalidInput as problem:
            await self._api.event(found, "NewerStatus", f"{problem}: a newer operator wrote it; upgrade", "Warning")
            return None
        try:
            batch = memory.batch(found)
        except InvalidInput as problem:
            await self._refuse(found, before, problem)
            return None
        return await self._advance(self._observed(found, batch, before, memory), memory)

    async def _advance(self, seen: _Seen, memory: BatchMemory) -> datetime | None:
        step, waiting = await self._closings.step(seen.found, seen.batch, seen.rows, seen.before.closing)
        status = self._status(seen, step, waiting)
        due = await self._write(seen, memory, status)
        if due is None and step.start is not None:
            await self._start(seen, step.start)
        await self._begin(seen)
        await self._suspend(seen)
        self._tell(seen)
        if seen.before.observed_generation != status.observed_generation:
            self._admission.look_again(seen.key.namespace)
        again = [step.again_at, due, self._clock() + BETWEEN_WRITES if waiting is not None else None]
        return min((time for time in again if time is not None), default=None)

    def _observed(
        self, found: Object, batch: CommitBenchmarkBatch, before: CommitBenchmarkBatchStatus, memory: BatchMemory
    ) -> _Seen:
        """The batch with its ledger as it is to be written: settled, and with what may be granted now."""
        known = list(memory.children(batch, self._cache.children_of(found["metadata"]["uid"])))
        children = {child.index: item for child, item in known}
        settled = ledger.observed(before.ledger if memory.rows is None else memory.rows, [child for child, _ in known])
        asking = [row for row in settled if row.outcome is None and not row.reserved_usd and row.item]
        held = {row.item or "": self._admission.granted_usd(children[row.index]) or 0.0 for row in asking}
        rows = settled if batch.spec.suspend else ledger.granted(settled, held)
        written = {row.item for row in before.ledger if row.reserved_usd}
        granted = [row.item for row in rows if row.reserved_usd and row.item and row.item not in written]
        memory.rows = rows
        return _Seen(found, batch, before, rows, children, granted)

    def _status(self, seen: _Seen, step: Step, waiting: Waiting | None) -> CommitBenchmarkBatchStatus:
        metadata = seen.found["metadata"]
        cap, charged = self._budget(seen)
        told = Facts(
            rows=seen.rows,
            step=step,
            waiting=waiting or self._waits(seen),
            began_at=datetime.fromisoformat(metadata["creationTimestamp"]),
            generation=metadata.get("generation"),
            dataset_uri=dataset_uri(seen.batch),
            budget_usd=cap,
            charged_usd=charged,
        )
        return status_of(seen.batch.spec, seen.before, told, self._clock())

    def _budget(self, seen: _Seen) -> tuple[float | None, float]:
        """The cap that counts, and what all that share it were charged."""
        own = ledger.counts(seen.rows)
        charged = own.spent_usd + own.reserved_usd
        try:
            budget = budget_of(self._cache, seen.found)
        except NoBudget:
            return None, charged
        charged += shared_usd(self._cache, seen.found, budget)
        return (None if budget.cap_usd is None else float(budget.cap_usd)), round(charged, 6)

    def _waits(self, seen: _Seen) -> Waiting | None:
        """Why nothing happens, if nothing does."""
        if ledger.finished(seen.batch.spec, seen.rows):
            return None
        if seen.batch.spec.suspend:
            return Waiting(why=SUSPENDED, message="spec.suspend is true; set it to false to go on")
        try:
            budget_of(self._cache, seen.found)
        except NoBudget as problem:
            return Waiting(why=BUDGET, message=str(problem))
        waiting = [child for child in seen.unfinished if waits_for(child)]
        if not waiting or len(waiting) < len(seen.unfinished):
            return None
        return Waiting.parse(waiting[0]["status"]["waiting"], "status.waiting")

    async def _write(self, seen: _Seen, memory: BatchMemory, status: CommitBenchmarkBatchStatus) -> datetime | None:
        """Write ``status`` if it says anything new and is due; say when it will be due, if it is not yet."""
        if status == seen.before:
            return None
        now = self._clock()
        urgent = bool(seen.granted) or status.closing != seen.before.closing or _moved(seen.before, status)
        due = now if memory.written_at is None or urgent else memory.written_at + BETWEEN_WRITES
        if now < due:
            return due
        written = await self._api.put_status(BATCHES, seen.found, status.manifest())
        memory.wrote(written, status, now)
        await self._report(written, seen.before, status)
        return None

    async def _report(
        self, found: Object, before: CommitBenchmarkBatchStatus, status: CommitBenchmarkBatchStatus
    ) -> None:
        outcome = status.outcome
        if outcome is None or outcome.status == "Unknown" or not _moved(before, status):
            return
        type_ = "Normal" if outcome.status == "True" else "Warning"
        await self._api.event(found, outcome.reason, outcome.message, type_)

    async def _refuse(self, found: Object, before: CommitBenchmarkBatchStatus, problem: InvalidInput) -> None:
        status = refused(before, str(problem)[:1024], found["metadata"].get("generation"), self._clock())
        if status != before:
            await self._report(await self._api.put_status(BATCHES, found, status.manifest()), before, status)

    async def _begin(self, seen: _Seen) -> None:
        """Create the items whose turn it is; the same ones again if this is asked again."""
        for index in ledger.to_begin(seen.batch.spec, seen.rows):
            manifest = child_manifest(seen.found, seen.batch, index, self._settings.controller_name)
            await self._ensure(ITEMS, seen, manifest)

    async def _start(self, seen: _Seen, attempt: ClosingStatus) -> None:
        await self._ensure(JOBS, seen, closing_job(seen.found, seen.batch, attempt, self._settings))

    async def _ensure(self, kind: Kind, seen: _Seen, manifest: Object) -> None:
        """Create ``manifest`` unless it is there; something of that name that is not ours is said to a person."""
        name, namespace = manifest["metadata"]["name"], seen.key.namespace
        try:
            await self._api.create(kind, namespace, manifest)
        except AlreadyExists:
            there = await self._api.get(kind, namespace, name)
            if there is not None and owner_uid(there, BATCHES) != seen.found["metadata"]["uid"]:
                said = f"the {kind.name} {name} is there and is not this batch's; delete it"
                await self._api.event(seen.found, "NameTaken", said, "Warning")
                raise

    async def _suspend(self, seen: _Seen) -> None:
        for child in seen.unfinished:
            merge = suspension(seen.batch, child)
            if merge is not None:
                await self._api.patch(ITEMS, seen.key.namespace, child["metadata"]["name"], merge)

    def _tell(self, seen: _Seen) -> None:
        """Wake the items that may go on: those with money, and as many agents as there is room for."""
        reserved = {row.item for row in seen.rows if row.reserved_usd}
        ready = [child for child in seen.unfinished if waits_for(child) in _FOR_MONEY]
        ready = [child for child in ready if child["metadata"]["name"] in reserved]
        agents = [child for child in seen.unfinished if waits_for(child) == AGENT_PARALLELISM]
        free = self._admission.agents_free(seen.found) if agents else 0
        for child in (*ready, *agents[: max(0, free)]):
            self._wake(Key.of(ITEMS, child))
        for name in seen.granted:
            self._wake(Key(ITEMS.plural, seen.key.namespace, name))

    def _remembered(self, key: Key, found: Object) -> BatchMemory:
        uid = found["metadata"]["uid"]
        if key not in self._memory or self._memory[key].uid != uid:
            self._forget(key)
            self._memory[key] = BatchMemory(uid)
        return self._memory[key]

    def _forget(self, key: Key) -> None:
        self._memory.pop(key, None)
        self._closings.forget(key)


def _moved(before: CommitBenchmarkBatchStatus, after: CommitBenchmarkBatchStatus) -> bool:
    """Whether the batch is somewhere else now."""
    was, is_ = before.outcome, after.outcome
    return was is None or is_ is None or (was.status, was.reason) != (is_.status, is_.reason)

"""The end of a batch: export, then publication; one export into a dataset at a time, because each writes all of it."""

from collections.abc import Sequence

from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.status import ClosingName, ClosingStatus, Waiting
from isobench.controller.app import Parts
from isobench.controller.batch_jobs import dataset_of, seen_jobs, wanted
from isobench.controller.kinds import BATCHES, Key, Object
from isobench.engine.closing import JobEnd, SeenJob, Step, close
from isobench.engine.ledger import Rows, finished

Place = tuple[str, str, str]
"""Where a dataset is: endpoint, store, name."""

_GONE = SeenJob(JobEnd.GONE)


class Closings:
    """Which batch exports where."""

    def __init__(self, parts: Parts) -> None:
        """Nobody exports yet, but who says so in its status."""
        self._api, self._cache, self._clock = parts.api, parts.cache, parts.clock
        self._exporting: dict[Place, Key] = {}

    async def step(
        self, found: Object, batch: CommitBenchmarkBatch, rows: Rows, attempts: Sequence[ClosingStatus]
    ) -> tuple[Step, Waiting | None]:
        """The next step of the batch's end, once every item has ended, and what it waits for."""
        asked = wanted(batch, rows) if finished(batch.spec, rows) else []
        jobs = await seen_jobs(self._api, self._cache, found, attempts)
        step = close(attempts, asked, lambda one: jobs.get((one.name, one.attempt), _GONE), self._clock())
        key, place = Key.of(BATCHES, found), _place(found)
        claims = step.start is not None and step.start.name is ClosingName.EXPORT and step.start not in attempts
        other = self._other(key, place) if claims else None
        if other is not None:
            said = f"the batch {other.name} exports into the dataset {dataset_of(batch)} first"
            return Step(tuple(attempts)), Waiting(why="Export", message=said)
        if any(one.name is ClosingName.EXPORT and not one.state.final for one in step.attempts):
            self._exporting[place] = key
        elif self._exporting.get(place) == key:
            del self._exporting[place]
        return step, None

    def forget(self, key: Key) -> None:
        """The batch ``key`` is gone."""
        self._exporting = {place: holder for place, holder in self._exporting.items() if holder != key}

    def _other(self, key: Key, place: Place) -> Key | None:
        """Who else exports there: who has just claimed it, or says so in its status."""
        holder = self._exporting.get(place, key)
        if holder != key:
            return holder
        others = (other for other in self._cache.batches.all() if Key.of(BATCHES, other) != key)
        return next((Key.of(BATCHES, other) for other in others if _exports(other) and _place(other) == place), None)


def _exports(batch: Object) -> bool:
    attempts = batch.get("status", {}).get("closing", ())
    return any(one["name"] == ClosingName.EXPORT and one["state"] in ("Creating", "Running") for one in attempts)


def _place(batch: Object) -> Place:
    output = batch["spec"].get("template", {}).get("output", {})
    dataset = output.get("dataset") or batch["metadata"]["name"]
    return output.get("endpoint") or "", output.get("store", ""), dataset

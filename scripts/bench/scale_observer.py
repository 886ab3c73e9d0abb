"""Watches a namespace while items go through their stages, and says when each Job ended and the next was created."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field

from isobench.controller.api import Api
from isobench.controller.api_errors import Gone, Unavailable
from isobench.controller.kinds import ITEM_LABEL, ITEMS, JOBS, Kind, Object


@dataclass
class Observer:
    """One namespace's Jobs and items, as their events arrive."""

    api: Api
    namespace: str
    stages: int
    created: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    done: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    """Items whose last Job has ended, for clients that work on Jobs alone."""
    job_ended: asyncio.Queue[Object] = field(default_factory=asyncio.Queue)
    finished: set[str] = field(default_factory=set)
    """Items whose status says that they have ended."""
    statuses: dict[str, list[Object]] = field(default_factory=lambda: defaultdict(list))
    """What was written into the first items' statuses, write by write."""
    _known: set[tuple[str, bool]] = field(default_factory=set)

    async def follow(self, kind: Kind) -> None:
        """Watch ``kind`` for ever."""
        version = (await self.api.list(kind, self.namespace)).resource_version
        while True:
            try:
                async for event in self.api.watch(kind, self.namespace, "", version):
                    version = event.item["metadata"]["resourceVersion"]
                    if event.type in ("ADDED", "MODIFIED"):
                        self._job(event.item) if kind is JOBS else self._item(event.item)
            except Gone:
                version = (await self.api.list(kind, self.namespace)).resource_version
            except Unavailable:
                await asyncio.sleep(0.1)

    def overheads(self) -> list[float]:
        """Seconds from the end of each Job to the creation of its item's next one, sorted."""
        pairs = [
            (end, begin)
            for item, ends in self.ended.items()
            for end, begin in zip(sorted(ends), sorted(self.created[item])[1:], strict=False)
        ]
        return sorted(begin - end for end, begin in pairs)

    def _job(self, job: Object) -> None:
        now, name = time.monotonic(), job["metadata"]["name"]
        item = job["metadata"].get("labels", {}).get(ITEM_LABEL)
        if item is None:
            return
        if self._new(name, ended=False):
            self.created[item].append(now)
        if _has_ended(job) and self._new(name, ended=True):
            self.ended[item].append(now)
            self.job_ended.put_nowait(job)
            if len(self.ended[item]) == self.stages:
                self.done.put_nowait(item)

    def _new(self, name: str, *, ended: bool) -> bool:
        if (name, ended) in self._known:
            return False
        self._known.add((name, ended))
        return True

    def _item(self, item: Object) -> None:
        name, status = item["metadata"]["name"], item.get("status")
        if not status:
            return
        if len(self.statuses) < 2 or name in self.statuses:
            self.statuses[name].append(status)
        if any(one["type"] == "Succeeded" and one["status"] != "Unknown" for one in status.get("conditions", ())):
            self.finished.add(name)


def _has_ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


async def follow_all(observer: Observer) -> list[asyncio.Task[None]]:
    """Tasks that follow Jobs and items; to be cancelled."""
    return [asyncio.create_task(observer.follow(kind)) for kind in (JOBS, ITEMS)]

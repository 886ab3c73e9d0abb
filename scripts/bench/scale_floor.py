"""The floor: a bare client that decides nothing makes the same writes that the operator made for one item, for many."""

import asyncio
import time
from dataclasses import dataclass

import orjson
from scale_observer import Observer

from isobench.controller.api import Api
from isobench.controller.kinds import CLAIMS, ITEM_LABEL, ITEM_UID_LABEL, ITEMS, JOBS, PODS, Object

WRITERS = 64  # creations that are under way at once: the client is not to be the limit


@dataclass(frozen=True)
class Recording:
    """What the operator wrote for one item: its Jobs, its claim if it has one, its statuses in their order."""

    name: str
    uid: str
    jobs: list[Object]
    claim: Object | None
    statuses: list[Object]

    def copy(self, part: Object, name: str, uid: str) -> Object:
        """``part`` as it is for another item; names of items are of equal length."""
        text = orjson.dumps(part).replace(self.uid.encode(), uid.encode())
        text = text.replace(self.uid[:8].encode(), uid[:8].encode()).replace(self.name.encode(), name.encode())
        copied: Object = orjson.loads(text)
        return copied


def as_manifest(item: Object) -> Object:
    """What had to be sent to get ``item``: without what the API server added."""
    metadata = {key: item["metadata"][key] for key in ("name", "labels", "ownerReferences") if key in item["metadata"]}
    spec = {key: value for key, value in item["spec"].items() if key not in ("selector", "volumeName")}
    if "template" in spec:
        labels = spec["template"]["metadata"]["labels"]
        kept = {key: value for key, value in labels.items() if "job-name" not in key and "controller-uid" not in key}
        spec["template"] = spec["template"] | {"metadata": spec["template"]["metadata"] | {"labels": kept}}
    return {"metadata": metadata, "spec": spec}


def _without_claims(pod: Object) -> None:
    """Give the pod empty folders in place of claims that nobody makes."""
    for volume in pod["volumes"]:
        if volume.pop("persistentVolumeClaim", None):
            volume["emptyDir"] = {}


@dataclass
class Chains:
    """The same chain of writes for many items; with Jobs alone, nothing but Jobs is written.

    At most ``in_flight`` have begun and not ended: more at once overload what is measured, and the operator has a cap.
    """

    api: Api
    observer: Observer
    namespace: str
    recording: Recording
    in_flight: int
    jobs_alone: bool = False

    async def run(self, manifests: list[Object]) -> float:
        """Take every item through its chain; seconds from the first creation to the last end."""
        begun = time.monotonic()
        room = asyncio.Semaphore(WRITERS)
        steps = asyncio.create_task(self._steps(len(manifests)))
        async with asyncio.TaskGroup() as group:
            for manifest in manifests:
                group.create_task(self._begin(manifest, room))
        await steps
        return time.monotonic() - begun

    async def _begin(self, manifest: Object, room: asyncio.Semaphore) -> None:
        async with room:
            name = manifest["metadata"]["name"]
            if self.jobs_alone:
                item = manifest | {"metadata": {"name": name, "uid": f"{hash(name) & 0xFFFFFFFF:08x}-0000"}}
            else:
                item = await self.api.create(ITEMS, self.namespace, manifest)
        await self._slots.acquire()
        async with room:
            await self._first_stage(item)

    async def _first_stage(self, item: Object) -> None:
        if not self.jobs_alone:
            item = await self._status(item, 0)
            if self.recording.claim is not None:
                await self.api.create(CLAIMS, self.namespace, self._copy(self.recording.claim, item))
        self._items[item["metadata"]["name"]] = item
        await self._job(item, 0)

    async def _steps(self, items: int) -> None:
        left = items
        async with asyncio.TaskGroup() as group:
            while left:
                job = await self.observer.job_ended.get()
                name = job["metadata"]["labels"][ITEM_LABEL]
                ended = len(self.observer.ended[name])
                left -= ended == len(self.recording.jobs)
                group.create_task(self._next(name, ended))

    async def _next(self, name: str, ended: int) -> None:
        last = ended == len(self.recording.jobs)
        if last:
            await self._finish(self._items[name], ended)
            self._slots.release()
            return
        if not self.jobs_alone:
            self._items[name] = await self._status(self._items[name], ended)
        await self._job(self._items[name], ended)

    async def _finish(self, item: Object, ended: int) -> None:
        """The last status; a claim of its own goes, and with it the pods that would keep it."""
        if self.jobs_alone:
            return
        if self.recording.claim is not None:
            claim = self._copy(self.recording.claim, item)
            await self.api.delete(CLAIMS, self.namespace, claim["metadata"]["name"])
        await self._status(item, ended)
        if self.recording.claim is not None:
            await self.api.delete_all(PODS, self.namespace, f"{ITEM_UID_LABEL}={item['metadata']['uid']}")

    async def _job(self, item: Object, number: int) -> None:
        job = self._copy(self.recording.jobs[number], item)
        if self.jobs_alone:
            job["metadata"].pop("ownerReferences")
            _without_claims(job["spec"]["template"]["spec"])
        await self.api.create(JOBS, self.namespace, job)

    async def _status(self, item: Object, number: int) -> Object:
        return await self.api.put_status(ITEMS, item, self._copy(self.recording.statuses[number], item))

    def _copy(self, part: Object, item: Object) -> Object:
        return self.recording.copy(part, item["metadata"]["name"], item["metadata"]["uid"])

    def __post_init__(self) -> None:
        """Begin without items."""
        self._items: dict[str, Object] = {}
        self._slots = asyncio.Semaphore(self.in_flight)

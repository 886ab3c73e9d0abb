"""Reconciling: which keys a change concerns, workers that take them from the queue, and what follows a failure."""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Protocol

from isobench.contracts.base import InvalidInput
from isobench.controller import item_jobs
from isobench.controller.api import Api
from isobench.controller.api_errors import ApiError, Conflict, NotLeading
from isobench.controller.cache import Cache
from isobench.controller.clock import Clock
from isobench.controller.deadlines import Deadlines
from isobench.controller.item_jobs import is_finished, is_suspended, lacks_a_pod, works
from isobench.controller.item_pods import is_hindered
from isobench.controller.kinds import BATCHES, ITEMS, JOBS, Key, Kind, Object
from isobench.controller.metrics import Metrics
from isobench.controller.queue import BackOff, WorkQueue

log = logging.getLogger(__name__)

COALESCED = 0.25  # seconds in which the changes of a batch's items are looked at together

_reconciled: ContextVar[Key | None] = ContextVar("reconciled", default=None)


class Reconciler(Protocol):
    """Brings one object a step on; level-based: called at any time, any number of times."""

    async def reconcile(self, key: Key) -> datetime | None:
        """Do what there is to do about ``key`` and say when to look again, if nothing wakes it earlier."""


Reconcilers = Mapping[str, Reconciler]
"""By the plural of their kind."""


class Work:
    """The queue, the deadlines and the workers of one leader; a standby's changes are not queued."""

    def __init__(self, cache: Cache, api: Api, metrics: Metrics, clock: Clock, monotonic: Callable[[], float]) -> None:
        """Listen to ``cache``; nothing is queued before `begin`."""
        self._cache, self._api, self._metrics = cache, api, metrics
        self._clock, self._monotonic = clock, monotonic
        self.begun = False
        self._back_off = BackOff()
        self.queue = WorkQueue(monotonic)
        self.deadlines = Deadlines(monotonic)
        for store in cache:
            store.listen(self._changed)
        cache.pods.listen(self._pod_changed)

    def begin(self) -> None:
        """Queue everything that there is, and from now on everything that changes."""
        self.begun = True
        for key in (*self._cache.batches.keys(), *self._cache.items.keys()):
            self.wake(key)

    def end(self) -> None:
        """Queue nothing any more."""
        self.begun = False

    def wake(self, key: Key) -> None:
        """Have ``key`` reconciled."""
        if self.begun:
            self.queue.add(key)

    async def work(self, reconcilers: Reconcilers, *, only_urgent: bool = False) -> None:
        """One worker, for ever; of all work or of urgent work only.

        Raises:
            NotLeading: a write was refused because the Lease is lost.
        """
        while True:
            key = await self.queue.get(only_urgent=only_urgent)
            try:
                await self._reconcile(reconcilers[key.kind], key)
            finally:
                self.queue.done(key)

    async def _reconcile(self, reconciler: Reconciler, key: Key) -> None:
        self.deadlines.clear(key)
        _reconciled.set(key)
        began = self._monotonic()
        try:
            again_at = await reconciler.reconcile(key)
        except NotLeading:
            raise
        except Conflict:
            await self._read_again(key)
        except (ApiError, InvalidInput) as error:
            self._failed(key, error)
        except Exception as error:
            self._failed(key, error)
            log.exception("a reconcile failed", extra={"key": str(key)})
        else:
            self._back_off.forget(key)
            if again_at is not None:
                self.deadlines.after(key, (again_at - self._clock()).total_seconds())
        finally:
            self._metrics.reconciled(key.kind, self._monotonic() - began)

    async def _read_again(self, key: Key) -> None:
        """Somebody changed the object after it was decided on: decide again, on what it is now."""
        try:
            await self.refresh(key)
        except ApiError as error:
            self._failed(key, error)
        else:
            self.deadlines.after(key, self._back_off.after_failure(key))

    async def refresh(self, key: Key) -> None:
        """Put what the API server says of ``key`` at this moment into the cache.

        Raises:
            ApiError: it can't be read.
        """
        store = self._cache.store(key.kind)
        if store is None:
            return
        known = store.get(key)
        item = await self._api.get(store.kind, key.namespace, key.name)
        if item is not None:
            store.put(item)
        elif known is not None:
            store.remove(known)

    def _failed(self, key: Key, error: Exception) -> None:
        delay = max(self._back_off.after_failure(key), getattr(error, "retry_after", None) or 0.0)
        self._metrics.reconcile_failed(key.kind)
        log.warning("reconciled again in %.1f s: %s", delay, error, extra={"key": str(key)})
        self.deadlines.after(key, delay)

    def _changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """Wake what ``key``'s change concerns; a reconciler's own write does not wake the object it works on."""
        item = after or before
        if not self.begun or item is None:
            return
        if key.kind == JOBS.plural:
            if before is None or after is None or _told(before) != _told(after):
                self._wake_owners(item)
            elif lacks_a_pod(after) and not lacks_a_pod(before):
                self._look_later(after)
            return
        self._wake_others(key)
        batch = _owner(item, BATCHES)
        if batch is not None and batch != _reconciled.get():
            self.deadlines.after(batch, COALESCED)

    def _wake_owners(self, job: Object) -> None:
        for owner in _owners(job):
            self._wake_others(owner, urgent=True)

    def _pod_changed(self, key: Key, before: Object | None, after: Object | None) -> None:
        """What hinders a pod passes as a rule; its item looks at it when it has not."""
        if not self.begun or after is None or not is_hindered(after) or (before is not None and is_hindered(before)):
            return
        owner = _owner(after, JOBS)
        job = None if owner is None else self._cache.jobs.get(owner)
        if job is not None:
            self._look_later(job)

    def _look_later(self, job: Object) -> None:
        for owner in _owners(job):
            self.deadlines.after(owner, item_jobs.FIRST_LOOK.total_seconds())

    def _wake_others(self, key: Key, *, urgent: bool = False) -> None:
        if key != _reconciled.get():
            self.queue.add(key, urgent=urgent)


def _told(job: Object) -> tuple[object, ...]:
    """What anybody acts on: the Job controller's steps in between are none of it."""
    return is_finished(job), works(job), is_suspended(job), job["metadata"].get("deletionTimestamp")


def _owners(job: Object) -> list[Key]:
    """The keys of what waits for ``job``."""
    return [owner for kind in (ITEMS, BATCHES) if (owner := _owner(job, kind)) is not None]


def _owner(item: Object, kind: Kind) -> Key | None:
    """The key of the ``kind`` that owns ``item``."""
    metadata = item["metadata"]
    for reference in metadata.get("ownerReferences", ()):
        if reference["kind"] == kind.name:
            return Key(kind.plural, metadata["namespace"], reference["name"])
    return None

"""The operator's process: caches kept warm, an election, work while leading, a clean end."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from isobench import __version__
from isobench.controller.account_book import Book
from isobench.controller.api import Api
from isobench.controller.api_errors import Forbidden
from isobench.controller.cache import Cache
from isobench.controller.clock import Clock, ServerClock
from isobench.controller.connection import Connection
from isobench.controller.election import Election, Timing
from isobench.controller.kinds import CONTROLLER_LABEL, LEASES, Key, Object
from isobench.controller.metrics import Metrics
from isobench.controller.object_metrics import ObjectCollector
from isobench.controller.reflector import Reflector
from isobench.controller.scope import refuse_overlap, serves
from isobench.controller.settings import ControllerSettings
from isobench.controller.transport import Hooks
from isobench.controller.wakeup import Kopf
from isobench.controller.web import serve
from isobench.controller.witness import Witness
from isobench.controller.work import Reconcilers, Work

log = logging.getLogger(__name__)

LAST_RECONCILES = 20.0  # seconds that reconciles may take to end after SIGTERM
GC_THRESHOLDS = (20_000, 20, 50)  # parsed JSON has no cycles: looking for them often would cost milliseconds each time


@dataclass(frozen=True)
class Parts:
    """What reconcilers are made from."""

    api: Api
    cache: Cache
    settings: ControllerSettings
    clock: Clock
    metrics: Metrics
    wake: Callable[[Key], None]
    book: Book


MakeReconcilers = Callable[[Parts], Reconcilers]


class App:
    """One process of a release."""

    def __init__(self, settings: ControllerSettings, connection: Connection, make: MakeReconcilers) -> None:
        """Needs a running loop; nothing is read or written before `run`."""
        self._settings = settings
        self._clock = ServerClock()
        self._metrics = Metrics(__version__)
        self._cache = Cache()
        heard = Hooks(counted=self._metrics.api_request, heard=self._clock.heard)
        self._lease_api = Api(connection, self._clock, heard)
        timing = Timing.of(settings.lease_seconds)
        self._election = Election(self._lease_api, settings, self._clock, time.monotonic, timing)
        self._api = Api(
            connection,
            self._clock,
            Hooks(heard.counted, heard.heard, self._may_write, self._cache.learn),
        )
        self._work = Work(self._cache, self._api, self._metrics, self._clock, time.monotonic)
        self._reflectors = list(self._make_reflectors())
        self._kopf = Kopf(settings, connection, Witness(self._cache, self._work.refresh).saw)
        self._book = Book(self._api, self._cache, settings)
        parts = Parts(self._api, self._cache, settings, self._clock, self._metrics, self._work.wake, self._book)
        self._reconcilers = make(parts)
        self._show_metrics()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set, then end cleanly.

        Raises:
            ScopeTaken: another release serves the same objects.
            NotLeading: the Lease was lost.
            ApiError: the API server refused something that nothing works without.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._api.close)
            stack.push_async_callback(self._lease_api.close)
            port = await stack.enter_async_context(serve(self._settings.metrics_port, self._metrics, self.ready))
            log.info("started", extra={"version": __version__, "port": port})
            await self._refuse_overlap()
            forever = [reflector.run() for reflector in self._reflectors]
            forever += [self._after_sync(self._kopf.run), self._after_sync(self._lead)]
            serving = asyncio.create_task(_together(forever))
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    serving.result()
                await self._finish()
            finally:
                await _cancel([serving, stopped])

    async def _lead(self) -> None:
        """Work while the Lease is held."""
        if self._settings.leader_election:
            await self._election.acquire()
            await _together([self._election.hold(), self._work_on()])
        else:
            await self._work_on()

    async def _work_on(self) -> None:
        """Work for as long as this process leads; nothing is written before everything has been listed anew."""
        await self._refuse_overlap()
        for reflector in self._reflectors:
            await reflector.relist()
        self._work.begin()
        self._metrics.leads()
        # Half of the workers begin nothing: however much is to begin, what goes on finds one of them free.
        workers = [
            self._work.work(self._reconcilers, only_urgent=number % 2 == 1) for number in range(self._settings.workers)
        ]
        await _together([self._work.deadlines.ring(self._work.wake), *workers])

    async def _finish(self) -> None:
        log.info("stopping")
        self._work.end()
        try:
            await asyncio.wait_for(self._work.queue.drain(), LAST_RECONCILES)
        except TimeoutError:
            log.warning(
                "some reconciles did not end in %d s; the next leader goes on from what is written", LAST_RECONCILES
            )
        await self._election.release()

    async def _after_sync(self, go_on: Callable[[], Awaitable[None]]) -> None:
        for reflector in self._reflectors:
            await reflector.synced.wait()
        gc.freeze()  # what was listed lives long: a full collection need not walk it
        gc.set_threshold(*GC_THRESHOLDS)
        await go_on()

    @property
    def leading(self) -> bool:
        """Whether this process does the work."""
        return self._work.begun

    def ready(self) -> bool:
        """Whether the caches are filled; a standby is ready too."""
        return all(reflector.synced.is_set() for reflector in self._reflectors)

    def _may_write(self) -> None:
        if self._settings.leader_election:
            self._election.check()

    def _make_reflectors(self) -> Iterator[Reflector]:
        ours = f"{CONTROLLER_LABEL}={self._settings.controller_name}"
        for namespace in self._settings.namespaces or (None,):
            for store in (self._cache.batches, self._cache.items):
                yield Reflector(self._api, store, namespace, admits=lambda item: serves(self._settings, item))
            for store in (self._cache.jobs, self._cache.pods):
                yield Reflector(self._api, store, namespace, ours)

    async def _refuse_overlap(self) -> None:
        refuse_overlap(self._settings, await self._leases(), self._clock())

    async def _leases(self) -> list[Object]:
        """The Leases of every release of this controller name that we may see."""
        selector = f"{CONTROLLER_LABEL}={self._settings.controller_name}"
        try:
            return (await self._lease_api.list(LEASES, None, selector)).items
        except Forbidden:
            places = sorted({self._settings.release_namespace, *self._settings.namespaces})
            return [lease for place in places for lease in (await self._lease_api.list(LEASES, place, selector)).items]

    def _show_metrics(self) -> None:
        queue, metrics = self._work.queue, self._metrics
        metrics.watch_queue(queue.depth, queue.oldest_age)
        metrics.watch(
            ObjectCollector(
                self._cache.items.all,
                self._cache.batches.all,
                self._settings.caps_of,
                lambda: self._book.known,
                clock=self._clock,
                leading=lambda: self.leading,
                seen=metrics.namespace_seen,
            )
        )


async def _together(forever: Sequence[Coroutine[None, None, None]]) -> None:
    """Run all of them until one ends, which none does but by an error: it is raised, and the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in forever]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _cancel(tasks)


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

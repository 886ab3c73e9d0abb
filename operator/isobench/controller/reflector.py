"""Keeps one store equal to what the API server has: list, then watch; again from a list when the watch can't go on.

A list says what is there and, by what it lacks, what was deleted. Lost, repeated and reordered events do no harm: the
store takes nothing older than it has, and every list puts right what a watch has missed.
"""

import asyncio
import logging
from collections.abc import Callable

from isobench.controller.api import Api
from isobench.controller.api_errors import ApiError, Gone
from isobench.controller.cache import Store
from isobench.controller.kinds import Key, Object

log = logging.getLogger(__name__)

RELIST_SECONDS = 600.0
PAGE_PAUSE_SECONDS = 0.5
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0


class Reflector:
    """One store, one namespace (or all), one label selector."""

    def __init__(
        self,
        api: Api,
        store: Store,
        namespace: str | None = None,
        selector: str = "",
        *,
        admits: Callable[[Object], bool] = lambda item: True,
    ) -> None:
        """``admits`` says which objects of the list are ours; others are not kept."""
        self._api = api
        self._store = store
        self._namespace = namespace
        self._selector = selector
        self._admits = admits
        self._failures = 0
        self._lists = 0
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Follow the API server for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compare_for_ever())
            group.create_task(self._follow_for_ever())

    async def _follow_for_ever(self) -> None:
        version: str | None = None
        while True:
            try:
                version = await self._follow(version or await self.relist())
            except Gone:
                log.info(
                    "%s: the API server has forgotten what came next, and lists them anew", self._store.kind.plural
                )
                version = None
            except ApiError as error:
                await self._back_off(error)

    async def _compare_for_ever(self) -> None:
        """Find what the watch has missed, now and then, beside it, and with pauses.

        An API server that lists ten thousand objects at once may end watches meanwhile, and whoever held one lists too.
        """
        while True:
            await asyncio.sleep(RELIST_SECONDS)
            try:
                await self.relist(PAGE_PAUSE_SECONDS)
            except ApiError as error:
                log.warning("%s can't be compared at the moment: %s", self._store.kind.plural, error)

    async def relist(self, pause_seconds: float = 0.0) -> str:
        """Take everything as it is now, with a pause after each page; returns the version from which a watch goes on.

        Raises:
            ApiError: the list could not be read.
        """
        self._lists = number = self._lists + 1
        present: set[Key] = set()
        version = ""
        async for page in self._api.pages(self._store.kind, self._namespace, self._selector):
            version = page.resource_version
            if pause_seconds and number < self._lists:
                return version  # a list that began later knows more: what it lacks must not come back
            for item in filter(self._admits, page.items):
                present.add(Key.of(self._store.kind, item))
                self._store.put(item)
            await asyncio.sleep(pause_seconds)
        self._store.retain(present, version, self._namespace)
        self._failures = 0
        self.synced.set()
        return version

    async def _follow(self, version: str) -> str:
        """Take what the watch says until it ends; returns the version to go on from, whatever ended it."""
        begun = version
        try:
            async for event in self._api.watch(self._store.kind, self._namespace, self._selector, version):
                version = event.item["metadata"]["resourceVersion"]
                self._failures = 0
                if event.type == "DELETED":
                    self._store.remove(event.item)
                elif event.type != "BOOKMARK" and self._admits(event.item):
                    self._store.put(event.item)
        except Gone:
            raise
        except ApiError as error:
            await self._back_off(error)
        if version == begun:
            await asyncio.sleep(_FIRST_DELAY)  # a server that ends every watch at once is not to be hammered
        return version

    async def _back_off(self, error: ApiError) -> None:
        log.warning("%s is not followed at the moment: %s", self._store.kind.plural, error)
        delay = min(_FIRST_DELAY * 2 ** min(self._failures, 10), _LONGEST_DELAY)
        self._failures += 1
        await asyncio.sleep(delay)

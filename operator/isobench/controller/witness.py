"""A second witness of changes: what kopf's watch saw must be in the cache soon, or our own watch has lost an event."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from isobench.controller.api_errors import ApiError
from isobench.controller.cache import Cache
from isobench.controller.kinds import Key

log = logging.getLogger(__name__)

LOST_AFTER = 2.0  # seconds that our own watch may be behind
AT_ONCE = 8  # objects that are read at the same time: where a whole watch is behind, thousands would be


class Witness:
    """Hears of versions, and has what is still missing after a while read from the API server."""

    def __init__(self, cache: Cache, refresh: Callable[[Key], Awaitable[None]]) -> None:
        """``refresh`` puts what the API server says of a key into ``cache``."""
        self._cache = cache
        self._refresh = refresh
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    def saw(self, key: Key, version: str, *, deleted: bool) -> None:
        """There is such a version of ``key``, or its last was that and it was ``deleted``."""
        if deleted and self._cache.get(key) is None:
            return
        if self._behind(key, version):
            asyncio.get_running_loop().call_later(LOST_AFTER, self._look_again, key, version)

    def _look_again(self, key: Key, version: str) -> None:
        if self._behind(key, version):
            task = asyncio.create_task(self._repair(key))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _repair(self, key: Key) -> None:
        try:
            async with self._room:
                await self._refresh(key)
        except ApiError as error:
            log.warning("an event of %s may be lost: %s", key, error)

    def _behind(self, key: Key, version: str) -> bool:
        known = self._cache.get(key)
        return known is None or int(known["metadata"]["resourceVersion"]) < int(version)

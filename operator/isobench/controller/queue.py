"""The work queue: a key waits at most once, is never in two workers, and comes back later after each failure.

Work that is under way comes before work that is to begin: a thousand new items don't hold up one whose Job has ended.
"""

import asyncio
import itertools
from collections.abc import Callable

from isobench.controller.kinds import Key

FIRST_DELAY, LONGEST_DELAY = 0.1, 60.0


class WorkQueue:
    """Keys to reconcile: urgent ones first, else first come, first served."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """``monotonic`` says how long keys have waited."""
        self._monotonic = monotonic
        self._ready: asyncio.PriorityQueue[tuple[bool, int, Key]] = asyncio.PriorityQueue()
        self._under_way: asyncio.Queue[Key] = asyncio.Queue()
        self._order = itertools.count()
        self._waiting: dict[Key, float] = {}
        self._urgent: set[Key] = set()
        self._working: set[Key] = set()
        self._again: set[Key] = set()
        self._closed = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    def add(self, key: Key, *, urgent: bool = False) -> None:
        """Have ``key`` reconciled after this moment: now, or once more if a worker has it."""
        if self._closed or (key in self._waiting and (key in self._urgent or not urgent)):
            return
        if urgent:
            self._urgent.add(key)
        if key in self._working:
            self._again.add(key)
            return
        self._waiting.setdefault(key, self._monotonic())
        self._ready.put_nowait((not urgent, next(self._order), key))
        if urgent:
            self._under_way.put_nowait(key)

    async def get(self, *, only_urgent: bool = False) -> Key:
        """The next key, or the next urgent one; nobody else gets it before `done`."""
        key = await self._next(only_urgent)
        while key not in self._waiting or (only_urgent and key not in self._urgent):  # it was given out before
            key = await self._next(only_urgent)
        del self._waiting[key]
        self._urgent.discard(key)
        self._working.add(key)
        self._quiet.clear()
        return key

    async def _next(self, only_urgent: bool) -> Key:
        return await self._under_way.get() if only_urgent else (await self._ready.get())[2]

    def done(self, key: Key) -> None:
        """The worker is through with ``key``."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key, urgent=key in self._urgent)
        if not self._working:
            self._quiet.set()

    async def drain(self) -> None:
        """Take no more keys, give out none that wait, and return when no worker has one."""
        self._closed = True
        self._ready, self._under_way = asyncio.PriorityQueue(), asyncio.Queue()
        self._waiting.clear()
        await self._quiet.wait()

    def depth(self) -> float:
        """How many keys wait."""
        return len(self._waiting)

    def oldest_age(self) -> float:
        """Seconds that the first of them has waited."""
        oldest = next(iter(self._waiting.values()), None)
        return 0.0 if oldest is None else self._monotonic() - oldest


class BackOff:
    """How long each key waits after its failures in a row."""

    def __init__(self) -> None:
        """Begin without failures."""
        self._failures: dict[Key, int] = {}

    def after_failure(self, key: Key) -> float:
        """Seconds until ``key`` is tried again: doubled with each failure."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return float(min(FIRST_DELAY * 2 ** min(failures, 16), LONGEST_DELAY))

    def forget(self, key: Key) -> None:
        """``key`` went through."""
        self._failures.pop(key, None)

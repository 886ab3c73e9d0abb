"""When to look at which key again: one heap for all of them, on the clock that nobody can set."""

import asyncio
import heapq
from collections.abc import Callable

from isobench.controller.kinds import Key

_SLACK = 64


class Deadlines:
    """At most one moment per key; the earliest counts."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Moments are seconds of ``monotonic``."""
        self._monotonic = monotonic
        self._moments: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._earlier = asyncio.Event()

    def after(self, key: Key, seconds: float) -> None:
        """Look at ``key`` in ``seconds``, or earlier if that was set before."""
        moment = self._monotonic() + max(0.0, seconds)
        known = self._moments.get(key)
        if known is not None and known <= moment:
            return
        self._moments[key] = moment
        heapq.heappush(self._heap, (moment, key))
        if self._heap[0] == (moment, key):
            self._earlier.set()
        if len(self._heap) > 2 * len(self._moments) + _SLACK:
            self._heap = sorted((moment, key) for key, moment in self._moments.items())

    def clear(self, key: Key) -> None:
        """Forget the moment of ``key``."""
        self._moments.pop(key, None)

    def next(self) -> float | None:
        """The earliest moment, or None."""
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self) -> list[Key]:
        """The keys whose moment has come, which are forgotten."""
        keys = []
        while (moment := self.next()) is not None and moment <= self._monotonic():
            key = heapq.heappop(self._heap)[1]
            del self._moments[key]
            keys.append(key)
        return keys

    async def ring(self, add: Callable[[Key], None]) -> None:
        """Give every key to ``add`` when its moment comes, for ever."""
        while True:
            for key in self.due():
                add(key)
            self._earlier.clear()
            moment = self.next()
            wait = None if moment is None else max(0.0, moment - self._monotonic())
            try:
                await asyncio.wait_for(self._earlier.wait(), wait)
            except TimeoutError:
                continue

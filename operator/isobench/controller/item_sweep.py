"""Shared claims are swept some time after the last item on them went: nothing of an item holds its own deletion up."""

from datetime import UTC, datetime, timedelta

from isobench.controller.api_errors import AlreadyExists, Forbidden, NotFound
from isobench.controller.app import Parts
from isobench.controller.jobs.sweep import sweep_job
from isobench.controller.kinds import ITEMS, JOBS, Key, Object

AFTER = timedelta(minutes=15)
"""Longer than the worker takes a directory for one that may belong to an item that it was not told of."""


class Sweeper:
    """Remembers which item was on which shared claim; what a restart forgets, the next sweep of the claim finds."""

    def __init__(self, parts: Parts) -> None:
        """Nothing is remembered yet."""
        self._api, self._clock, self._settings = parts.api, parts.clock, parts.settings
        self._claims: dict[Key, str] = {}
        self._due: dict[Key, datetime] = {}
        self._swept: dict[tuple[str, str], datetime] = {}

    def seen(self, key: Key, item: Object) -> None:
        """There is such an item."""
        self._due.pop(key, None)
        claim = item["spec"].get("workspace", {}).get("claimName")
        if claim:
            self._claims[key] = str(claim)

    async def gone(self, key: Key) -> datetime | None:
        """The item is gone: have its claim swept when that is due; say when."""
        if key not in self._claims:
            return None
        now = self._clock()
        due = self._due.setdefault(key, _next_sweep(now))
        if now < due:
            return due
        place = (key.namespace, self._claims[key])
        if self._swept.get(place) != due:
            await self._sweep(*place)
            self._swept[place] = due
        del self._claims[key], self._due[key]
        return None

    async def _sweep(self, namespace: str, claim: str) -> None:
        """One Job for all items that are gone; other releases' items on the claim are kept too."""
        items = (await self._api.list(ITEMS, namespace)).items
        job = sweep_job(namespace, claim, items, self._clock(), self._settings)
        try:
            await self._api.create(JOBS, namespace, job)
        except (AlreadyExists, Forbidden, NotFound):
            return  # one is at it, or the namespace is going too


def _next_sweep(now: datetime) -> datetime:
    """A round time after `AFTER`, so that items that go together are swept together."""
    later = (now + 2 * AFTER).timestamp()
    return datetime.fromtimestamp(later - later % AFTER.total_seconds(), UTC)

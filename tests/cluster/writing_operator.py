"""An operator whose only work is to write its own name into every item's status as fast as it may."""

import sys
from datetime import datetime, timedelta

from isobench.controller.__main__ import run
from isobench.controller.app import Parts
from isobench.controller.kinds import BATCHES, ITEMS, Key


class Writer:
    """Writes `status.waiting` again and again."""

    def __init__(self, parts: Parts) -> None:
        """Begin to count."""
        self.parts = parts
        self.written = 0

    async def reconcile(self, key: Key) -> datetime | None:
        """Write once, and come back at once."""
        item = self.parts.cache.get(key)
        if item is None:
            return None
        self.written += 1
        waiting = {"why": self.parts.settings.identity, "position": self.written}
        await self.parts.api.put_status(ITEMS, item, {"waiting": waiting})
        return self.parts.clock() + timedelta(milliseconds=20)


def make(parts: Parts) -> dict[str, Writer]:
    """The same for both kinds."""
    writer = Writer(parts)
    return {ITEMS.plural: writer, BATCHES.plural: writer}


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], make))

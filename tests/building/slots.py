"""A cache with items and an admission on it: who has a slot, without an API server."""

from types import SimpleNamespace

from building.items import NOON
from building.objects import item
from isobench.controller.account_book import Book
from isobench.controller.accounts import Accounts
from isobench.controller.admission import Admission
from isobench.controller.cache import Cache
from isobench.controller.item import RETRY_ANNOTATION
from isobench.controller.kinds import BATCHES, ITEMS, Key
from isobench.controller.settings import settings_from


class World:
    """One operator after the other, each with ``flags``, beside the same items."""

    def __init__(self, *flags):
        """Begin without items; the first operator has just started."""
        self.flags = flags
        self.cache, self.woken, self.version = Cache(), [], 0
        self.admission = self.restarted()

    def restarted(self):
        """A new operator's admission: all that it knows is in the cache."""
        settings = settings_from(self.flags)
        book = Book(None, self.cache, settings)
        self.parts = SimpleNamespace(
            cache=self.cache, settings=settings, clock=lambda: NOON, wake=self.woken.append, book=book
        )
        self.accounts = Accounts(self.parts)
        return Admission(self.parts, self.accounts)

    def put(self, name, status, namespace="team-a", batch=None, **changes):
        """The item ``name``, whose retry somebody asked for, as it is from now on; of the batch with that UID."""
        self.version += 1
        made = item(name, status=status, annotations={RETRY_ANNOTATION: "again"}, **changes)
        made["metadata"] |= {"uid": name, "resourceVersion": str(self.version), "namespace": namespace}
        if batch is not None:
            made["metadata"]["ownerReferences"] = [{"kind": BATCHES.name, "name": batch, "uid": batch}]
        self.cache.learn(ITEMS, made)
        return made

    def asks(self, name, namespace="team-a"):
        """Why it must not start now."""
        found = self.cache.items.get(Key(ITEMS.plural, namespace, name))
        waiting = self.admission.may_start(found, NOON)
        return None if waiting is None else waiting.why

    def called(self):
        """The names of the items that were woken."""
        return [key.name for key in self.woken if key.kind == ITEMS.plural]

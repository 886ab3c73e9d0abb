"""What the API server last said of the objects that the controller serves: stores with indexes, kept by reflectors.

Objects are parsed once and shared: never change one in place. Of Jobs and pods only what is read is kept, and of pods
only so many: whoever misses one asks the API server.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from isobench.controller.keeping import kept_of_item, kept_of_job, kept_of_pod
from isobench.controller.kinds import BATCHES, ITEM_UID_LABEL, ITEMS, JOBS, PODS, Key, Kind, Object, owner_uid

Listener = Callable[[Key, Object | None, Object | None], None]
"""Told of every change: the key, the object before (None: new) and after (None: gone)."""

Index = Callable[[Object], str | None]

_REMEMBERED_DELETIONS = 4096
_REMEMBERED_PODS = 8192


class Store:
    """The objects of one kind by key, with at most one index."""

    def __init__(
        self,
        kind: Kind,
        index: Index | None = None,
        keep: Callable[[Object], Object] = lambda item: item,
        most: float = math.inf,
    ):
        """``index`` gives the group of an object, ``keep`` the part of it that is worth its memory.

        Of more than ``most`` objects those that came first are forgotten.
        """
        self.kind = kind
        self._keep = keep
        self._most = most
        self._index = index
        self._objects: dict[Key, Object] = {}
        self._groups: dict[str, set[Key]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()
        self._listeners: list[Listener] = []

    def get(self, key: Key) -> Object | None:
        """The object called ``key``, or None."""
        return self._objects.get(key)

    def all(self) -> Iterable[Object]:
        """Every object; not to be walked across an `await`."""
        return self._objects.values()

    def keys(self, namespace: str | None = None) -> list[Key]:
        """The keys in ``namespace``, or all."""
        return [key for key in self._objects if namespace is None or key.namespace == namespace]

    def group(self, name: str) -> list[Object]:
        """The objects whose index is ``name``."""
        return [self._objects[key] for key in self._groups.get(name, ())]

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self._objects)

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` of every change from now on."""
        self._listeners.append(listener)

    def put(self, item: Object) -> None:
        """Take ``item`` unless it is older than what is here, or was deleted."""
        key = Key.of(self.kind, item)
        before = self._objects.get(key)
        uid = item["metadata"]["uid"]
        if uid in self._deleted or (before is not None and not _newer(item, before)):
            return
        self._replace(key, before, self._keep(item))
        if len(self._objects) > self._most:
            first = next(iter(self._objects))
            self._leave(first, self._objects.pop(first))

    def remove(self, item: Object) -> None:
        """``item`` was deleted; an object that has taken its name since stays."""
        key = Key.of(self.kind, item)
        uid = item["metadata"]["uid"]
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        before = self._objects.get(key)
        if before is not None and before["metadata"]["uid"] == uid:
            self._replace(key, before, None)

    def retain(self, present: set[Key], version: str, namespace: str | None = None) -> None:
        """A list as of ``version`` (of ``namespace``, or of all) had ``present``: what else is here was deleted.

        An object that is newer than the list was created after it and stays.
        """
        for key in self.keys(namespace):
            item = self._objects[key]
            if key not in present and int(item["metadata"]["resourceVersion"]) <= int(version):
                self.remove(item)

    def _replace(self, key: Key, before: Object | None, after: Object | None) -> None:
        if before is not None:
            self._leave(key, before)
        if after is None:
            del self._objects[key]
        else:
            self._objects[key] = after
            self._join(key, after)
        for listener in self._listeners:
            listener(key, before, after)

    def _join(self, key: Key, item: Object) -> None:
        group = self._index(item) if self._index else None
        if group is not None:
            self._groups.setdefault(group, set()).add(key)

    def _leave(self, key: Key, item: Object) -> None:
        group = self._index(item) if self._index else None
        if group is not None:
            members = self._groups[group]
            members.discard(key)
            if not members:
                del self._groups[group]


class Cache:
    """The stores that reconcilers decide from."""

    def __init__(self) -> None:
        """Begin empty."""
        self.items = Store(ITEMS, index=lambda item: owner_uid(item, BATCHES), keep=kept_of_item)
        self.batches = Store(BATCHES)
        self.jobs = Store(JOBS, index=_item_of_job, keep=kept_of_job)
        self.pods = Store(PODS, index=_item_of_pod, keep=kept_of_pod, most=_REMEMBERED_PODS)

    def store(self, plural: str) -> Store | None:
        """The store of the kind called ``plural``, if it is cached."""
        return next((store for store in self if store.kind.plural == plural), None)

    def get(self, key: Key) -> Object | None:
        """The object called ``key``, if its kind is cached and it is there."""
        store = self.store(key.kind)
        return None if store is None else store.get(key)

    def __iter__(self) -> Iterator[Store]:
        """The stores whose every change may wake somebody; a pod's word is asked for when its Job has ended."""
        return iter((self.items, self.batches, self.jobs))

    def jobs_of(self, namespace: str, item_uid: str) -> list[Object]:
        """The Jobs that belong to the item: in its own namespace, for anybody can write its UID into a label."""
        return [job for job in self.jobs.group(item_uid) if job["metadata"]["namespace"] == namespace]

    def pods_of(self, namespace: str, item_uid: str) -> list[Object]:
        """The item's pods that are remembered."""
        return [pod for pod in self.pods.group(item_uid) if pod["metadata"]["namespace"] == namespace]

    def children_of(self, batch_uid: str) -> list[Object]:
        """The items that the batch owns."""
        return self.items.group(batch_uid)

    def learn(self, kind: Kind, item: Object) -> None:
        """Take what the API server answered to a write, so that the next decision does not lag behind it."""
        store = self.store(kind.plural)
        if store is not None:
            store.put(item)


def _newer(item: Object, before: Object) -> bool:
    if item["metadata"]["uid"] != before["metadata"]["uid"]:
        return True
    return int(item["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])


def _item_of_job(job: Object) -> str | None:
    return owner_uid(job, ITEMS) or job["metadata"].get("labels", {}).get(ITEM_UID_LABEL)


def _item_of_pod(pod: Object) -> str | None:
    uid = pod["metadata"]["labels"].get(ITEM_UID_LABEL)
    return None if uid is None else str(uid)

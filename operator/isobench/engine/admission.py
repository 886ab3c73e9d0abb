"""Who may start: so many items at once in a namespace and over all, handed round between batches and namespaces.

A free slot goes to the namespace that has the fewest items running, among equals to the one that was served longest
ago; within it likewise to a batch; within a batch to the oldest item. Items without a batch are one group.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from isobench.contracts.status import Waiting

NAMESPACE_ITEMS, CLUSTER_ITEMS = "NamespaceItems", "ClusterItems"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item that would start: whose it is, and how old."""

    uid: str
    namespace: str
    group: str
    """The batch's UID; empty without one."""
    created: str
    name: str

    @property
    def order(self) -> tuple[str, str, str]:
        """The oldest first."""
        return self.created, self.name, self.uid

    @property
    def queue(self) -> "Queue":
        """Where it stands in line."""
        return Queue(self.namespace, self.group)


class Queue(NamedTuple):
    """The items of one batch, or those of a namespace that have none."""

    namespace: str
    group: str


@dataclass
class Slots:
    """The slots that are taken, and who waits for one."""

    cap: Callable[[str], int | None]
    """How many items of a namespace may run; None: any number."""
    total: int
    """How many of all namespaces."""
    _running: dict[str, Candidate] = field(default_factory=dict)
    _waiting: dict[str, Candidate] = field(default_factory=dict)
    _queues: dict[Queue, list[tuple[str, str, str]]] = field(default_factory=dict)
    _taken: Counter[Hashable] = field(default_factory=Counter)
    _served: Counter[Hashable] = field(default_factory=Counter)
    _turns: int = 0

    def run(self, candidate: Candidate) -> None:
        """It runs already, whatever the caps say."""
        if candidate.uid not in self._running:
            self._leave(candidate.uid)
            self._start(candidate)

    def ask(self, candidate: Candidate) -> Waiting | None:
        """None: it may start, and its slot is taken. Asking again gives the same answer until a slot is released."""
        if candidate.uid in self._running:
            return None
        self.wait(candidate)
        self.call()
        return None if candidate.uid in self._running else self._why(self._waiting[candidate.uid])

    def wait(self, candidate: Candidate) -> None:
        """It stands in line, where it stood before if it did; nobody is called."""
        if candidate.uid not in self._running and candidate.uid not in self._waiting:
            self._waiting[candidate.uid] = candidate
            insort(self._queues.setdefault(candidate.queue, []), candidate.order)

    def release(self, uid: str) -> None:
        """It ended, or is gone: its slot is free, or its place in the line."""
        candidate = self._running.pop(uid, None)
        if candidate is not None:
            self._taken.subtract([None, candidate.namespace, candidate.queue])
        self._leave(uid)

    def call(self) -> list[Candidate]:
        """Give the free slots to those whose turn it is; they are to be told."""
        called = []
        while (candidate := self._next()) is not None:
            self._leave(candidate.uid)
            self._start(candidate)
            called.append(candidate)
        return called

    def holds(self, uid: str) -> bool:
        """Whether it has a slot, or a place in the line."""
        return uid in self._running or uid in self._waiting

    def all_running(self) -> Iterable[Candidate]:
        """Who has a slot, in no order."""
        return self._running.values()

    def running(self, namespace: str) -> list[Candidate]:
        """Who has a slot in ``namespace``."""
        return [candidate for candidate in self._running.values() if candidate.namespace == namespace]

    def waiting(self) -> Iterable[Candidate]:
        """Who waits, in no order."""
        return self._waiting.values()

    def _start(self, candidate: Candidate) -> None:
        self._running[candidate.uid] = candidate
        self._turns += 1
        for taker in (None, candidate.namespace, candidate.queue):
            self._taken[taker] += 1
            self._served[taker] = self._turns

    def _leave(self, uid: str) -> None:
        candidate = self._waiting.pop(uid, None)
        if candidate is None:
            return
        line = self._queues[candidate.queue]
        line.pop(bisect_left(line, candidate.order))
        if not line:
            del self._queues[candidate.queue]

    def _full(self, namespace: str | None) -> bool:
        cap = self.total if namespace is None else self.cap(namespace)
        return cap is not None and self._taken[namespace] >= cap

    def _next(self) -> Candidate | None:
        if self._full(None):
            return None
        namespaces = {queue.namespace for queue in self._queues}
        free = [namespace for namespace in namespaces if not self._full(namespace)]
        if not free:
            return None
        namespace = min(free, key=self._turn)
        queue = min((queue for queue in self._queues if queue.namespace == namespace), key=self._turn)
        return self._waiting[self._queues[queue][0][2]]

    def _turn(self, taker: Hashable) -> tuple[int, int, str]:
        return self._taken[taker], self._served[taker], str(taker)

    def _why(self, candidate: Candidate) -> Waiting:
        namespace = candidate.namespace
        lines = {queue: len(line) for queue, line in self._queues.items() if queue.namespace == namespace}
        rank = bisect_left(self._queues[candidate.queue], candidate.order)
        ahead = self._ahead(rank, candidate.queue, lines)
        if self._full(namespace):
            said = f"{self._taken[namespace]} items of the namespace {namespace} run, which is its cap"
            return Waiting(why=NAMESPACE_ITEMS, position=ahead + 1, message=said)
        everywhere: Counter[str] = Counter()
        for queue, line in self._queues.items():
            everywhere[queue.namespace] += len(line)
        ahead = self._ahead(ahead, namespace, everywhere)
        said = f"{self._taken[None]} items run on this cluster, which is the cap"
        return Waiting(why=CLUSTER_ITEMS, position=ahead + 1, message=said)

    def _ahead(self, rank: int, own: Hashable, lines: Mapping[Queue, int] | Mapping[str, int]) -> int:
        """How many start before the one with so many of its own line ahead, when all lines move in turn."""
        turn = self._turn(own)
        others = ((line, length) for line, length in lines.items() if line != own)
        return rank + sum(min(length, rank + (self._turn(line) < turn)) for line, length in others)

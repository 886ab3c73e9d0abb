"""Who may start and who may pay, asked by an item's reconcile before it claims a stage; answers come from memory."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from isobench.contracts.base import InvalidInput
from isobench.contracts.status import StageName, Waiting
from isobench.controller.accounts import Accounts
from isobench.controller.app import Parts
from isobench.controller.budgets import (
    Budget,
    NoBudget,
    batch_of,
    budget_of,
    has_ended,
    is_closed,
    is_reserved,
    live_stage,
    most_usd,
    pays,
    wish_of,
)
from isobench.controller.item import RETRY_ANNOTATION, Item, read_status
from isobench.controller.item_jobs import is_finished
from isobench.controller.kinds import BATCHES, ITEMS, Key, Object, owner_uid
from isobench.engine.account import BUDGET, NAMESPACE_BUDGET, Wish
from isobench.engine.admission import CLUSTER_ITEMS, NAMESPACE_ITEMS, Candidate, Slots
from isobench.engine.machine import SUSPENDED

AGENT_PARALLELISM = "AgentParallelism"
_WITHOUT_A_SLOT = (NAMESPACE_ITEMS, CLUSTER_ITEMS, SUSPENDED)
_BEFORE_AN_AGENT = (AGENT_PARALLELISM, BUDGET, NAMESPACE_BUDGET, *_WITHOUT_A_SLOT)
_STILL_HOLDS = "still holds money for the try before, and is written first"
BETWEEN_SWEEPS = timedelta(seconds=30)


class Admission:
    """The slots that are taken, the money that is held, and who waits for either."""

    def __init__(self, parts: Parts, accounts: Accounts) -> None:
        """Nothing is counted before the first question: the cache is complete by then."""
        self._cache, self._settings, self._wake = parts.cache, parts.settings, parts.wake
        self._accounts = accounts
        self._slots: Slots | None = None
        self._asked: dict[Key, str] = {}
        self._agents: dict[str, dict[Key, str]] = {}
        self._without_budget: dict[str, set[Key]] = {}
        self._swept_at: datetime | None = None

    def may_start(self, item: Object, now: datetime) -> Waiting | None:
        """What keeps ``item`` from its next stage: None, or the cap and its place in the line."""
        slots, candidate = self._counted(), _candidate(item)
        if not self._wants(candidate):
            self.ended(item)  # a suspended item that has nothing running starts nothing and holds up nobody
            return None
        self._asked[Key.of(ITEMS, item)] = candidate.uid
        if live_stage(item) is StageName.COLLECT or self._accounts.is_awaited(candidate.namespace, candidate.uid):
            slots.run(candidate)  # those who have the slots may wait for what it keeps: its volume, its money
        waiting = slots.ask(candidate)
        if waiting is not None and self._swept(slots, now):
            waiting = slots.ask(candidate)
        return waiting

    def may_pay(self, item: Object, stage: StageName) -> Waiting | None:
        """What keeps ``item`` from the paid ``stage``: None once the account, and its batch's ledger, hold money."""
        asked = Item.read(item)
        if not most_usd(asked):
            return None
        batch = batch_of(self._cache, item)
        if batch is None:
            return self._may_pay_alone(asked)
        if self._accounts.hold(asked.namespace, asked.uid) is None or not is_reserved(batch, asked.name):
            return self._asks(asked, batch)
        return self._may_attempt(item, batch) if stage is StageName.AGENT else None

    def ended(self, item: Object) -> None:
        """``item`` has ended: its slot is free, and what it did not spend."""
        self._released(Key.of(ITEMS, item), item["metadata"]["uid"])

    def unsettled(self, item: Object) -> Waiting | None:
        """What keeps ``item``, which has ended, from beginning again: what it was granted before must not pay twice."""
        asked = Item.read(item)
        if not most_usd(asked):
            return None
        if not self._accounts.is_settled(item):
            return Waiting(why=BUDGET, message=f"the account of {asked.namespace} {_STILL_HOLDS}")
        batch = batch_of(self._cache, item)
        if batch is None or not is_reserved(batch, asked.name):
            return None
        name = batch["metadata"]["name"]
        said = f"the ledger of the batch {name} {_STILL_HOLDS}; `kubectl describe cbb {name}` may say why"
        return Waiting(why=BUDGET, message=said)

    def is_entered(self, item: Object) -> bool:
        """Whether account and ledger know how ``item`` ended and what it cost: nobody will ask the object for it."""
        if not self._accounts.is_settled(item):
            return False
        batch = batch_of(self._cache, item)
        return batch is None or is_closed(batch, item["metadata"]["name"])

    def gone(self, key: Key) -> None:
        """The item ``key`` is not there any more; one that had no slot may have asked for money or held some."""
        self._released(key, self._asked.get(key, ""))
        self._accounts.look_again(key.namespace)

    def granted_usd(self, item: Object) -> float | None:
        """What a batch may enter into its ledger for ``item``, which has asked for it."""
        metadata = item["metadata"]
        hold = self._accounts.hold(metadata["namespace"], metadata["uid"])
        return None if hold is None else float(hold.reserved_usd)

    def agents_free(self, batch: Object) -> int:
        """How many more agents the batch may run now."""
        return int(batch["spec"].get("agentParallelism", 1)) - len(self._running_agents(batch))

    def look_again(self, namespace: str) -> None:
        """A cap or a budget of ``namespace`` may have changed, or be there now."""
        self._accounts.look_again(namespace)
        for key in self._without_budget.pop(namespace, ()):
            self._wake(key)

    def _counted(self) -> Slots:
        if self._slots is None:
            caps = self._settings.caps_of
            self._slots = slots = Slots(lambda namespace: caps(namespace).items, self._settings.total_items)
            known = [item for item in self._cache.items.all() if not has_ended(item) and _is_readable(item)]
            for item in known:
                if self._runs(item):
                    slots.run(_candidate(item))
                elif _why(item) in _WITHOUT_A_SLOT and not item["spec"].get("suspend"):
                    slots.wait(_candidate(item))
                self._asked[Key.of(ITEMS, item)] = item["metadata"]["uid"]
            self._count_money(known)
            self._call(slots)
        return self._slots

    def _count_money(self, items: Iterable[Object]) -> None:
        """Have an account hold what is paid already, before anybody asks for more."""
        for item in filter(pays, items):
            with suppress(InvalidInput):  # its own reconcile says so
                self._accounts.pays(self._wish(Item.read(item)))
        for namespace in {item["metadata"]["namespace"] for item in self._cache.items.all()}:
            self._accounts.look(namespace)

    def _wish(self, item: Item) -> Wish:
        batch = batch_of(self._cache, item.object)
        try:
            return wish_of(item, budget_of(self._cache, batch) if batch else Budget())
        except NoBudget:
            return wish_of(item, Budget())

    def _runs(self, item: Object) -> bool:
        """Whether it, which has not ended, has begun and has not given its slot back since."""
        begun = bool(item.get("status", {}).get("stages")) and _why(item) not in _WITHOUT_A_SLOT
        return self._works(item) or (begun and not item["spec"].get("suspend"))

    def _rests(self, item: Object) -> bool:
        """Whether somebody suspended it and no Job of it is under way."""
        return bool(item["spec"].get("suspend")) and not self._works(item)

    def _works(self, item: Object) -> bool:
        metadata = item["metadata"]
        return not all(map(is_finished, self._cache.jobs_of(metadata["namespace"], metadata["uid"])))

    def _wants(self, candidate: Candidate) -> bool:
        item = self._cache.items.get(Key(ITEMS.plural, candidate.namespace, candidate.name))
        if item is None or item["metadata"]["uid"] != candidate.uid or (has_ended(item) and not _asked_again(item)):
            return False
        return not self._rests(item)

    def _swept(self, slots: Slots, now: datetime) -> bool:
        """Free what is held by items that have ended, rest or are gone and did not say so; now and then is enough."""
        if self._swept_at is not None and abs(now - self._swept_at) < BETWEEN_SWEEPS:
            return False
        self._swept_at = now
        for candidate in [candidate for candidate in slots.all_running() if not self._wants(candidate)]:
            slots.release(candidate.uid)
        self._call(slots)
        return True

    def _released(self, key: Key, uid: str) -> None:
        slots = self._counted()
        self._asked.pop(key, None)
        if slots.holds(uid):
            slots.release(uid)
            self._call(slots)
        self._accounts.ended(key.namespace, uid)

    def _call(self, slots: Slots) -> None:
        """Give free slots to those who wait, and tell them; who does not want one any more is passed over."""
        while called := slots.call():
            for candidate in called:
                if self._wants(candidate):
                    self._wake(Key(ITEMS.plural, candidate.namespace, candidate.name))
                else:
                    slots.release(candidate.uid)

    def _may_pay_alone(self, item: Item) -> Waiting | None:
        if owner_uid(item.object, BATCHES) is not None:
            return Waiting(why=BUDGET, message="the batch that it belongs to is being deleted")
        held = self._accounts.hold(item.namespace, item.uid) is not None
        return None if held else self._accounts.ask(wish_of(item, Budget()))

    def _asks(self, item: Item, batch: Object) -> Waiting:
        """Have the money held, and entered into the batch's ledger."""
        try:
            budget = budget_of(self._cache, batch)
        except NoBudget as problem:
            self._without_budget.setdefault(item.namespace, set()).add(Key.of(ITEMS, item.object))
            return Waiting(why=BUDGET, message=str(problem))
        if self._accounts.hold(item.namespace, item.uid) is None:
            return self._accounts.ask(wish_of(item, budget))
        self._wake(Key.of(BATCHES, batch))
        return Waiting(why=BUDGET, message="the batch enters it into its ledger first")

    def _may_attempt(self, item: Object, batch: Object) -> Waiting | None:
        """So many agents of a batch at once."""
        key = Key.of(ITEMS, item)
        running = self._running_agents(batch) - {key}
        most = int(batch["spec"].get("agentParallelism", 1))
        if len(running) >= most:
            said = f"{len(running)} agents of the batch run, which is its agentParallelism"
            return Waiting(why=AGENT_PARALLELISM, position=self._turn(item, batch), message=said)
        version = item["metadata"]["resourceVersion"]
        self._agents.setdefault(batch["metadata"]["uid"], {})[key] = version
        return None

    def _turn(self, item: Object, batch: Object) -> int:
        """Its place among those of the batch whose agents wait: they begin in the order of the ledger."""
        waiting = {
            child["metadata"]["name"]
            for child in self._cache.children_of(batch["metadata"]["uid"])
            if _why(child) == AGENT_PARALLELISM
        }
        names = [row.get("item") for row in batch["status"]["ledger"]]
        return 1 + sum(name in waiting for name in names[: names.index(item["metadata"]["name"])])

    def _running_agents(self, batch: Object) -> set[Key]:
        """Those that run, and those that were allowed to and have not begun."""
        uid = batch["metadata"]["uid"]
        children = {Key.of(ITEMS, child): child for child in self._cache.children_of(uid)}
        running = {key for key, child in children.items() if _attempts(child)}
        allowed = {
            key: version
            for key, version in self._agents.pop(uid, {}).items()
            if key in children and children[key]["metadata"]["resourceVersion"] == version
        }
        if allowed:
            self._agents[uid] = allowed
        return running | allowed.keys()


def _candidate(item: Object) -> Candidate:
    metadata = item["metadata"]
    group = owner_uid(item, BATCHES) or ""
    return Candidate(metadata["uid"], metadata["namespace"], group, metadata["creationTimestamp"], metadata["name"])


def _attempts(item: Object) -> bool:
    """Whether its agent runs; one that is claimed may still wait for its turn, its money or a slot."""
    return live_stage(item) is StageName.AGENT and _why(item) not in _BEFORE_AN_AGENT


def _is_readable(item: Object) -> bool:
    """Whether this version understands its status: nobody moves along what a newer one wrote."""
    try:
        read_status(item)
    except InvalidInput:
        return False
    return True


def _why(item: Object) -> str | None:
    """Why it waits, if its status says so."""
    why = item.get("status", {}).get("waiting", {}).get("why")
    return None if why is None else str(why)


def _asked_again(item: Object) -> bool:
    """Whether a person asked for another round that its status does not show yet: until then it looks ended."""
    asked = item["metadata"].get("annotations", {}).get(RETRY_ANNOTATION)
    return bool(asked) and asked != item.get("status", {}).get("retried")

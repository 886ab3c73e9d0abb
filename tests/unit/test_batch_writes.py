"""When a batch's status is written, by a clock that the test moves: every five seconds at most, but for money."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from building.items import NOON, heads, manifest, template
from isobench.contracts.status import StageName
from isobench.controller.account_book import Book
from isobench.controller.accounts import Accounts, account_key
from isobench.controller.admission import AGENT_PARALLELISM, Admission
from isobench.controller.api import Listing
from isobench.controller.batch_children import child_name
from isobench.controller.batches import BatchReconciler
from isobench.controller.cache import Cache
from isobench.controller.kinds import BATCHES, ITEMS, Key, owner_uid
from isobench.controller.settings import ControllerSettings
from isobench.engine.account import BUDGET

KEY = Key(BATCHES.plural, "team", "demo")
PAID = {
    "output": {"store": "s3://bucket/prefix"},
    "mode": "online",
    "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 3},
}


class World:
    """An API server that takes everything, a clock, and a batch with its reconciler."""

    def __init__(self, count, **spec):
        self.now, self.statuses, self.version = NOON, [], 1
        self.cache, self.woken = Cache(), []
        settings = ControllerSettings()
        parts = SimpleNamespace(
            api=self,
            cache=self.cache,
            settings=settings,
            clock=lambda: self.now,
            wake=self.woken.append,
            book=Book(self, self.cache, settings),
        )
        self.accounts = Accounts(parts)
        self.admission = Admission(parts, self.accounts)
        self.reconciler = BatchReconciler(parts, self.admission)
        self.put(BATCHES, manifest(heads(count), **spec), "demo")

    def put(self, kind, item, name, **metadata):
        self.version += 1
        named = {"name": name, "namespace": "team", "uid": f"uid-{name}", "generation": 1}
        named |= {"creationTimestamp": NOON.isoformat(), "resourceVersion": str(self.version)} | metadata
        made = item | {"metadata": item.get("metadata", {}) | named, "apiVersion": kind.api_version, "kind": kind.name}
        self.cache.learn(kind, made)
        return made

    async def create(self, kind, _namespace, made):
        return self.put(kind, made, made["metadata"]["name"])

    async def put_status(self, kind, item, status):
        if kind is BATCHES:
            self.statuses.append(status)
        return self.put(kind, item | {"status": status}, item["metadata"]["name"])

    async def list(self, *_):
        """There is no account yet."""
        return Listing([], "")

    async def event(self, *_):
        """People are told."""

    def reconcile(self, after=0.0):
        self.now += timedelta(seconds=after)
        return asyncio.run(self.reconciler.reconcile(KEY))

    def grant(self):
        """The account grants what was asked for, and is written."""
        asyncio.run(self.accounts.reconcile(account_key("team")))

    def item(self, index):
        return self.cache.items.get(Key(ITEMS.plural, "team", child_name("demo", index, heads(index + 1)[index])))

    def end(self, index, reason="Recorded"):
        item = self.item(index)
        answer = {"type": "Succeeded", "status": "True", "reason": reason}
        self.put(ITEMS, item | {"status": {"conditions": [answer]}}, item["metadata"]["name"])


@pytest.fixture
def begun():
    """A batch whose first three of five items have begun, and are in its ledger."""
    world = World(5, parallelism=3)
    world.reconcile()
    world.reconcile(after=5)
    return world


def test_the_first_status_is_written_at_once_and_the_next_five_seconds_later():
    world = World(5, parallelism=3)
    world.reconcile()
    assert [status["running"] for status in world.statuses] == [0]
    assert [owner_uid(item, BATCHES) for item in world.cache.items.all()] == ["uid-demo"] * 3
    assert world.reconcile(after=1) == NOON + timedelta(seconds=5)
    assert len(world.statuses) == 1
    world.reconcile(after=4)
    assert [status["running"] for status in world.statuses] == [0, 3]


def test_what_happened_meanwhile_is_told_together(begun):
    for index in (0, 1, 2):
        begun.end(index)
        begun.reconcile(after=1)
    assert len(begun.statuses) == 2
    begun.reconcile(after=2)
    assert begun.statuses[-1]["done"] == 3
    assert [row["outcome"] for row in begun.statuses[-1]["ledger"][:3]] == ["Recorded"] * 3


def test_the_next_items_are_begun_without_waiting_for_the_write(begun):
    begun.end(0)
    begun.reconcile(after=1)
    assert len(begun.statuses) == 2
    assert begun.item(3) is not None


def test_an_ended_item_that_is_gone_before_the_write_keeps_its_outcome(begun):
    begun.end(0)
    begun.reconcile(after=1)
    begun.cache.items.remove(begun.item(0))
    begun.reconcile(after=4)
    assert begun.statuses[-1]["reasons"] == {"Recorded": 1}


def test_nothing_is_written_while_nothing_changes(begun):
    for _ in range(3):
        assert begun.reconcile(after=60) is None
    assert len(begun.statuses) == 2


def test_money_is_granted_at_once_and_its_item_woken():
    world = World(2, parallelism=2, template=template(**PAID))
    world.reconcile()
    world.reconcile(after=5)
    item = world.item(0)
    assert world.admission.may_pay(item, StageName.AGENT).why == BUDGET
    assert world.woken == [account_key("team")], "nothing is capped, and yet it is written"
    world.grant()
    assert world.woken[1:] == [KEY]
    world.reconcile(after=1)
    assert world.statuses[-1]["ledger"][0]["reservedUsd"] == 3
    assert Key.of(ITEMS, item) in world.woken
    assert world.admission.may_pay(item, StageName.AGENT) is None


def test_agents_that_wait_for_a_turn_are_told_their_place():
    world = World(4, parallelism=4, template=template(**PAID))
    world.reconcile()
    world.reconcile(after=5)
    for index in range(4):
        world.admission.may_pay(world.item(index), StageName.AGENT)
    world.grant()
    world.reconcile(after=1)
    told = []
    for index in range(4):
        item = world.item(index)
        waiting = world.admission.may_pay(item, StageName.AGENT)
        told.append(waiting and (waiting.why, waiting.position))
        if waiting:
            world.put(ITEMS, item | {"status": {"waiting": waiting.manifest()}}, item["metadata"]["name"])
    assert told == [None, (AGENT_PARALLELISM, 1), (AGENT_PARALLELISM, 2), (AGENT_PARALLELISM, 3)]


def test_items_go_on_when_the_batch_whose_budget_they_share_is_there():
    world = World(1, template=template(**PAID), budgetRef="funds")
    world.reconcile()
    world.reconcile(after=5)
    item = world.item(0)
    waiting = world.admission.may_pay(item, StageName.AGENT)
    assert "the batch funds, whose budget this one shares, is not there" in waiting.message
    world.put(BATCHES, manifest(heads(1), budgetUsd=5), "funds")
    world.woken.clear()
    asyncio.run(world.reconciler.reconcile(Key(BATCHES.plural, "team", "funds")))
    assert Key.of(ITEMS, item) in world.woken


def test_a_suspended_batch_grants_nothing():
    world = World(1, template=template(**PAID))
    world.reconcile()
    world.reconcile(after=5)
    world.admission.may_pay(world.item(0), StageName.AGENT)
    world.grant()
    batch = world.cache.batches.get(KEY)
    world.put(BATCHES, batch | {"spec": batch["spec"] | {"suspend": True}}, "demo", generation=2)

    async def patch(*_):
        """The item rests too."""

    world.patch = patch
    world.reconcile(after=1)
    assert world.statuses[-1]["reservedUsd"] == 0

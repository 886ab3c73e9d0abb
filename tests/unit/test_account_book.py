"""Accounts at an operator's start: all that are stored are read at once, and what is paid already is entered."""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

from building.items import NOON
from building.objects import item
from isobench.contracts.base import InvalidInput
from isobench.contracts.status import StageName
from isobench.controller.account_book import Book
from isobench.controller.accounts import ACCOUNTS, Accounts
from isobench.controller.admission import Admission
from isobench.controller.api import Listing
from isobench.controller.api_errors import Conflict, Unavailable
from isobench.controller.cache import Cache
from isobench.controller.kinds import ITEMS, Key
from isobench.controller.settings import settings_from
from isobench.engine.account import NAMESPACE_BUDGET, Account, Hold

TEAM = "team-a"
ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 3}}
RUNS = {"stages": [{"name": "agent", "attempt": 1, "state": "Running"}]}
CLAIMED = {"stages": [{"name": "agent", "attempt": 1, "state": "Creating"}]}
PAID_BEFORE = {"stages": [{"name": "timing", "attempt": 1, "state": "Running"}], "cost": {"measuredUsd": 0.5}}
ENDED = {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Recorded"}], "cost": {"measuredUsd": 1.25}}
OTHERS = Account(spent={"": Decimal(7)})
"""What an older operator has stored: another budget's money, and nothing of what no cap counted."""


class Stored:
    """An API server with the release's ConfigMaps."""

    def __init__(self):
        self.maps, self.asked, self.fails = {}, [], False

    async def list(self, *_):
        self.asked.append("list")
        return Listing(list(self.maps.values()), "1")

    async def create(self, _kind, _namespace, manifest):
        return self._put("create", manifest)

    async def replace(self, _kind, manifest):
        return self._put("update", manifest)

    def _put(self, verb, manifest):
        self.asked.append(verb)
        if self.fails:
            raise Unavailable("not now")
        self.maps[manifest["metadata"]["name"]] = manifest
        return manifest

    def put(self, namespace, account):
        name = f"isobench-account-{namespace}"
        self.maps[name] = {"metadata": {"name": name}, "data": {"account.json": account.model_dump_json()}}

    def account(self, namespace=TEAM):
        stored = self.maps.get(f"isobench-account-{namespace}")
        return Account.model_validate_json(stored["data"]["account.json"]) if stored else None


class World:
    """A cache of items, and operators that start on it one after the other."""

    def __init__(self):
        self.api, self.cache, self.version, self.flags = Stored(), Cache(), 0, []

    def put(self, name, status, namespace=TEAM, **changes):
        self.version += 1
        made = item(name, status=status, **ONLINE | changes)
        made["metadata"] |= {"uid": name, "namespace": namespace, "resourceVersion": str(self.version)}
        self.cache.learn(ITEMS, made)
        return made

    def starts(self):
        """An operator looks at its first item, and at the accounts that this wakes."""
        self.woken = []
        settings = settings_from(self.flags)
        self.book = Book(self.api, self.cache, settings)
        parts = SimpleNamespace(
            cache=self.cache, settings=settings, clock=lambda: NOON, wake=self.woken.append, book=self.book
        )
        self.accounts = Accounts(parts)
        self.admission = Admission(parts, self.accounts)
        self.admission.may_start(next(iter(self.cache.items.all())), NOON)
        self.settles()

    def settles(self):
        """What was woken of the accounts is reconciled."""
        keys = sorted({key for key in self.woken if key.kind == ACCOUNTS})
        self.woken.clear()
        for key in keys:
            asyncio.run(self.accounts.reconcile(key))

    def ends(self, name):
        self.admission.ended(self.put(name, ENDED))
        self.settles()


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("stored", [None, OTHERS], ids=["no account", "an account without it"])
def test_what_runs_without_a_hold_is_held_at_the_first_look_and_counted_whole_at_its_end(world, stored):
    if stored:
        world.api.put(TEAM, stored)
    world.put("one", RUNS | {"cost": {"measuredUsd": 0.25}})
    world.starts()
    (hold,) = world.api.account().holds.values()
    assert (hold.item, hold.reserved_usd, hold.before_usd) == ("one", 3, 0)
    before = world.api.account().charged_usd() - hold.reserved_usd
    world.ends("one")
    assert world.api.account().holds == {}
    assert world.api.account().charged_usd() == before + Decimal("1.25")


def test_starting_again_enters_it_once(world):
    world.put("one", RUNS)
    world.starts()
    first = world.api.account()
    world.starts()
    assert world.api.account() == first
    assert world.api.asked == ["list", "create", "list"]


def test_what_is_held_already_stays_as_it_is(world):
    held = Account(holds={"one": Hold(item="one", budget="", reserved_usd=Decimal(3), before_usd=Decimal(2))})
    world.api.put(TEAM, held)
    world.put("one", RUNS | {"cost": {"measuredUsd": 2.5}, "retried": "once more"})
    world.starts()
    assert world.api.account() == held


def test_what_has_paid_and_not_ended_is_held_too(world):
    world.put("one", PAID_BEFORE)
    world.starts()
    world.ends("one")
    assert world.api.account().charged_usd() == Decimal("1.25")


def test_it_is_entered_though_the_cap_leaves_no_room_and_others_wait_for_it(world):
    world.flags = ["--namespace-cap", f"{TEAM}:dollars=2"]
    world.put("one", RUNS)
    world.starts()
    assert world.api.account().charged_usd() == 3
    for place, name in enumerate(["second", "third"], 1):
        waits = world.admission.may_pay(world.put(name, CLAIMED), StageName.AGENT)
        assert (waits.why, waits.position) == (NAMESPACE_BUDGET, place)
        assert "$0 of its $2 left" in waits.message


@pytest.mark.parametrize(
    "status",
    [CLAIMED, PAID_BEFORE | {"retried": "once more"}, ENDED, {}],
    ids=["only claimed: it asks", "its try before is settled", "ended", "not begun"],
)
def test_nothing_is_held_for_an_item_that_does_not_pay(world, status):
    world.api.put(TEAM, OTHERS)
    world.put("one", status)
    world.starts()
    assert world.api.account() == OTHERS


def test_an_item_whose_spec_is_not_taken_any_more_keeps_no_other_from_being_entered(world):
    world.put("broken", RUNS, output={"store": "file:///data"})
    world.put("one", RUNS)
    world.starts()
    assert world.api.account().holds.keys() == {"one"}


def test_what_could_not_be_written_is_entered_when_it_can(world):
    world.put("one", RUNS)
    world.api.fails = True
    with pytest.raises(Unavailable):
        world.starts()
    world.api.fails = False
    world.accounts.look(TEAM)
    world.settles()
    assert world.api.account().holds.keys() == {"one"}


def test_all_stored_accounts_are_known_with_the_first_item(world):
    world.api.put("team-b", Account(spent={"": Decimal(4)}))
    world.api.maps["isobench"] = {"metadata": {"name": "isobench"}}
    world.put("one", {})
    world.put("two", {}, namespace="team-c")
    world.starts()
    assert world.book.known["team-b"].charged_usd() == 4
    assert world.api.asked == ["list"], "one request, and nothing to write"


@pytest.mark.parametrize("data", [None, {}, {"account.json": "{"}, {"account.json": '{"holds": 1}'}])
@pytest.mark.parametrize("mended", [True, False], ids=["mended", "deleted"])
def test_a_stored_account_that_can_not_be_read_stops_its_own_namespace_until_that_is_over(world, data, mended):
    broken = {"metadata": {"name": "isobench-account-team-b"}, "data": data}
    world.api.maps["isobench-account-team-b"] = broken
    world.put("one", RUNS)
    world.put("two", CLAIMED, namespace="team-b")
    with pytest.raises(InvalidInput, match="isobench-account-team-b"):
        world.starts()
    assert world.api.account().holds.keys() == {"one"}, "other namespaces go on"
    waits = world.admission.may_pay(world.put("two", CLAIMED, namespace="team-b"), StageName.AGENT)
    assert "the ConfigMap isobench-account-team-b in isobench holds no account: mend it" in waits.message
    if mended:
        world.api.put("team-b", OTHERS)
    else:
        del world.api.maps["isobench-account-team-b"]
    world.settles()
    assert world.api.account("team-b").holds.keys() == {"two"}


def test_what_a_refused_item_may_still_have_spent_is_charged_whole(world):
    world.put("one", RUNS)
    world.starts()
    world.admission.ended(world.put("one", RUNS | {"conditions": ENDED["conditions"]}))
    world.settles()
    assert (world.api.account().holds, world.api.account().charged_usd()) == ({}, 3)


def test_money_that_a_resting_item_held_comes_free_when_it_is_deleted(world):
    world.put("one", CLAIMED)
    world.starts()
    assert world.admission.may_pay(world.put("one", CLAIMED), StageName.AGENT) is not None
    world.settles()
    resting = world.put("one", CLAIMED, suspend=True)
    world.admission.may_start(resting, NOON)
    world.settles()
    world.cache.items.remove(resting)
    world.admission.gone(Key.of(ITEMS, resting))
    world.settles()
    assert world.api.account().holds == {}


def test_an_account_that_somebody_else_has_changed_is_read_again(world):
    world.put("one", RUNS)
    world.starts()

    async def changed(*_):
        raise Conflict("changed")

    world.api.replace = changed
    with pytest.raises(Conflict):
        world.ends("one")
    assert TEAM not in world.book.known
    world.api.put(TEAM, OTHERS)
    assert asyncio.run(world.book.read(TEAM)) == OTHERS

"""A retried item waits for a slot like any other, though it looks ended until its new round is written."""

from types import SimpleNamespace

import pytest

from building.items import NOON
from building.objects import item
from isobench.controller.account_book import Book
from isobench.controller.accounts import Accounts
from isobench.controller.admission import Admission
from isobench.controller.cache import Cache
from isobench.controller.item import RETRY_ANNOTATION
from isobench.controller.kinds import ITEMS, Key
from isobench.controller.settings import settings_from
from isobench.engine.admission import NAMESPACE_ITEMS

FAILED = {"name": "prepare", "attempt": 1, "state": "Failed"}
CLAIMED = {"name": "prepare", "attempt": 2, "state": "Creating"}
ENDED = {"stages": [FAILED], "conditions": [{"type": "Succeeded", "status": "False", "reason": "BuildFailed"}]}
AGAIN = {"stages": [FAILED, CLAIMED], "retried": "again"}
WAITS = AGAIN | {"waiting": {"why": NAMESPACE_ITEMS, "message": "1 items run"}}


class World:
    """A namespace in which one item may run at once, with two items that failed and were asked for again."""

    def __init__(self):
        self.cache, self.woken, self.version = Cache(), [], 0
        self.admission = self.restarted()
        for name in "ab":
            self.put(name, ENDED)

    def restarted(self):
        settings = settings_from(["--namespace-items", "1"])
        book = Book(None, self.cache, settings)
        parts = SimpleNamespace(
            cache=self.cache, settings=settings, clock=lambda: NOON, wake=self.woken.append, book=book
        )
        return Admission(parts, Accounts(parts))

    def put(self, name, status, **changes):
        self.version += 1
        made = item(name, status=status, annotations={RETRY_ANNOTATION: "again"}, **changes)
        made["metadata"] |= {"uid": name, "resourceVersion": str(self.version)}
        self.cache.learn(ITEMS, made)
        return made

    def asks(self, name):
        """Why it must not start now."""
        found = self.cache.items.get(Key(ITEMS.plural, "team-a", name))
        waiting = self.admission.may_start(found, NOON)
        return None if waiting is None else waiting.why


@pytest.fixture
def world():
    return World()


def test_retried_items_do_not_pass_the_cap(world):
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]
    world.put("a", AGAIN)
    world.put("b", WAITS)
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]


def test_a_slot_is_given_back_when_the_retried_round_ends(world):
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]
    world.admission.ended(world.put("a", ENDED | {"retried": "again"}))
    assert [key for key in world.woken if key.kind == ITEMS.plural] == [Key(ITEMS.plural, "team-a", "b")]
    assert world.asks("b") is None
    world.admission.ended(world.put("b", ENDED | {"retried": "again"}))
    world.put("c", {})
    assert world.asks("c") is None


def test_a_retried_item_that_waited_when_the_operator_ended_waits_for_the_next_one_too(world):
    world.put("a", AGAIN)
    world.put("b", WAITS)
    world.admission = world.restarted()
    assert [world.asks("b"), world.asks("a")] == [NAMESPACE_ITEMS, None]


def test_a_suspended_item_takes_no_slot_by_being_asked_for_again(world):
    world.put("a", ENDED, suspend=True)
    assert [world.asks("a"), world.asks("b")] == [None, None]

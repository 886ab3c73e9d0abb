"""A retried item waits for a slot like any other, though it looks ended until its new round is written."""

import pytest

from building.slots import World
from isobench.engine.admission import NAMESPACE_ITEMS

FAILED = {"name": "prepare", "attempt": 1, "state": "Failed"}
CLAIMED = {"name": "prepare", "attempt": 2, "state": "Creating"}
ENDED = {"stages": [FAILED], "conditions": [{"type": "Succeeded", "status": "False", "reason": "BuildFailed"}]}
AGAIN = {"stages": [FAILED, CLAIMED], "retried": "again"}
WAITS = AGAIN | {"waiting": {"why": NAMESPACE_ITEMS, "message": "1 items run"}}


@pytest.fixture
def world():
    """A namespace in which one item may run at once, with two items that failed and were asked for again."""
    world = World("--namespace-items", "1")
    for name in "ab":
        world.put(name, ENDED)
    return world


def test_retried_items_do_not_pass_the_cap(world):
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]
    world.put("a", AGAIN)
    world.put("b", WAITS)
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]


def test_a_slot_is_given_back_when_the_retried_round_ends(world):
    assert [world.asks("a"), world.asks("b")] == [None, NAMESPACE_ITEMS]
    world.admission.ended(world.put("a", ENDED | {"retried": "again"}))
    assert world.called() == ["b"]
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

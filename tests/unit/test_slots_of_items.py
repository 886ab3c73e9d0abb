"""Who has a slot, whatever becomes of items: suspended, paid, parted from their batch, written by a newer version."""

import pytest

from building.objects import condition, job
from building.slots import World
from isobench.contracts.status import StageName
from isobench.controller.admission import AGENT_PARALLELISM
from isobench.controller.budgets import Budget, live_stage, wish_of
from isobench.controller.item import Item
from isobench.controller.kinds import ITEMS, JOBS, Key
from isobench.engine.account import Account, Hold
from isobench.engine.admission import CLUSTER_ITEMS

CLAIMED = {"stages": [{"name": "prepare", "attempt": 1, "state": "Creating"}]}
WAITS = {"waiting": {"why": CLUSTER_ITEMS, "position": 1, "message": "1 items run"}}
ENDED = {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Recorded"}], "retried": "again"}
COMPLETE = condition("Complete")


@pytest.fixture
def world():
    """A cluster on which one item may run at once."""
    return World("--total-items", "1")


def jobs_of(world, name, *conditions):
    made = job(conditions=conditions, uid=f"job-of-{name}")
    world.version += 1
    made["metadata"] |= {"resourceVersion": str(world.version), "name": f"prepare-of-{name}"}
    made["metadata"]["labels"]["isobench.dev/item-uid"] = name
    world.cache.learn(JOBS, made)


def test_a_suspended_item_whose_job_was_never_made_holds_up_nobody(world):
    world.put("a", CLAIMED | {"waiting": {"why": "NotAllowed", "message": "quota"}})
    world.put("b", {})
    assert [world.asks("a"), world.asks("b")] == [None, CLUSTER_ITEMS]
    world.put("a", CLAIMED, suspend=True)
    assert [world.asks("a"), world.asks("b")] == [None, None]


def test_a_suspended_item_keeps_its_slot_until_its_job_has_ended(world):
    world.put("a", CLAIMED)
    world.put("b", {})
    jobs_of(world, "a")
    world.put("a", CLAIMED, suspend=True)
    assert [world.asks("a"), world.asks("b")] == [None, CLUSTER_ITEMS]
    jobs_of(world, "a", COMPLETE)
    assert [world.asks("a"), world.asks("b")] == [None, None]


def test_who_holds_money_does_not_wait_for_a_slot_behind_those_who_wait_for_its_money(world):
    world.put("a", CLAIMED, suspend=True)
    world.put("b", {})
    assert world.asks("b") is None
    world.put("a", CLAIMED)
    assert world.asks("a") == CLUSTER_ITEMS
    hold = Hold(item="a", budget="", reserved_usd=1, before_usd=0, asked_at="0")
    world.parts.book.known["team-a"] = Account(holds={"a": hold})
    assert world.asks("a") == CLUSTER_ITEMS, "nobody waits for it"
    world.accounts.ask(wish_of(Item.read(world.put("b", CLAIMED)), Budget()))
    assert world.asks("a") is None


def test_who_only_has_to_be_collected_does_not_wait_behind_those_who_may_wait_for_its_volume(world):
    world.put("a", CLAIMED)
    assert world.asks("a") is None
    world.put("b", {"stages": [{"name": "collect", "attempt": 3, "state": "Creating"}]})
    assert world.asks("b") is None
    world.put("c", {})
    world.admission.ended(world.put("a", ENDED))
    assert world.asks("c") == CLUSTER_ITEMS, "b counts"


@pytest.mark.parametrize("resumed", [{}, {"suspend": True}])
def test_who_rested_when_the_operator_ended_waits_for_a_slot_of_the_next_one(world, resumed):
    world.put("a", CLAIMED)
    world.put("b", CLAIMED | {"waiting": {"why": "Suspended"}}, **resumed)
    world.admission = world.restarted()
    assert [world.asks("a"), world.asks("b")] == [None, None if resumed else CLUSTER_ITEMS]
    world.put("c", {})
    assert world.asks("c") == CLUSTER_ITEMS


def test_the_slot_of_an_item_that_went_before_it_was_looked_at_is_free(world):
    world.put("a", CLAIMED)
    world.put("b", {})
    assert world.asks("b") == CLUSTER_ITEMS
    world.cache.items.remove(world.cache.items.get(Key(ITEMS.plural, "team-a", "a")))
    world.admission.gone(Key(ITEMS.plural, "team-a", "a"))
    assert world.called() == ["b"]


def test_a_new_operator_hands_slots_round_before_anybody_asks():
    world = World("--total-items", "2")
    for name in ("a1", "a2", "a3"):
        world.put(name, CLAIMED if name == "a1" else WAITS)
    world.put("z1", WAITS, "team-z")
    world.admission = world.restarted()
    assert [world.asks("a2"), world.asks("a3")] == [CLUSTER_ITEMS, CLUSTER_ITEMS]
    assert world.called() == ["z1"]


def test_what_a_newer_version_wrote_takes_no_slot(world):
    newer = {"stages": [{"name": "polish", "attempt": 1, "state": "Running"}]}
    assert live_stage(world.put("a", newer)) is None
    world.put("b", {})
    assert world.asks("b") is None


@pytest.mark.parametrize("why", [CLUSTER_ITEMS, "NamespaceItems", "Suspended", AGENT_PARALLELISM, "Budget"])
def test_an_agent_that_has_not_begun_takes_no_other_agents_turn(world, why):
    batch = {"metadata": {"name": "demo", "namespace": "team-a", "uid": "demo"}, "spec": {"agentParallelism": 1}}
    status = {"stages": [{"name": StageName.AGENT, "attempt": 1, "state": "Creating"}]}
    world.put("a", status | {"waiting": {"why": why}}, batch="demo")
    assert world.admission.agents_free(batch) == 1
    world.put("a", status, batch="demo")
    assert world.admission.agents_free(batch) == 0

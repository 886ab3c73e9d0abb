"""Who has a slot, whatever becomes of items: suspended, paid, parted from their batch, written by a newer version."""

import pytest

from building.objects import condition, job
from building.slots import World
from isobench.contracts.status import StageName
from isobench.controller.admission import AGENT_PARALLELISM
from isobench.controller.budgets import live_stage
from isobench.controller.kinds import JOBS
from isobench.engine.account import Account, Hold
from isobench.engine.admission import CLUSTER_ITEMS

CLAIMED = {"stages": [{"name": "prepare", "attempt": 1, "state": "Creating"}]}
WAITS = {"waiting": {"why": CLUSTER_ITEMS, "position": 1, "message": "1 items run"}}
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
    assert world.asks("a") is None


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

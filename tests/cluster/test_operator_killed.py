"""The operator is killed at random moments of a batch: every item has one record, and nothing was run twice."""

import asyncio

from cluster.killing import kill_during_a_batch
from cluster.playing import condition_in

ITEMS, KILLS, SEED = 4, 10, 20260101
STAGES = ["agent-1", "build-agent-1", "collect-1", "prepare-1", "timing-1", "validate-1"]


def test_a_batch_ends_as_if_its_operator_had_never_been_killed(kinds):
    outcome = asyncio.run(kill_during_a_batch(kinds.kubeconfig, ITEMS, KILLS, SEED))
    assert [condition_in(item["status"])["reason"] for item in outcome.items] == ["Recorded"] * ITEMS
    assert outcome.attempts.pop("the batch") == ["export"]
    assert {name: sorted(attempts) for name, attempts in outcome.attempts.items()} == {
        item["metadata"]["name"]: STAGES for item in outcome.items
    }
    status = outcome.batch["status"]
    assert (status["done"], status["failed"], status["running"]) == (ITEMS, 0, 0)
    assert status.get("reservedUsd", 0) == 0

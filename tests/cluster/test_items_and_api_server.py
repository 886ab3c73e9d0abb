"""An item whose API server and store are killed and started again in each of its stages: it comes to its one record."""

import asyncio

import pytest

from cluster.playing import condition_in, states
from isobench.contracts.status import StageName
from isobench.controller.kinds import JOBS

pytestmark = pytest.mark.own_cluster("an API server to spoil")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
PASSED = (PREPARE, TIMING, COLLECT)
LEASE = {"leader_election": True, "lease_seconds": 60}
"""It outlasts a restart: an operator that can't renew its Lease in time ends, and is started again by its cluster."""


def test_an_item_goes_on_where_it_was_when_its_api_server_and_store_were_restarted(kinds, play_item):
    async def steps(stage, _):
        await stage.create()
        made = []
        for name in PASSED:
            await stage.begin(name)
            made.append((await stage.job(name))["metadata"]["uid"])
            await asyncio.to_thread(kinds.restart_with_its_store)
            await stage.end(name)
        item = await stage.outcome()
        return item, made, (await stage.admin.list(JOBS, stage.namespace)).items

    item, made, jobs = play_item(steps, **LEASE)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert states(item) == [(name, 1, "Succeeded") for name in PASSED]
    assert sorted(job["metadata"]["uid"] for job in jobs) == sorted(made), "no Job was made twice"

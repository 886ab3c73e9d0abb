"""An item beside an API server that breaks off, or is killed with its store and started again: one record."""

import asyncio

import pytest

from cluster.faulty_proxy import faulty_proxy
from cluster.operating import eventually
from cluster.playing import a_stage, condition_in, item_operator, states
from isobench.contracts.status import StageName
from isobench.controller.kinds import JOBS

pytestmark = pytest.mark.own_cluster("an API server to spoil")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
PASSED = (PREPARE, TIMING, COLLECT)
LEASE = {"leader_election": True, "lease_seconds": 60}
"""It outlasts a restart: an operator that can't renew its Lease in time ends, and is started again by its cluster."""


def assert_recorded(item):
    """It has passed each of its stages once."""
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert states(item) == [(name, 1, "Succeeded") for name in PASSED]


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
    assert_recorded(item)
    assert sorted(job["metadata"]["uid"] for job in jobs) == sorted(made), "no Job was made twice"


def creations(proxy, path):
    """How often the operator has asked for one."""
    return sum(seen.method == "POST" and seen.path.endswith(path) for seen in proxy.seen)


def test_a_job_that_is_there_although_its_creation_broke_off_is_the_items_own(kinds, tmp_path):
    def lose_creations(line, kopf):
        return [] if b'"ADDED"' in line else [line]

    async def played(proxy):
        async with a_stage(kinds.kubeconfig) as stage:
            jobs = f"{stage.namespace}/jobs"
            proxy.spoil[jobs] = lose_creations  # so that only the second creation tells of the first
            broken_off = proxy.refuse("POST", jobs, 0, forwarded=True)
            async with item_operator(proxy.kubeconfig, stage.namespace):
                await stage.create()
                await eventually(lambda: creations(proxy, jobs) > 1)
                await stage.pass_all(*PASSED)
                return await stage.outcome(), await stage.jobs(), broken_off.times

    with faulty_proxy(kinds, tmp_path) as proxy:
        item, jobs, left = asyncio.run(played(proxy))
    assert_recorded(item)
    assert jobs == ["collect-1", "prepare-1", "timing-1"]
    assert left == 0

"""One item on a real API server, where the test plays the kubelet: its way to a record, and what that costs."""

import asyncio

import pytest

from cluster.operating import eventually
from cluster.playing import a_stage, condition_in, item_operator, states, writes
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.controller.kinds import CLAIMS, EVENTS, ITEMS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName


def test_an_item_passes_its_stages_one_job_each_to_a_record(play_item):
    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert states(item) == [(name, 1, "Succeeded") for name in ("prepare", "timing", "collect")]
    assert jobs == ["collect-1", "prepare-1", "timing-1"], "Jobs stay until their own time is over"
    assert condition_in(item["status"], "RecordStored")["status"] == "True"
    assert condition_in(item["status"], "NetworkIsolated")["message"] == "nothing answered"
    assert item["status"]["observedGeneration"] == 1
    assert all(found["jobName"] for found in item["status"]["stages"])
    assert "finalizers" not in item["metadata"]


@pytest.mark.parametrize(
    ("workspace", "own"), [({}, {"create": 1, "delete": 1, "deletecollection": 1}), ({"claimName": "shared"}, {})]
)
def test_a_three_stage_item_costs_seven_writes_and_three_more_for_a_volume_of_its_own(play_item, workspace, own):
    async def steps(stage, parts):
        await stage.create(workspace=workspace)
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        await stage.outcome()
        await eventually(lambda: writes(parts).get("deletecollection", 0) == len(own) // 3)
        return writes(parts)

    policy = 1  # once a namespace
    made = {"create": 3 + policy + own.get("create", 0), "update": 4}
    assert play_item(steps) == own | made


def test_the_claim_is_made_with_the_first_job_and_goes_when_the_record_is_stored(play_item):
    async def steps(stage, _):
        await stage.create(workspace={"size": "2Gi"})
        await stage.job(PREPARE)
        (claim,) = (await stage.admin.list(CLAIMS, stage.namespace)).items
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        item = await stage.outcome()
        return claim, item, (await stage.admin.list(CLAIMS, stage.namespace)).items

    claim, item, left = play_item(steps)
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["metadata"]["ownerReferences"][0]["uid"] == item["metadata"]["uid"]
    assert all(found["metadata"].get("deletionTimestamp") for found in left), "nobody here takes its finalizer off"


def test_a_volume_whose_record_could_not_be_stored_is_kept(play_item):
    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING)
        await stage.end(COLLECT, reason=Reason.DISK_FULL, message="no space")
        return await stage.outcome(), (await stage.admin.list(CLAIMS, stage.namespace)).items

    item, left = play_item(steps)
    assert condition_in(item["status"])["reason"] == "DiskFull"
    assert condition_in(item["status"], "RecordStored")["status"] == "False"
    assert [found["metadata"].get("deletionTimestamp") for found in left] == [None]


def test_a_skipped_item_is_collected_and_says_why(play_item):
    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, reason=Reason.BUILD_FAILED, message="no compiler")
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), (await stage.admin.list(EVENTS, stage.namespace)).items

    item, events = play_item(steps)
    outcome = condition_in(item["status"])
    assert (outcome["status"], outcome["reason"], outcome["message"]) == ("False", "BuildFailed", "no compiler")
    assert "BuildFailed" in [event["reason"] for event in events]


def test_an_item_changed_by_somebody_else_meanwhile_is_decided_on_anew(play_item):
    async def steps(stage, _):
        await stage.create()
        for number, name in enumerate((PREPARE, TIMING, COLLECT)):
            await stage.begin(name)
            labels = {"metadata": {"labels": {"changed": str(number)}}}
            change = stage.admin.patch(ITEMS, stage.namespace, "one", labels)
            await asyncio.gather(change, stage.end(name))
        return await stage.outcome(), await stage.jobs()

    item, jobs = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert jobs == ["collect-1", "prepare-1", "timing-1"]


def test_a_restarted_operator_writes_nothing_for_what_needs_nothing(kinds):
    async def played():
        async with a_stage(kinds.kubeconfig) as stage:
            async with item_operator(kinds.kubeconfig, stage.namespace):
                await stage.create("done")
                await stage.pass_all(PREPARE, TIMING, COLLECT, name="done")
                await stage.outcome("done")
                await stage.create("running")
                await stage.begin(PREPARE, name="running")
                before = [await stage.item(name) for name in ("done", "running")]
            async with item_operator(kinds.kubeconfig, stage.namespace) as parts:
                await stage.create("new")
                await stage.job(PREPARE, name="new")
                return before, [await stage.item(name) for name in ("done", "running")], writes(parts)

    before, after, written = asyncio.run(played())
    assert before == after
    assert written == {"create": 2, "update": 1}, "those of the new item"

"""What breaks under an item on a real API server, where the test plays the kubelet, and what comes of it."""

from datetime import UTC, datetime, timedelta

import pytest

from building.items import SECOND
from cluster.operating import eventually
from cluster.playing import condition_in, states
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.controller.clock import ServerClock
from isobench.controller.kinds import ITEMS, JOBS, PODS, Kind

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}}
QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota")
NONE_USED = {"used": {"count/jobs.batch": "0"}}


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ({"message": ""}, "InfrastructureError"),
        ({"message": '{"stage": "prepare", "succeeded": true'}, "InfrastructureError"),
        ({"message": "x" * 30_000}, "InfrastructureError"),
        ({"reason": "Evicted", "message": "", "exit_code": 137}, "StageLost"),
    ],
    ids=["no message", "cut", "garbage", "evicted"],
)
def test_what_infrastructure_broke_is_tried_once_more(play_item, ending, reason):
    async def steps(stage, _):
        await stage.create()
        await stage.end_with(PREPARE, **ending)
        item = await stage.until(lambda status: len(status["stages"]) == 2)
        return item, await stage.jobs()

    item, jobs = play_item(steps)
    assert item["status"]["stages"][0]["reason"] == reason
    assert states(item) == [("prepare", 1, "Lost"), ("prepare", 2, "Creating")]
    assert jobs == ["prepare-1"], "not before its back-off"


def test_the_second_try_begins_after_its_back_off_and_the_item_still_ends_well(play_item, monkeypatch):
    monkeypatch.setattr("isobench.engine.machine.BACK_OFF", 0 * SECOND)

    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, reason=Reason.GIT_TRANSIENT, message="reset by peer")
        await stage.end(PREPARE, 2)
        await stage.pass_all(TIMING, COLLECT)
        return await stage.outcome()

    item = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert [stage["attempt"] for stage in item["status"]["stages"]] == [1, 2, 1, 1]


def test_a_container_killed_for_memory_is_no_infrastructure_failure(play_item):
    async def steps(stage, _):
        await stage.create()
        await stage.end_with(PREPARE, exit_code=137, why="OOMKilled")
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome()

    item = play_item(steps)
    assert condition_in(item["status"])["reason"] == "OutOfMemory"
    assert len(item["status"]["stages"]) == 2


def test_a_job_deleted_by_hand_is_made_again_once_its_pod_has_ended(play_item):
    async def steps(stage, _):
        await stage.create()
        job = await stage.job(PREPARE)
        pod = await stage.begin(PREPARE)
        await stage.admin.delete(JOBS, stage.namespace, job["metadata"]["name"])
        still = await stage.jobs()
        await stage.admin.put_status(PODS, pod, {"phase": "Failed"})
        again = await stage.job(PREPARE)
        return job["metadata"]["uid"], again["metadata"]["uid"], still

    first, second, still = play_item(steps)
    assert first != second
    assert still == [], "two pods never write one workspace"


def test_a_paid_job_deleted_by_hand_is_lost_charged_and_not_made_again(play_item):
    async def steps(stage, _):
        await stage.create(**ONLINE)
        await stage.pass_all(PREPARE, VALIDATE)
        job = await stage.job(AGENT)
        await stage.begin(AGENT)
        await stage.until(lambda status: status["stages"][-1].get("jobUid"))
        await stage.admin.delete(JOBS, stage.namespace, job["metadata"]["name"])
        return await stage.until(lambda status: status["stages"][2]["state"] == "Lost")

    item = play_item(steps)
    assert item["status"]["stages"][2]["reason"] == "PaidAttemptLost"
    assert item["status"]["cost"]["measuredUsd"] == 1.0
    assert item["status"]["stages"][-1]["name"] == "timing"


def test_a_job_of_that_name_that_is_not_ours_is_named_and_not_taken(play_item):
    async def steps(stage, _):
        item = await stage.create(suspend=True)
        name = f"one-prepare-1-{item['metadata']['uid'][:8]}"
        container = {"name": "c", "image": "i"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        strange = {"metadata": {"name": name}, "spec": {"template": template}}
        await stage.admin.create(JOBS, stage.namespace, strange)
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})
        return await stage.until(lambda status: status.get("stages", [{}])[0].get("state") == "Failed")

    item = play_item(steps)
    assert "is not this item's" in item["status"]["stages"][0]["message"]
    assert states(item)[1] == ("prepare", 2, "Creating")


def test_a_job_that_nobody_claims_is_deleted(play_item):
    async def steps(stage, _):
        await stage.create()
        job = await stage.job(PREPARE)
        labels = job["metadata"]["labels"] | {"isobench.dev/attempt": "7"}
        metadata = {"name": "stray", "labels": labels, "ownerReferences": job["metadata"]["ownerReferences"]}
        container = {"name": "c", "image": "i"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        await stage.admin.create(JOBS, stage.namespace, {"metadata": metadata, "spec": {"template": template}})

        async def gone():
            return await stage.admin.get(JOBS, stage.namespace, "stray") is None

        await eventually(gone)
        return await stage.jobs()

    assert play_item(steps) == ["prepare-1"]


def test_what_a_quota_forbids_waits_says_so_and_goes_on_when_there_is_room(play_item, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_actions.NOT_ALLOWED", 0.2)

    async def steps(stage, _):
        quota = await stage.admin.create(QUOTAS, stage.namespace, {"metadata": {"name": "jobs"}} | room_for(0))
        quota = await stage.admin.put_status(QUOTAS, quota, room_for(0)["spec"] | NONE_USED)
        await stage.create()
        waiting = await stage.until(lambda status: status.get("waiting"))
        before = await stage.jobs()
        quota = await stage.admin.replace(QUOTAS, quota | room_for(3))
        await stage.admin.put_status(QUOTAS, quota, room_for(3)["spec"] | NONE_USED)
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        return waiting["status"]["waiting"], before, await stage.outcome()

    waiting, before, item = play_item(steps)
    assert waiting["why"] == "NotAllowed"
    assert "quota" in waiting["message"]
    assert before == []
    assert states(item) == [(name, 1, "Succeeded") for name in (PREPARE, TIMING, COLLECT)]
    assert "waiting" not in item["status"]


def room_for(jobs):
    """A quota's spec; what it counts, and makes known in its status, the test has to do."""
    return {"spec": {"hard": {"count/jobs.batch": str(jobs)}}}


def test_an_image_that_can_not_be_pulled_is_said_while_it_is_waited_for(play_item, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", 0.05 * SECOND)

    async def steps(stage, _):
        await stage.create()
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        container = {"name": "fetch", "image": "w", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
        await stage.begin(PREPARE, phase="Pending", initContainerStatuses=[container])
        return await stage.until(lambda status: status.get("waiting", {}).get("why") == "ImagePullBackOff")

    waiting = play_item(steps)["status"]["waiting"]
    assert "not found" in waiting["message"]


def test_a_node_that_is_gone_is_not_waited_for_for_ever(play_item, monkeypatch):
    """What its kubelet would have to say, a finalizer keeps from being said."""
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", 0.05 * SECOND)
    monkeypatch.setattr("isobench.controller.item_pods._NO_ANSWER", -60 * SECOND)
    monkeypatch.setattr("isobench.engine.machine.BACK_OFF", 0 * SECOND)

    async def steps(stage, _):
        await stage.create()
        pod = await stage.begin(PREPARE, conditions=[{"type": "Ready", "status": "False"}])
        name = pod["metadata"]["name"]
        held = {"metadata": {"finalizers": ["isobench.test/node-is-gone"]}}
        await stage.admin.patch(PODS, stage.namespace, name, held)
        await stage.admin.delete(PODS, stage.namespace, name)
        await stage.job(PREPARE, 2)
        return await stage.item(), await stage.jobs()

    item, jobs = play_item(steps)
    first = item["status"]["stages"][0]
    assert (first["state"], first["reason"]) == ("Lost", "StageLost")
    assert "does not say that it is gone" in first["message"]
    assert jobs == ["prepare-2"], "the Job that was given up is deleted"


def test_a_store_that_is_down_is_tried_again_and_holds_one_record(play_item, monkeypatch):
    monkeypatch.setattr("isobench.engine.machine.BACK_OFF", 0 * SECOND)

    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING)
        await stage.end(COLLECT, reason=Reason.STORE_UNAVAILABLE, message="connection refused")
        await stage.end(COLLECT, 2)
        return await stage.outcome()

    item = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert condition_in(item["status"], "RecordStored")["status"] == "True"


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_operator_whose_clock_is_an_hour_off_goes_by_the_api_servers(play_item, monkeypatch, hours):
    def off():
        return datetime.now(UTC) + timedelta(hours=hours)

    monkeypatch.setattr("isobench.controller.app.ServerClock", lambda: ServerClock(off))
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", 0.05 * SECOND)

    async def steps(stage, _):
        await stage.create()
        for name in (PREPARE, TIMING, COLLECT):
            await stage.begin(name, conditions=[{"type": "Ready", "status": "False"}])
            await stage.end(name)
        return await stage.outcome()

    item = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert [stage["attempt"] for stage in item["status"]["stages"]] == [1, 1, 1]
    said = datetime.fromisoformat(condition_in(item["status"])["lastTransitionTime"])
    assert abs(said - datetime.now(UTC)) < timedelta(minutes=30)

"""The operator and one item on a real API server, where the test plays the kubelet: faults, and what comes of them."""

import asyncio
from contextlib import suppress

import pytest

from building.items import SECOND
from cluster.operating import DEFINITIONS, eventually
from cluster.playing import a_stage, condition_in, item_operator
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.controller.api_errors import Invalid
from isobench.controller.kinds import CLAIMS, EVENTS, ITEMS, JOBS, NETWORK_POLICIES, PODS, Kind

QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota")
PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}}


@pytest.fixture
def play(kinds):
    """Runs a coroutine function with a namespace of its own and the operator that serves it."""

    def play(steps, **settings):
        async def played():
            async with (
                a_stage(kinds.kubeconfig) as stage,
                item_operator(kinds.kubeconfig, stage.namespace, **settings) as parts,
            ):
                return await steps(stage, parts)

        return asyncio.run(played())

    return play


def writes(parts):
    """What the operator has written so far, by verb."""
    counted = {}
    for family in parts.metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "isobench_api_requests_total" and sample.value:
                counted[sample.labels["verb"]] = counted.get(sample.labels["verb"], 0) + int(sample.value)
    return {verb: count for verb, count in counted.items() if verb in ("create", "update", "patch", "delete")}


def states(item):
    return [(stage["name"], stage["attempt"], stage["state"]) for stage in item["status"]["stages"]]


def test_an_item_passes_its_stages_one_job_each_to_a_record(play):
    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert states(item) == [(name, 1, "Succeeded") for name in ("prepare", "timing", "collect")]
    assert jobs == ["collect-1", "prepare-1", "timing-1"], "Jobs stay until their own time is over"
    assert condition_in(item["status"], "RecordStored")["status"] == "True"
    assert condition_in(item["status"], "NetworkIsolated")["message"] == "nothing answered"
    assert item["status"]["observedGeneration"] == 1
    assert all(found["jobName"] for found in item["status"]["stages"])
    assert "finalizers" not in item["metadata"]


def test_a_three_stage_item_costs_nine_writes(play):
    async def steps(stage, parts):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING)
        await stage.job(COLLECT)
        before = writes(parts)
        await stage.pass_all(COLLECT)
        await stage.outcome()
        return before, writes(parts)

    before, after = play(steps)
    policy = 1  # once a namespace
    assert before == {"create": 3 + 1 + policy, "update": 3}, "Jobs, the claim; a status a stage"
    assert after == {"create": 3 + 1 + policy, "update": 4, "delete": 1}


def test_the_claim_is_made_with_the_first_job_and_goes_when_the_record_is_stored(play):
    async def steps(stage, _):
        await stage.create(workspace={"size": "2Gi"})
        await stage.job(PREPARE)
        (claim,) = (await stage.admin.list(CLAIMS, stage.namespace)).items
        await stage.pass_all(PREPARE, TIMING, COLLECT)
        item = await stage.outcome()
        return claim, item, (await stage.admin.list(CLAIMS, stage.namespace)).items

    claim, item, left = play(steps)
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert claim["metadata"]["ownerReferences"][0]["uid"] == item["metadata"]["uid"]
    assert all(found["metadata"].get("deletionTimestamp") for found in left), "nobody here takes its finalizer off"


def test_a_volume_whose_record_could_not_be_stored_is_kept(play):
    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE, TIMING)
        await stage.end(COLLECT, reason=Reason.DISK_FULL, message="no space")
        return await stage.outcome(), (await stage.admin.list(CLAIMS, stage.namespace)).items

    item, left = play(steps)
    assert condition_in(item["status"])["reason"] == "DiskFull"
    assert condition_in(item["status"], "RecordStored")["status"] == "False"
    assert [found["metadata"].get("deletionTimestamp") for found in left] == [None]


def test_a_skipped_item_is_collected_and_says_why(play):
    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, reason=Reason.BUILD_FAILED, message="no compiler")
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), (await stage.admin.list(EVENTS, stage.namespace)).items

    item, events = play(steps)
    outcome = condition_in(item["status"])
    assert (outcome["status"], outcome["reason"], outcome["message"]) == ("False", "BuildFailed", "no compiler")
    assert "BuildFailed" in [event["reason"] for event in events]


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
def test_what_infrastructure_broke_is_tried_once_more(play, ending, reason):
    async def steps(stage, _):
        await stage.create()
        await stage.end_with(PREPARE, **ending)
        item = await stage.until(lambda status: len(status["stages"]) == 2)
        return item, await stage.jobs()

    item, jobs = play(steps)
    assert item["status"]["stages"][0]["reason"] == reason
    assert states(item) == [("prepare", 1, "Lost"), ("prepare", 2, "Creating")]
    assert jobs == ["prepare-1"], "not before its back-off"


def test_the_second_try_begins_after_its_back_off_and_the_item_still_ends_well(play, monkeypatch):
    monkeypatch.setattr("isobench.engine.machine.BACK_OFF", 0 * SECOND)

    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, reason=Reason.GIT_TRANSIENT, message="reset by peer")
        await stage.end(PREPARE, 2)
        await stage.pass_all(TIMING, COLLECT)
        return await stage.outcome()

    item = play(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert [stage["attempt"] for stage in item["status"]["stages"]] == [1, 2, 1, 1]


def test_a_container_killed_for_memory_is_no_infrastructure_failure(play):
    async def steps(stage, _):
        await stage.create()
        await stage.end_with(PREPARE, exit_code=137, why="OOMKilled")
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome()

    item = play(steps)
    assert condition_in(item["status"])["reason"] == "OutOfMemory"
    assert len(item["status"]["stages"]) == 2


def test_a_job_deleted_by_hand_is_made_again_once_its_pod_has_ended(play):
    async def steps(stage, _):
        await stage.create()
        job = await stage.job(PREPARE)
        pod = await stage.begin(PREPARE)
        await stage.admin.delete(JOBS, stage.namespace, job["metadata"]["name"])
        still = await stage.jobs()
        await stage.admin.put_status(PODS, pod, {"phase": "Failed"})
        again = await stage.job(PREPARE)
        return job["metadata"]["uid"], again["metadata"]["uid"], still

    first, second, still = play(steps)
    assert first != second
    assert still == [], "two pods never write one workspace"


def test_a_paid_job_deleted_by_hand_is_lost_charged_and_not_made_again(play):
    async def steps(stage, _):
        await stage.create(**ONLINE)
        await stage.pass_all(PREPARE, VALIDATE)
        job = await stage.job(AGENT)
        await stage.begin(AGENT)
        await stage.until(lambda status: status["stages"][-1].get("jobUid"))
        await stage.admin.delete(JOBS, stage.namespace, job["metadata"]["name"])
        return await stage.until(lambda status: status["stages"][2]["state"] == "Lost")

    item = play(steps)
    assert item["status"]["stages"][2]["reason"] == "PaidAttemptLost"
    assert item["status"]["cost"]["measuredUsd"] == 1.0
    assert item["status"]["stages"][-1]["name"] == "timing"


def test_a_job_of_that_name_that_is_not_ours_is_named_and_not_taken(play):
    async def steps(stage, _):
        item = await stage.create(suspend=True)
        name = f"one-prepare-1-{item['metadata']['uid'][:8]}"
        container = {"name": "c", "image": "i"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        strange = {"metadata": {"name": name}, "spec": {"template": template}}
        await stage.admin.create(JOBS, stage.namespace, strange)
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})
        return await stage.until(lambda status: status.get("stages", [{}])[0].get("state") == "Failed")

    item = play(steps)
    assert "is not this item's" in item["status"]["stages"][0]["message"]
    assert states(item)[1] == ("prepare", 2, "Creating")


def test_a_job_that_nobody_claims_is_deleted(play):
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

    assert play(steps) == ["prepare-1"]


def test_an_item_changed_by_somebody_else_meanwhile_is_decided_on_anew(play):
    async def steps(stage, _):
        await stage.create()
        for number, name in enumerate((PREPARE, TIMING, COLLECT)):
            await stage.begin(name)
            labels = {"metadata": {"labels": {"changed": str(number)}}}
            change = stage.admin.patch(ITEMS, stage.namespace, "one", labels)
            await asyncio.gather(change, stage.end(name))
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert jobs == ["collect-1", "prepare-1", "timing-1"]


@pytest.mark.parametrize("at", [PREPARE, TIMING, COLLECT])
def test_an_item_deleted_in_any_stage_is_let_go_and_nothing_is_made_for_it(play, at):
    async def steps(stage, parts):
        await stage.create()
        for name in (PREPARE, TIMING, COLLECT):
            await stage.begin(name)
            if name is at:
                break
            await stage.end(name)
        before = await stage.jobs()
        uid = (await stage.item())["metadata"]["uid"]
        await stage.admin.delete(ITEMS, stage.namespace, "one")
        await stage.create("another")
        await stage.job(PREPARE, name="another")
        labels = [job["metadata"]["labels"] for job in (await stage.admin.list(JOBS, stage.namespace)).items]
        return before, [found["isobench.dev/stage"] for found in labels if found["isobench.dev/item-uid"] == uid]

    before, after = play(steps)
    assert len(before) == len(after), "no finalizer holds it, and nothing new is begun; the rest is the collector's"


def test_a_person_asks_again_and_the_item_begins_with_what_failed(play):
    async def steps(stage, _):
        await stage.create(workspace={"claimName": "shared"})
        await stage.pass_all(PREPARE)
        await stage.end(TIMING, reason=Reason.TOO_SLOW, message="8 blocks won't fit")
        await stage.end(COLLECT, artifacts=None)
        await stage.outcome()
        wish = {"metadata": {"annotations": {"isobench.dev/retry": "2026-01-01T12:00:00Z"}}}
        await stage.admin.patch(ITEMS, stage.namespace, "one", wish)
        await stage.end(TIMING, 2)
        await stage.end(COLLECT, 2)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert jobs == ["collect-1", "collect-2", "prepare-1", "timing-1", "timing-2"]
    assert item["status"]["retried"] == "2026-01-01T12:00:00Z"


def test_asked_again_after_its_volume_is_gone_an_item_begins_with_the_first_stage(play):
    async def steps(stage, _):
        await stage.create()
        await stage.pass_all(PREPARE)
        await stage.end(TIMING, reason=Reason.TOO_SLOW, message="8 blocks won't fit")
        await stage.end(COLLECT, artifacts=None)
        await stage.outcome()
        (claim,) = (await stage.admin.list(CLAIMS, stage.namespace)).items
        await stage.admin.patch(CLAIMS, stage.namespace, claim["metadata"]["name"], {"metadata": {"finalizers": None}})
        wish = {"metadata": {"annotations": {"isobench.dev/retry": "once more"}}}
        await stage.admin.patch(ITEMS, stage.namespace, "one", wish)
        await stage.job(PREPARE, 2)
        return (await stage.admin.list(CLAIMS, stage.namespace)).items

    assert len(play(steps)) == 1


def test_a_lost_agent_is_paid_again_only_when_a_person_asks(play):
    async def steps(stage, _):
        await stage.create(**ONLINE, workspace={"claimName": "shared"})
        await stage.pass_all(PREPARE, VALIDATE)
        await stage.end_with(AGENT, message="", exit_code=137)
        await stage.pass_all(TIMING, COLLECT)
        first = await stage.outcome()
        wish = {"metadata": {"annotations": {"isobench.dev/retry": "pay again"}}}
        await stage.admin.patch(ITEMS, stage.namespace, "one", wish)
        await stage.job(AGENT, 2)
        return first

    first = play(steps)
    assert condition_in(first["status"])["reason"] == "Recorded"
    assert [stage["reason"] for stage in first["status"]["stages"] if "reason" in stage] == ["PaidAttemptLost"]


def test_a_suspended_item_starts_nothing_until_it_may(play):
    async def steps(stage, _):
        await stage.create(suspend=True)
        waiting = await stage.until(lambda status: status.get("waiting"))
        before = await stage.jobs()
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})
        await stage.job(PREPARE)
        return waiting, before, await stage.item()

    waiting, before, item = play(steps)
    assert waiting["status"]["waiting"]["why"] == "Suspended"
    assert before == []
    assert "waiting" not in item["status"]


def test_an_item_suspended_while_it_runs_ends_its_stage_and_goes_on_where_it_stopped(play):
    async def steps(stage, _):
        await stage.create()
        await stage.begin(PREPARE)
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": True}})
        await stage.end(PREPARE)
        await stage.until(lambda status: status.get("waiting", {}).get("why") == "Suspended")
        before = await stage.jobs()
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})
        await stage.pass_all(TIMING, COLLECT)
        return before, await stage.outcome()

    before, item = play(steps)
    assert before == ["prepare-1"]
    assert condition_in(item["status"])["reason"] == "Recorded"


async def serve_tomorrows_kind(stage):
    """The kind as a newer version defines it: with one more reason."""
    name = f"{ITEMS.plural}.{ITEMS.group}"
    definition = await stage.admin.get(DEFINITIONS, "", name)
    version = definition["spec"]["versions"][0]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    status["properties"]["stages"]["items"]["properties"]["reason"]["enum"].append("ReasonOfTomorrow")
    await stage.admin.replace(DEFINITIONS, definition)


def test_a_status_that_a_newer_version_wrote_is_left_as_it_is_and_said_so(play):
    async def steps(stage, parts):
        await serve_tomorrows_kind(stage)
        await stage.create(suspend=True)
        item = await stage.until(lambda status: status.get("waiting"))
        newer = {"stages": [{"name": "prepare", "attempt": 1, "state": "Running", "reason": "ReasonOfTomorrow"}]}

        async def taken():
            with suppress(Invalid):  # the new definition takes a moment to be served
                return await stage.admin.put_status(ITEMS, item, newer)

        written = await eventually(taken)
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})

        async def said():
            events = (await stage.admin.list(EVENTS, stage.namespace)).items
            return [event for event in events if event["reason"] == "NewerStatus"]

        await eventually(said)
        return written["status"], (await stage.item())["status"], await stage.jobs()

    written, after, jobs = play(steps)
    assert after == written
    assert jobs == []


def test_what_the_schema_can_not_say_ends_the_item_in_a_sentence(play):
    async def steps(stage, _):
        await stage.create(timing={"cores": 2, "resources": {"limits": {"cpu": "1500m"}}})
        await stage.pass_all(PREPARE)
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps)
    outcome = condition_in(item["status"])
    assert outcome["reason"] == "InvalidSpec"
    assert "whole number" in outcome["message"]
    assert jobs == ["collect-1", "prepare-1"]


def test_an_amount_that_the_api_server_does_not_take_ends_the_item_in_its_words(play):
    async def steps(stage, _):
        await stage.create(environment={"resources": {"limits": {"Not A Name": "1"}}})
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome()

    outcome = condition_in(play(steps)["status"])
    assert outcome["reason"] == "InvalidSpec"
    assert "Not A Name" in outcome["message"]


def test_what_a_quota_forbids_waits_and_says_so(play):
    async def steps(stage, _):
        quota = {"metadata": {"name": "no-jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
        made = await stage.admin.create(QUOTAS, stage.namespace, quota)
        used = {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}
        await stage.admin.put_status(QUOTAS, made, used)
        await stage.create()
        return await stage.until(lambda status: status.get("waiting"))

    waiting = play(steps)["status"]["waiting"]
    assert waiting["why"] == "NotAllowed"
    assert "quota" in waiting["message"]


def test_an_image_that_can_not_be_pulled_is_said_while_it_is_waited_for(play, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", 0.05 * SECOND)

    async def steps(stage, _):
        await stage.create()
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
        container = {"name": "fetch", "image": "w", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
        await stage.begin(PREPARE, phase="Pending", initContainerStatuses=[container])
        return await stage.until(lambda status: status.get("waiting", {}).get("why") == "ImagePullBackOff")

    waiting = play(steps)["status"]["waiting"]
    assert "not found" in waiting["message"]


def test_an_item_goes_when_its_time_is_over(play):
    async def steps(stage, _):
        await stage.create(ttlSecondsAfterFinished=0)
        await stage.pass_all(PREPARE, TIMING, COLLECT)

        async def gone():
            return await stage.item() is None

        await eventually(gone)

    play(steps)


def test_the_deny_all_policy_is_there_before_anything_is_timed_and_is_put_right_when_changed(play, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_isolation._REMEMBERED_SECONDS", -1)

    async def steps(stage, _):
        found = []
        for name in ("one", "two"):
            await stage.create(name)
            await stage.end(PREPARE, name=name)
            await stage.job(TIMING, name=name)
            found.append(await stage.admin.get(NETWORK_POLICIES, stage.namespace, "isobench-timing"))
            opened = {"spec": {"egress": [{}]}}
            await stage.admin.patch(NETWORK_POLICIES, stage.namespace, "isobench-timing", opened)
        return found

    first, second = play(steps)
    assert first["spec"] == second["spec"]
    assert set(first["spec"]) == {"podSelector", "policyTypes"}, "no rule allows anything"


def test_another_policy_that_opens_isolated_pods_is_named_and_nothing_is_timed(play):
    async def steps(stage, _):
        spec = {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}
        await stage.admin.create(NETWORK_POLICIES, stage.namespace, {"metadata": {"name": "allow"}, "spec": spec})
        await stage.create()
        await stage.pass_all(PREPARE)
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps)
    assert condition_in(item["status"])["reason"] == "NetworkNotIsolated"
    isolated = condition_in(item["status"], "NetworkIsolated")
    assert isolated["status"] == "False"
    assert "allow" in isolated["message"]
    assert jobs == ["collect-1", "prepare-1"]


def test_a_canary_that_never_answered_proves_nothing_and_nothing_is_timed(play):
    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, facts={"canary": "unreachable"})
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play(steps, canary_address="127.0.0.1:9")
    assert condition_in(item["status"])["reason"] == "NetworkNotIsolated"
    assert "canary" in condition_in(item["status"])["message"]
    assert jobs == ["collect-1", "prepare-1"]


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

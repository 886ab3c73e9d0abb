"""What people do to an item on a real API server: delete, ask again, suspend; and a version that is newer."""

import itertools
from contextlib import suppress
from datetime import timedelta

import pytest

from building.chart import CHART
from cluster.operating import DEFINITIONS, eventually
from cluster.playing import condition_in
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.controller.api_errors import Invalid
from isobench.controller.kinds import CLAIMS, EVENTS, ITEMS, JOBS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}}
GENERATED = {"test": {"generate": {"provider": "openai", "secretRef": {"name": "llm"}, "budgetUsd": 2.0}}}
PROVIDERS = CHART / "files" / "providers"


@pytest.mark.parametrize("at", StageName)
def test_an_item_deleted_in_any_stage_is_let_go_and_nothing_is_made_for_it(play_item, at):
    async def steps(stage, _):
        await stage.create(**ONLINE, **GENERATED)
        await stage.pass_all(*itertools.takewhile(lambda name: name is not at, StageName))
        await stage.begin(at)
        before = await stage.jobs()
        uid = (await stage.item())["metadata"]["uid"]
        await stage.admin.delete(ITEMS, stage.namespace, "one")
        await stage.create("another")
        await stage.job(PREPARE, name="another")
        labels = [job["metadata"]["labels"] for job in (await stage.admin.list(JOBS, stage.namespace)).items]
        return before, [found["isobench.dev/stage"] for found in labels if found["isobench.dev/item-uid"] == uid]

    before, after = play_item(steps, configurations=PROVIDERS)
    assert len(before) == len(after), "no finalizer holds it, and nothing new is begun; the rest is the collector's"


def test_a_person_asks_again_and_the_item_begins_with_what_failed(play_item):
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

    item, jobs = play_item(steps)
    assert condition_in(item["status"])["reason"] == "Recorded"
    assert jobs == ["collect-1", "collect-2", "prepare-1", "timing-1", "timing-2"]
    assert item["status"]["retried"] == "2026-01-01T12:00:00Z"


def test_asked_again_after_its_volume_is_gone_an_item_begins_with_the_first_stage(play_item):
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

    assert len(play_item(steps)) == 1


def test_a_lost_agent_is_paid_again_only_when_a_person_asks(play_item):
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

    first = play_item(steps)
    assert condition_in(first["status"])["reason"] == "Recorded"
    assert [stage["reason"] for stage in first["status"]["stages"] if "reason" in stage] == ["PaidAttemptLost"]


def test_a_suspended_item_starts_nothing_until_it_may(play_item):
    async def steps(stage, _):
        await stage.create(suspend=True)
        waiting = await stage.until(lambda status: status.get("waiting"))
        before = await stage.jobs()
        await stage.admin.patch(ITEMS, stage.namespace, "one", {"spec": {"suspend": False}})
        await stage.job(PREPARE)
        return waiting, before, await stage.item()

    waiting, before, item = play_item(steps)
    assert waiting["status"]["waiting"]["why"] == "Suspended"
    assert before == []
    assert "waiting" not in item["status"]


def test_an_item_suspended_while_it_runs_ends_its_stage_and_goes_on_where_it_stopped(play_item):
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

    before, item = play_item(steps)
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


def test_a_status_that_a_newer_version_wrote_is_left_as_it_is_and_said_so(play_item):
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

    written, after, jobs = play_item(steps)
    assert after == written
    assert jobs == []


def test_an_item_goes_when_its_time_is_over(play_item):
    async def steps(stage, _):
        await stage.create(ttlSecondsAfterFinished=0)
        await stage.pass_all(PREPARE, TIMING, COLLECT)

        async def gone():
            return await stage.item() is None

        await eventually(gone)

    play_item(steps)


def test_what_a_queue_holds_back_says_so_until_it_is_let_go(play_item, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", timedelta(seconds=0.05))

    async def steps(stage, _):
        await stage.create(queueName="gpus")
        job = await stage.job(PREPARE)
        held = await stage.until(lambda status: status.get("waiting"))
        await stage.admin.patch(JOBS, stage.namespace, job["metadata"]["name"], {"spec": {"suspend": False}})
        await stage.until(lambda status: "waiting" not in status)
        await stage.end(PREPARE)
        return job, held["status"]["waiting"]

    job, held = play_item(steps)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert (held["why"], held["message"]) == ("Queued", "Kueue has not admitted it from the queue gpus")

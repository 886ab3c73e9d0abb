"""A paid stage whose pod never starts, on a real API server where the test plays the kubelet: it costs nothing."""

import asyncio

import pytest

from building.chart import CHART
from building.items import SECOND
from cluster.batch_playing import without_pauses
from cluster.operating import eventually
from cluster.playing import a_stage, condition_in, item_operator, states
from cluster.refusals import batch
from isobench.contracts.status import StageName
from isobench.controller.kinds import BATCHES, CONFIG_MAPS, PODS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
PROVIDERS = {"configurations": CHART / "files" / "providers", "pull_seconds": 1}
GENERATED = {"test": {"generate": {"provider": "openai", "secretRef": {"name": "llm"}, "budgetUsd": 2.0}}}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """The operator looks at once at what a pod waits for."""
    monkeypatch.setattr("isobench.controller.item_jobs.FIRST_LOOK", 0.05 * SECOND)


def told(name, **state):
    """What a kubelet tells of a container."""
    return {"name": name, "image": "w", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def without_its_secret(name="stage"):
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "llm" not found'}
    return told(name, waiting=waiting)


async def given_up(stage, name="one"):
    """The item, once its attempt at `generate` has ended."""
    return await stage.until(lambda status: status["stages"][-1]["name"] == COLLECT, name)


def test_a_generate_whose_secret_is_missing_ends_without_a_charge_and_names_it(play_item):
    async def steps(stage, _):
        await stage.create(**GENERATED)
        await stage.pass_all(PREPARE)
        await stage.begin(GENERATE, phase="Pending", containerStatuses=[without_its_secret()])
        item = await given_up(stage)
        return item, (await stage.admin.list(PODS, stage.namespace, "isobench.dev/stage=generate")).items

    item, pods = play_item(steps, **PROVIDERS)
    failed = item["status"]["stages"][1]
    assert (failed["state"], failed["reason"]) == ("Failed", "InvalidSpec")
    assert 'secret "llm" not found' in failed["message"]
    assert "nothing was spent: see that the Secret llm is in the namespace" in failed["message"]
    assert item["status"]["cost"].get("measuredUsd", 0) == 0
    assert pods == [], "it was ended first"
    assert states(item)[2:] == [("collect", 1, "Creating")], "and is not tried again without a person"


def test_a_generate_that_runs_when_it_is_given_up_is_charged_at_its_cap(play_item):
    async def steps(stage, _):
        await stage.create(**GENERATED)
        await stage.pass_all(PREPARE)
        started = {"startedAt": "2026-01-01T12:00:00Z"}
        strange = without_its_secret("another")
        await stage.begin(GENERATE, phase="Pending", containerStatuses=[told("stage", running=started), strange])
        return await given_up(stage)

    item = play_item(steps, **PROVIDERS)
    assert item["status"]["stages"][1]["reason"] == "PaidAttemptLost"
    assert item["status"]["cost"]["measuredUsd"] == 2.0


def test_what_was_held_for_it_comes_free_in_the_account_and_in_the_ledger(kinds, monkeypatch):
    without_pauses(monkeypatch)
    name = "demo-000-0000000"
    template = {"repository": {"url": "https://host.example/o/n"}, "output": {"store": "s3://bucket/prefix"}}

    async def settled(stage):
        found = await stage.admin.get(BATCHES, stage.namespace, "demo")
        (row,) = found["status"]["ledger"]
        return (row, found) if row.get("outcome") else None

    async def played():
        async with (
            a_stage(kinds.kubeconfig) as stage,
            item_operator(kinds.kubeconfig, stage.namespace, **PROVIDERS),
        ):
            asked = {"commits": [{"head": "0" * 39 + "1"}], "template": template | GENERATED, "budgetUsd": 2}
            await stage.admin.create(BATCHES, stage.namespace, batch("demo", **asked))
            await eventually(lambda: stage.item(name))
            await stage.pass_all(PREPARE, name=name)
            await stage.begin(GENERATE, name=name, phase="Pending", containerStatuses=[without_its_secret()])
            await given_up(stage, name)
            await stage.end(COLLECT, name=name, artifacts=None)
            item = await stage.outcome(name)
            row, _ = await eventually(lambda: settled(stage))
            account = await stage.admin.get(CONFIG_MAPS, stage.namespace, f"isobench-account-{stage.namespace}")
            return item, row, account["data"]["account.json"]

    item, row, account = asyncio.run(played())
    assert condition_in(item["status"])["reason"] == "InvalidSpec"
    assert (row["outcome"], row.get("reservedUsd", 0), row.get("spentUsd", 0)) == ("InvalidSpec", 0, 0)
    assert '"holds":{}' in account

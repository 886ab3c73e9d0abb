"""Claims that items share, on a real API server where the test plays the kubelet: what is swept and what is mounted."""

import json

import pytest

from building.items import SECOND
from cluster.operating import eventually
from cluster.playing import condition_in
from isobench.contracts.status import StageName
from isobench.controller.jobs.sweep import KEPT_SECONDS
from isobench.controller.kinds import ITEMS, JOBS, STAGE_LABEL

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
SHARED = {"claimName": "shared"}
REFUSED = {"verb": "create", "code": "409"}


@pytest.fixture
def soon(monkeypatch):
    """A claim is swept a second after an item on it went, not a quarter of an hour."""
    monkeypatch.setattr("isobench.controller.item_sweep.AFTER", SECOND)


async def begin(stage, *names):
    """Items whose pods work on the claim."""
    for name in names:
        await stage.create(name, workspace=SHARED)
        await stage.begin(PREPARE, name=name)


async def delete(stage, name):
    await stage.admin.delete(ITEMS, stage.namespace, name)


async def sweeps(stage):
    return (await stage.admin.list(JOBS, stage.namespace, f"{STAGE_LABEL}=sweep")).items


async def sweep(stage):
    """The Job that sweeps the claim, as soon as there is one."""
    (job,) = await eventually(lambda: sweeps(stage))
    return job


def kept(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return json.loads(container["args"][1])["keep"]


def claims_in(pod):
    volumes = pod["spec"]["volumes"]
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]


def test_the_claim_of_an_item_that_is_gone_is_swept_and_what_others_have_there_is_kept(play_item, soon):
    async def steps(stage, _):
        await begin(stage, "gone", "stays")
        await delete(stage, "gone")
        return await sweep(stage), await stage.item("stays")

    job, stays = play_item(steps)
    assert kept(job) == [stays["metadata"]["uid"][:8]]
    assert claims_in(job["spec"]["template"]) == ["shared"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["isobench-worker"]
    assert container["args"][0] == "sweep"
    assert {"name": "workspace", "mountPath": "/workspace"} in container["volumeMounts"], "the whole claim"


def test_a_sweep_asks_for_no_rights_and_goes_by_itself_when_it_has_ended(play_item, soon):
    """The namespace takes restricted pods alone; who removes Jobs whose time is over is Kubernetes."""

    async def steps(stage, _):
        await begin(stage, "gone")
        await delete(stage, "gone")
        job = await sweep(stage)
        return await stage.run(job), await stage.admin.get(JOBS, stage.namespace, job["metadata"]["name"])

    pod, job = play_item(steps)
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert condition_in(job["status"], "Complete")["status"] == "True"
    assert job["spec"]["ttlSecondsAfterFinished"] == KEPT_SECONDS
    assert "ownerReferences" not in job["metadata"], "whom it comes from is gone"


def test_what_went_while_a_sweep_was_at_it_is_found_by_the_next_one(play_item, soon):
    async def steps(stage, parts):
        await begin(stage, "first", "second", "third")
        await delete(stage, "first")
        first = await sweep(stage)
        refused = parts.metrics.registry.get_sample_value
        before = refused("isobench_api_requests_total", REFUSED) or 0
        await delete(stage, "second")
        await eventually(lambda: (refused("isobench_api_requests_total", REFUSED) or 0) > before)
        during = await sweeps(stage)
        await stage.run(first)
        await stage.admin.delete(JOBS, stage.namespace, first["metadata"]["name"])
        await delete(stage, "third")
        return first, during, await sweep(stage)

    first, during, last = play_item(steps)
    assert [job["metadata"]["uid"] for job in during] == [first["metadata"]["uid"]]
    assert len(kept(first)) == 2
    assert kept(last) == []


def test_what_was_fetched_before_is_on_a_claim_that_fetch_alone_can_reach(play_item):
    async def steps(stage, _):
        url = "https://example.org/owner/project"
        await stage.create(repository={"url": url, "cacheClaimName": "objects"}, workspace=SHARED)
        prepare = await stage.begin(PREPARE)
        await stage.end(PREPARE)
        return prepare, await stage.begin(TIMING)

    prepare, timing = play_item(steps)
    assert sorted(claims_in(prepare)) == ["objects", "shared"]
    containers = [*prepare["spec"]["initContainers"], *prepare["spec"]["containers"]]
    mounts = {one["name"]: [mount["name"] for mount in one["volumeMounts"]] for one in containers}
    assert [name for name, mounted in mounts.items() if "cache" in mounted] == ["fetch"]
    assert claims_in(timing) == ["shared"]

"""One item on the real cluster: from its manifest to its record in the store, or to the sentence why there is none."""

import asyncio
import json
import secrets
import shutil
import subprocess
from dataclasses import replace

import pytest

from building.swift_history import TEST, write_history
from cluster.conftest import BUCKET, STORE_SECRET
from cluster.operating import ROOT, administrator, eventually
from cluster.playing import Stage, condition_in, item_operator
from cluster.waiting import wait_until
from isobench.controller.jobs.containers import Pod, worker
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.kinds import CLAIMS, ITEMS, JOBS, PODS
from isobench.controller.settings import ControllerSettings

MINUTE = 60.0
QUICK = {"warmup": 0, "minPairs": 8, "maxPairs": 8}
CANARY_PORT = 8080


@pytest.fixture(autouse=True, scope="module")
def _cluster_is_ready(cluster, kubectl):
    cluster.load_images()
    kubectl("apply", "--filename", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


@pytest.fixture(scope="module")
def history(cluster, tmp_path_factory):
    """A repository of a project whose commits are known, and its address in the cluster."""
    history = write_history(tmp_path_factory.mktemp("swift") / "swift")
    name = f"{secrets.token_hex(4)}/fast/swift.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", history.path, cluster.git_folder / name], check=True)
    yield history, f"{cluster.git_url}/{name}"
    shutil.rmtree(cluster.git_folder / name.partition("/")[0])


@pytest.fixture
def canary(cluster, namespace, kubectl):
    """Somebody who answers whoever may connect, as the chart installs it."""
    settings = ControllerSettings()
    request = json.dumps({"port": CANARY_PORT})
    container = worker("stage", "canary", request, settings, SUPERVISOR)
    pod = Pod([container], {"app": "canary"}, seconds=3600).manifest(settings)
    manifest = {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": {"name": "canary"}}
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(manifest))
    kubectl("wait", "-n", namespace, "pod/canary", "--for=condition=Ready", "--timeout=60s")
    address = kubectl("get", "-n", namespace, "pod/canary", "-o", "jsonpath={.status.podIP}")
    return f"{address}:{CANARY_PORT}"


@pytest.fixture
def play(cluster, namespace, canary, history):
    """Runs a coroutine function with the operator that serves the namespace."""

    def play(steps, **settings):
        async def played():
            kubeconfig = cluster.plane.kubeconfig
            chosen = {"canary_address": canary, "api_server_address": f"{cluster.profile.address}:6443"} | settings
            async with administrator(kubeconfig) as admin, item_operator(kubeconfig, namespace, **chosen):
                return await steps(Stage(admin, namespace))

        return asyncio.run(played())

    return play


@pytest.fixture
def asked(cluster, namespace, history):
    """What an item asks for: the merged change of the history, timed quickly."""
    repository, url = history
    return {
        "repository": {"url": url},
        "commits": {"head": repository.merged},
        "test": {"inline": TEST},
        "timing": QUICK,
        "output": {
            "store": f"s3://{BUCKET}/{namespace}",
            "endpoint": cluster.s3_endpoint,
            "secretRef": {"name": STORE_SECRET},
        },
    }


def test_an_offline_item_comes_to_a_record_in_the_store(play, asked, s3, namespace, history, kubectl):
    async def steps(stage):
        await stage.create(**asked)
        return await _ended(stage)

    item = play(steps)
    status = item["status"]
    assert condition_in(status)["reason"] == "Recorded"
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "timing", "collect"]
    assert status["result"]["verdict"] == "faster"
    assert condition_in(status, "RecordStored")["status"] == "True"
    isolated = condition_in(status, "NetworkIsolated")
    assert isolated["status"] == "True"
    assert "canary" in isolated["message"]
    record = json.loads(_stored(s3, status["artifacts"]["recordUri"]))
    assert (record["repo"], record["head_commit"]) == ("fast/swift", history[0].merged)
    assert record["efficiency_test"] == [TEST]
    wait_until(lambda: not kubectl("get", "pvc", "-n", namespace, "-o", "name"), "the volume to go")


def test_what_a_failed_item_left_is_stored_and_the_item_says_why(play, asked, history, s3):
    async def steps(stage):
        await stage.create(**asked | {"commits": {"head": history[0].unbuildable}})
        return await _ended(stage)

    status = play(steps)["status"]
    assert condition_in(status)["reason"] == "BuildFailed"
    assert "no compiler here" in condition_in(status)["message"]
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "collect"]
    assert b"no compiler here" in _stored(s3, status["artifacts"]["journalUri"])


def test_items_deleted_in_any_stage_leave_nothing_behind(play, asked):
    async def deleted_in(stage, at):
        await stage.create(at, **asked)
        await eventually(lambda: _runs(stage, at, at), 4 * MINUTE)
        await stage.admin.delete(ITEMS, stage.namespace, at)

    async def steps(stage):
        await asyncio.gather(*(deleted_in(stage, at) for at in ("prepare", "timing", "collect")))
        await eventually(lambda: _nothing_left(stage), MINUTE)

    play(steps)


def test_an_image_that_is_nowhere_ends_the_item_and_is_named(play, asked):
    async def steps(stage):
        await stage.create(**asked | {"environment": {"image": "isobench.test/no-such-image:1"}})
        return await _ended(stage)

    status = play(steps, pull_seconds=1)["status"]
    assert condition_in(status)["reason"] == "ImageUnavailable"
    assert "isobench.test/no-such-image:1" in condition_in(status)["message"]


def test_a_volume_that_is_never_bound_ends_the_item_and_is_named(play, asked):
    async def steps(stage):
        await stage.create(**asked | {"workspace": {"storageClassName": "no-such-class", "size": "1Gi"}})
        return await stage.until(lambda status: status["stages"][0]["state"] == "Lost")

    status = play(steps, pending_seconds=1)["status"]
    assert status["stages"][0]["reason"] == "StageTimedOut"
    assert "PersistentVolumeClaim" in status["stages"][0]["message"]


def test_an_environment_killed_for_its_memory_says_so_and_is_not_tried_again(play, asked):
    async def steps(stage):
        tiny = {"requests": {"memory": "12Mi"}, "limits": {"memory": "12Mi"}}
        await stage.create(**asked | {"environment": {"resources": tiny}})
        return await _ended(stage)

    status = play(steps)["status"]
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "collect"]
    assert condition_in(status)["reason"] == "OutOfMemory"


def test_a_pod_evicted_while_it_works_is_taken_away_and_its_stage_is_done_once_more(play, asked, kubectl, namespace):
    async def steps(stage):
        await stage.create(**asked)
        await eventually(lambda: _runs(stage, "prepare"), MINUTE)
        (pod,) = await _pods(stage)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        await stage.admin.create(_eviction(pod), stage.namespace, eviction)
        return await stage.until(lambda status: len(status["stages"]) > 1)

    first, second = play(steps)["status"]["stages"]
    assert (first["state"], first["reason"]) == ("Lost", "StageLost")
    assert (second["name"], second["attempt"]) == ("prepare", 2)


async def _ended(stage):
    """The item, when it has ended; a minute a stage is plenty."""

    async def seen():
        item = await stage.item()
        answered = condition_in(item.get("status", {})).get("status", "Unknown") != "Unknown"
        return item if answered else None

    return await eventually(seen, 6 * MINUTE)


async def _pods(stage, name="one"):
    listed = (await stage.admin.list(PODS, stage.namespace, f"isobench.dev/item={name}")).items
    return [pod for pod in listed if pod["status"]["phase"] in ("Pending", "Running")]


async def _runs(stage, at, name="one"):
    """Whether a container of the item's pod for that stage has started."""
    for pod in await _pods(stage, name):
        statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
        if pod["metadata"]["labels"]["isobench.dev/stage"] == at and any(s.get("started") for s in statuses):
            return True
    return False


async def _nothing_left(stage):
    kinds = (JOBS, PODS, CLAIMS)
    found = [item for kind in kinds for item in (await stage.admin.list(kind, stage.namespace)).items]
    return all("isobench.dev/item" not in item["metadata"].get("labels", {}) for item in found)


def _eviction(pod):
    return replace(PODS, plural=f"pods/{pod['metadata']['name']}/eviction")


def _stored(s3, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

"""Items on the real cluster: each comes to its record in the store, or to the sentence why there is none.

All of them run at the same time, and what became of them is looked at afterwards.
"""

import asyncio
import json
import re
import time
from dataclasses import replace

import pytest

from building.chart import CHART
from building.swift_history import TEST, write_history
from cluster.conftest import a_namespace
from cluster.operating import ROOT, administrator, eventually
from cluster.playing import Stage, condition_in, item_operator
from cluster.world import World
from isobench.controller.kinds import CLAIMS, ITEMS, JOBS, PODS

MINUTE = 60.0
PROVIDERS = CHART / "files" / "providers"
TINY = {"requests": {"memory": "12Mi"}, "limits": {"memory": "12Mi"}}
"""Too little for a Python that builds anything."""
HASTY = "hasty"
"""A second operator, which gives a pod one second to find a node."""


@pytest.fixture(scope="module")
def world(cluster, kubectl, tmp_path_factory):
    """A namespace, and a repository of a project whose commits are known."""
    cluster.load_images()
    kubectl("apply", "--filename", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "--filename", str(ROOT / "crds"), "--timeout=60s")
    history = write_history(tmp_path_factory.mktemp("swift") / "swift")
    with cluster.serve(history.path) as url, a_namespace(cluster) as namespace:
        yield World(cluster, namespace, kubectl, history, url)


@pytest.fixture(scope="module")
def told(world):
    """The items by name, as they are in the end."""

    async def played():
        kubeconfig, namespace = world.cluster.kubeconfig, world.namespace
        addresses = {"canary_address": world.canary(), "api_server_address": world.cluster.api_server_address}
        shared = world.cluster.settings | addresses
        impatient = shared | {"controller_name": namespace, "pull_seconds": 1, "configurations": PROVIDERS}
        hasty = shared | {"controller_name": HASTY, "release": HASTY, "pending_seconds": 1}
        async with (
            administrator(kubeconfig) as admin,
            item_operator(kubeconfig, namespace, **impatient),
            item_operator(kubeconfig, namespace, **hasty),
        ):
            stage = Stage(admin, namespace)
            stories = (
                recorded,
                on_a_shared_claim,
                unbuildable,
                greedy,
                without_image,
                without_secret,
                without_volume,
                evicted,
                without_its_pod,
                deleted,
            )
            found = await asyncio.gather(*(story(stage, world) for story in stories))
        return {story.__name__: item for story, item in zip(stories, found, strict=True)}

    return asyncio.run(played())


async def recorded(stage, world):
    await stage.create("recorded", **world.asked())
    item = await ended(stage, "recorded")

    async def volume_is_gone():
        claims = (await stage.admin.list(CLAIMS, stage.namespace, "isobench.dev/item=recorded")).items
        return not claims

    await eventually(volume_is_gone, 5 * MINUTE)
    return item


async def on_a_shared_claim(stage, world):
    size = {"requests": {"storage": "1Gi"}}
    # A volume of one node will do: this cluster has one, or its provisioner knows no other.
    claim = {"metadata": {"name": "shared"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": size}}
    await stage.admin.create(CLAIMS, stage.namespace, claim)
    await stage.create("on-a-shared-claim", **world.asked(workspace={"claimName": "shared"}))
    return await ended(stage, "on-a-shared-claim")


async def unbuildable(stage, world):
    await stage.create("unbuildable", **world.asked(commits={"head": world.history.unbuildable}))
    return await ended(stage, "unbuildable")


async def greedy(stage, world):
    await stage.create("greedy", **world.asked(environment={"resources": TINY}))
    return await ended(stage, "greedy")


async def without_image(stage, world):
    await stage.create("without-image", **world.asked(environment={"image": "isobench.test/no-such-image:1"}))
    return await ended(stage, "without-image")


async def without_secret(stage, world):
    generate = {"provider": "openai", "secretRef": {"name": "no-such-key"}, "budgetUsd": 2.0}
    await stage.create("without-secret", **world.asked(test={"generate": generate}))
    return await ended(stage, "without-secret")


async def without_volume(stage, world):
    workspace = {"storageClassName": "no-such-class", "size": "1Gi"}
    await stage.create("without-volume", **world.asked(HASTY, workspace=workspace))
    return await stage.until(lambda status: _state(status) == "Lost", "without-volume", 5 * MINUTE)


async def evicted(stage, world):
    async def evict(name):
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        await stage.admin.create(replace(PODS, plural=f"pods/{name}/eviction"), stage.namespace, eviction)

    return await robbed(stage, world, "evicted", evict)


async def without_its_pod(stage, world):
    return await robbed(stage, world, "without-its-pod", lambda name: stage.admin.delete(PODS, stage.namespace, name))


async def robbed(stage, world, name, take):
    """The item that has lost its first pod by ``take``, once its stage is to be done again."""
    await stage.create(name, **world.asked())
    (pod,) = await eventually(lambda: running(stage, "prepare", name), 5 * MINUTE)
    await take(pod["metadata"]["name"])
    item = await stage.until(lambda status: len(status["stages"]) > 1, name, 5 * MINUTE)
    await stage.admin.delete(ITEMS, stage.namespace, name)
    return item


async def deleted(stage, world):
    """One item in each of three stages: in how many seconds nothing of it was left."""

    async def deleted_in(at):
        await stage.create(at, **world.asked())
        await eventually(lambda: running(stage, at, at), 10 * MINUTE)
        since = time.monotonic()
        await stage.admin.delete(ITEMS, stage.namespace, at)
        await eventually(lambda: _nothing_of(stage, at), 5 * MINUTE)
        return {at: time.monotonic() - since}

    async def not_as_the_first():
        # A cluster's collector learns of kinds as new as ours may be here within half a minute.
        return await deleted_in("timing") | await deleted_in("prepare")

    later, last = await asyncio.gather(not_as_the_first(), deleted_in("collect"))
    return later | last


def test_an_offline_item_comes_to_a_record_in_the_store(told, world, s3):
    status = told["recorded"]["status"]
    assert condition_in(status)["reason"] == "Recorded"
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "timing", "collect"]
    assert "result" in status, "which verdict it is, the machine's noise decides"
    assert condition_in(status, "RecordStored")["status"] == "True"
    record = json.loads(_stored(s3, status["artifacts"]["recordUri"]))
    assert (record["repo"], record["head_commit"]) == ("fast/swift", world.history.merged)
    assert record["efficiency_test"] == [TEST]


def test_an_item_with_a_directory_on_a_shared_claim_comes_to_its_record_too(told):
    status = told["on_a_shared_claim"]["status"]
    assert condition_in(status)["reason"] == "Recorded"
    assert condition_in(status, "RecordStored")["status"] == "True"


def test_its_timing_had_no_network_and_says_what_was_tried(told):
    isolated = condition_in(told["recorded"]["status"], "NetworkIsolated")
    assert isolated["status"] == "True"
    assert "canary" in isolated["message"]
    assert "API server" in isolated["message"]


def test_what_a_failed_item_left_is_stored_and_the_item_says_why(told, s3):
    status = told["unbuildable"]["status"]
    assert condition_in(status)["reason"] == "BuildFailed"
    assert "no compiler here" in condition_in(status)["message"]
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "collect"]
    assert b"no compiler here" in _stored(s3, status["artifacts"]["journalUri"])


@pytest.mark.own_cluster("an S3 server that has one address for pods and tests")
def test_a_person_reads_the_record_from_the_store(told, world, s3):
    shown = world.ask("record", "recorded")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == json.loads(_stored(s3, told["recorded"]["status"]["artifacts"]["recordUri"]))


@pytest.mark.parametrize(("stage", "shown"), [((), {"prepare", "collect"}), (("prepare",), {"prepare"})])
def test_a_person_reads_what_the_containers_of_a_failed_item_printed(told, world, stage, shown):
    logs = world.ask("logs", "unbuildable", *stage)
    assert logs.returncode == 0, logs.stderr
    lines = re.findall(r"^\[pod/unbuildable-(\w+)-\S+/(\w+)\] (.*)", logs.stdout, re.MULTILINE)
    assert {stage for stage, _, _ in lines} == shown
    built = "\n".join(line for stage, container, line in lines if (stage, container) == ("prepare", "stage"))
    assert "no compiler here" in built


def test_a_recorded_item_has_no_pods_to_read_and_its_journal_is_named(told, world):
    logs = world.ask("logs", "recorded")
    kept = told["recorded"]["status"]["artifacts"]["journalUri"]
    assert (logs.returncode, logs.stderr) == (
        2, f"isobench: recorded: has no pod any more; its journal is at {kept}\n"
    )  # fmt: skip


def test_an_environment_killed_for_its_memory_says_so_and_is_not_tried_again(told):
    status = told["greedy"]["status"]
    assert [stage["name"] for stage in status["stages"]] == ["prepare", "collect"]
    assert condition_in(status)["reason"] == "OutOfMemory"


def test_an_image_that_is_nowhere_ends_the_item_and_is_named(told):
    outcome = condition_in(told["without_image"]["status"])
    assert outcome["reason"] == "ImageUnavailable"
    assert "isobench.test/no-such-image:1" in outcome["message"]


def test_a_paid_stage_whose_secret_is_nowhere_names_it_and_costs_nothing(told):
    """As its kubelet said at the pod's end: the container never began."""
    status = told["without_secret"]["status"]
    assert [(stage["name"], stage["state"]) for stage in status["stages"]][1] == ("generate", "Failed")
    assert condition_in(status)["reason"] == "InvalidSpec"
    assert 'secret "no-such-key" not found; nothing was spent' in condition_in(status)["message"]
    assert status["cost"].get("measuredUsd", 0) == 0


def test_a_volume_that_is_never_bound_ends_the_attempt_and_is_named(told):
    (first, *_) = told["without_volume"]["status"]["stages"]
    assert first["reason"] == "StageTimedOut"
    assert "PersistentVolumeClaim" in first["message"]


@pytest.mark.parametrize("taken", ["evicted", "without_its_pod"])
def test_a_pod_evicted_or_deleted_while_it_works_has_its_stage_done_once_more(told, taken):
    first, second = told[taken]["status"]["stages"]
    assert (first["state"], first["reason"]) == ("Lost", "StageLost")
    assert (second["name"], second["attempt"]) == ("prepare", 2)


def test_an_item_deleted_while_it_is_worked_on_leaves_nothing_after_half_a_minute(told):
    took = told["deleted"]
    assert took.keys() == {"prepare", "timing", "collect"}
    assert max(took.values()) <= MINUTE / 2, took


async def ended(stage, name):
    """The item, when it has ended."""

    async def seen():
        item = await stage.item(name)
        answered = condition_in(item.get("status", {})).get("status", "Unknown") != "Unknown"
        return item if answered else None

    return await eventually(seen, 10 * MINUTE)


async def running(stage, at, name):
    """The item's pods for that stage of which a container has started."""
    listed = (await stage.admin.list(PODS, stage.namespace, f"isobench.dev/item={name},isobench.dev/stage={at}")).items
    return [pod for pod in listed if any(container.get("started") for container in _containers(pod))]


def _containers(pod):
    return pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])


async def _nothing_of(stage, name):
    if await stage.item(name) is not None:
        return False
    for kind in (JOBS, PODS, CLAIMS):
        if (await stage.admin.list(kind, stage.namespace, f"isobench.dev/item={name}")).items:
            return False
    return True


def _state(status):
    return status.get("stages", [{}])[0].get("state")


def _stored(s3, uri):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()

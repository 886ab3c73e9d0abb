"""The sweep of a shared claim on the real cluster: folders of items that are gone go, whoever made them."""

import json
import secrets
from datetime import UTC, datetime

import pytest

from building.objects import item
from cluster.conftest import a_namespace
from cluster.waiting import wait_until
from isobench.controller.item import Item
from isobench.controller.jobs.containers import Container, Pod
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.jobs.sweep import sweep_job
from isobench.controller.jobs.volumes import mounted, workspace
from isobench.controller.settings import ControllerSettings

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "shared"},
    # A volume of one node will do: one pod after the other has it.
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
WORKS = """
import pathlib
workspace = pathlib.Path("/workspace")
(workspace / "environments" / "a").mkdir(parents=True)
(workspace / "environments" / "a" / "file").write_text("kept")
(workspace / "environments" / "a").chmod(0o500)
(workspace / "shut").mkdir(mode=0)
"""
"""What an item leaves, some of it closed to everybody."""
WITHOUT_MARGIN = """
from isobench.worker import __main__, sweep
sweep.MARGIN_SECONDS = -3600.0
raise SystemExit(__main__.main())
"""
"""Takes folders that are younger than ten minutes too: no test waits for so long."""


@pytest.fixture(scope="module")
def settings(cluster):
    cluster.load_images()
    return ControllerSettings(**cluster.settings)


@pytest.fixture(scope="module")
def place(cluster):
    """A namespace with a claim that items share."""
    with a_namespace(cluster) as name:
        cluster.kubectl("apply", "-n", name, "-f-", input=json.dumps(CLAIM))
        yield name


@pytest.fixture(scope="module")
def kept(cluster, settings, place):
    """Two items that have worked on the claim, one after the other, and the one that there still is."""
    items = [item(name, workspace={"claimName": "shared"}) for name in ("gone", "stays")]
    for one in items:
        one["metadata"] |= {"namespace": place, "uid": f"{secrets.token_hex(4)}-0000-4000-8000-000000000000"}
        work(cluster.kubectl, Item.read(one), settings)
    return items[1]


@pytest.fixture(scope="module")
def swept(cluster, settings, place, kept):
    """What the sweep said when it was done twice."""
    job = sweep_job(place, "shared", [kept], datetime.now(UTC), settings)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["command"] = ["python3", "-c", WITHOUT_MARGIN]
    name, said = job["metadata"]["name"], []
    for number in (1, 2):
        job["metadata"]["name"] = f"{name}-{number}"
        said.append(run(cluster.kubectl, place, job))
    return said


def work(kubectl, one, settings):
    """A pod writes into the item's folder, which its kubelet makes, as the pods of an item do."""
    container = Container("stage", settings.worker_image, SUPERVISOR, ("python3", "-c", WORKS), mounts=mounted(one))
    pod = Pod([container], {"app": one.name}, 300, [workspace(one)]).manifest(settings)
    manifest = {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": {"name": one.name}}
    kubectl("apply", "-n", one.namespace, "-f-", input=json.dumps(manifest))
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", "-n", one.namespace, f"pod/{one.name}", ended, "--timeout=180s")


def run(kubectl, place, job):
    """What the Job's pod said at its end."""
    kubectl("apply", "-n", place, "-f-", input=json.dumps(job))
    selector = ("-n", place, "pods", f"--selector=job-name={job['metadata']['name']}", "-o", "json")

    def endings():
        pods = json.loads(kubectl("get", *selector))["items"]
        states = [status["state"] for pod in pods for status in pod["status"].get("containerStatuses", ())]
        return [state["terminated"] for state in states if "terminated" in state]

    wait_until(lambda: bool(endings()), "the sweep to end", 180)
    (ended,) = endings()
    assert "message" in ended, ended
    return json.loads(ended["message"])


def test_what_a_kubelet_made_for_an_item_that_is_gone_is_removed(swept):
    first, _ = swept
    assert (first["succeeded"], first["facts"]) == (True, {"removed": 1}), first


def test_the_folder_of_an_item_that_there_is_stays(swept):
    _, again = swept
    assert (again["succeeded"], again["facts"]) == (True, {"removed": 0}), again

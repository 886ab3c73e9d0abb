"""The chart on the real cluster: installed, self-tested, upgraded and rolled back under a benchmark, removed."""

import contextlib
import json
import secrets
import shutil
import subprocess

import pytest
import yaml

from building.chart import Chart, Refused, Release, helm_program
from building.swift_history import TEST, write_history
from cluster.conftest import BUCKET, STORE_SECRET
from cluster.waiting import wait_until

MINUTES = 60.0
KINDS = ("commitbenchmarks", "commitbenchmarkbatches")


@pytest.fixture(scope="module", autouse=True)
def _images(cluster):
    cluster.load_images()


@pytest.fixture(scope="module")
def release(cluster, kubectl):
    """The chart, installed with two replicas into a namespace that enforces restricted Pod Security."""
    with installed(cluster, kubectl) as made:
        yield made


@contextlib.contextmanager
def installed(cluster, kubectl, **chosen):
    """A release with these values beside those of `values`, until the block ends."""
    place = f"isobench-{secrets.token_hex(3)}"
    made = Release(Chart(helm_program()), cluster.plane.kubeconfig, namespace=place)
    kubectl("create", "namespace", place)
    kubectl("label", "namespace", place, "pod-security.kubernetes.io/enforce=restricted")
    adopt_definitions(kubectl, made)
    made.install(values(made) | chosen, "--wait", "--timeout=120s")
    yield made
    with contextlib.suppress(Refused):
        made.uninstall()
    kubectl("delete", "namespace", place, "--wait=false")


def adopt_definitions(kubectl, release):
    """Make definitions that are there the release's, as docs/operating/upgrades.md says."""
    for kind in KINDS:
        there = ("crd", f"{kind}.isobench.dev", "--overwrite")
        if kubectl("get", *there[:2], "--ignore-not-found"):
            kubectl("label", *there, "app.kubernetes.io/managed-by=Helm")
            owner = f"meta.helm.sh/release-name={release.name}"
            kubectl("annotate", *there, owner, f"meta.helm.sh/release-namespace={release.namespace}")


def values(release, **operator):
    """A release of the images under test that serves objects of its own only."""
    images = {"tag": "dev", "pullPolicy": "Never"}
    own = {"controllerName": release.namespace, "priorityClasses": {"create": False}}
    return own | {"images": images, "operator": operator}


@pytest.fixture
def held(cluster, release, namespace, kubectl, tmp_path):
    """A benchmark that is in its first stage until this is called: it waits for the ConfigMap with its test."""
    history = write_history(tmp_path / "swift")
    key = secrets.token_hex(4)
    repository = cluster.git_folder / key / "fast" / "swift.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", history.path, repository], check=True)
    spec = {
        "controllerName": release.namespace,
        "repository": {"url": f"{cluster.git_url}/{key}/fast/swift.git"},
        "commits": {"head": history.merged},
        "test": {"configMapKeyRef": {"name": "held", "key": "test.py"}},
        "timing": {"warmup": 0, "minPairs": 8, "maxPairs": 8},
        "output": {
            "store": f"s3://{BUCKET}/{namespace}",
            "endpoint": cluster.s3_endpoint,
            "secretRef": {"name": STORE_SECRET},
        },
    }
    kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": {"name": "held"}}
    kubectl("apply", "--namespace", namespace, "-f", "-", input=yaml.safe_dump(kind | {"spec": spec}))
    wait_until(lambda: kubectl("get", "pods", "-n", namespace, "--output", "name"), "the first stage's pod")
    (tmp_path / "test.py").write_text(TEST)
    yield lambda: kubectl("create", "configmap", "held", f"--from-file={tmp_path / 'test.py'}", "-n", namespace)
    shutil.rmtree(cluster.git_folder / key)


def item(kubectl, namespace):
    return json.loads(kubectl("get", "cb", "held", "--namespace", namespace, "--output", "json"))


def outcome(kubectl, namespace):
    conditions = item(kubectl, namespace).get("status", {}).get("conditions", [])
    return next((c["reason"] for c in conditions if c["type"] == "Succeeded" and c["status"] != "Unknown"), None)


def rolled_out(kubectl, release):
    """Every replica is of the newest revision and ready."""
    kubectl("rollout", "status", "deployment/isobench-operator", "-n", release.namespace, "--timeout=120s")


def test_a_tiny_benchmark_runs_through_every_stage(release):
    said = release.test("--timeout=500s")
    assert "Recorded" in said
    assert "record.json" in said


def test_with_roles_only_a_tenant_is_served_behind_the_charts_policies(cluster, kubectl):
    team = f"team-{secrets.token_hex(3)}"
    tenants = [{"namespace": team, "create": True, "quota": {"pods": "20"}}]
    with installed(cluster, kubectl, scope="tenants", tenants=tenants, crds={"install": False}) as release:
        assert "Recorded" in release.test("--timeout=500s")
        assert release.namespace not in kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    kubectl("delete", "namespace", team, "--wait=false")


def test_a_benchmark_in_flight_survives_an_upgrade_and_a_rollback(release, held, kubectl, namespace, s3):
    release.upgrade(values(release, workers=3))
    rolled_out(kubectl, release)
    release.rollback()
    rolled_out(kubectl, release)
    held()
    wait_until(lambda: outcome(kubectl, namespace), "the benchmark to end", 5 * MINUTES)
    assert outcome(kubectl, namespace) == "Recorded"
    attempts = [(stage["name"], stage["attempt"]) for stage in item(kubectl, namespace)["status"]["stages"]]
    assert attempts == [("prepare", 1), ("timing", 1), ("collect", 1)]


def test_uninstalling_leaves_benchmarks_and_definitions(release, kubectl, namespace):
    written = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": {"name": "stays"}}
    output = {"store": f"s3://{BUCKET}/{namespace}", "secretRef": {"name": STORE_SECRET}}
    spec = {"repository": {"url": "https://host.example/r.git"}, "commits": {"head": "a" * 40}, "output": output}
    kubectl("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(written | {"spec": spec | {"suspend": True}}))
    release.uninstall()
    assert "stays" in kubectl("get", "cb", "--namespace", namespace)
    assert not kubectl("get", "deployments", "--namespace", release.namespace, "--output", "name")
    backup = kubectl("get", "commitbenchmarks,commitbenchmarkbatches", "--all-namespaces", "--output", "yaml")
    assert "name: stays" in backup

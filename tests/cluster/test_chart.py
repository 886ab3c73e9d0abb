"""The chart on the real cluster: installed, self-tested, upgraded and rolled back under a benchmark, removed."""

import contextlib
import json
import os
import re
import secrets
import subprocess
from pathlib import Path

import pytest
import yaml

from building.chart import Chart, Refused, Release, helm_program
from building.swift_history import TEST, write_history
from cluster import binaries
from cluster.conftest import BUCKET, STORE_SECRET
from cluster.releases import adopt_definitions, installed, values
from cluster.waiting import wait_until

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
(ON_A_CLUSTER,) = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "helm install" in block]
TEAM = "team-a"

MINUTES = 60.0


@pytest.fixture
def history(cluster, tmp_path):
    """A history of known commits on the cluster's git server, and its address there."""
    written = write_history(tmp_path / "swift")
    with cluster.serve(written.path) as url:
        yield written, url


@pytest.fixture
def asked(cluster, history, namespace):
    """What an item or a template asks for: the repository, quick timing, records below the namespace's name."""
    return {
        "repository": {"url": history[1]},
        "timing": {"warmup": 0, "minPairs": 8, "maxPairs": 8},
        "output": {
            "store": f"s3://{BUCKET}/{namespace}",
            "endpoint": cluster.s3_endpoint,
            "secretRef": {"name": STORE_SECRET},
        },
    }


@pytest.fixture
def held(release, asked, history, namespace, kubectl, tmp_path):
    """A benchmark that is in its first stage until this is called: it waits for the ConfigMap with its test."""
    test = {"configMapKeyRef": {"name": "held", "key": "test.py"}}
    own = {"controllerName": release.namespace, "commits": {"head": history[0].merged}, "test": test}
    kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": {"name": "held"}}
    kubectl("apply", "--namespace", namespace, "-f", "-", input=yaml.safe_dump(kind | {"spec": asked | own}))
    wait_until(lambda: kubectl("get", "pods", "-n", namespace, "--output", "name"), "the first stage's pod")
    (tmp_path / "test.py").write_text(TEST)
    return lambda: kubectl("create", "configmap", "held", f"--from-file={tmp_path / 'test.py'}", "-n", namespace)


def found(kubectl, kind, name, namespace):
    return json.loads(kubectl("get", kind, name, "--namespace", namespace, "--output", "json"))


def ended(kubectl, kind, name, namespace):
    """The reason of its end, once it has ended."""
    conditions = found(kubectl, kind, name, namespace).get("status", {}).get("conditions", [])
    return next((c["reason"] for c in conditions if c["type"] == "Succeeded" and c["status"] != "Unknown"), None)


def rolled_out(kubectl, release):
    """Every replica is of the newest revision and ready."""
    kubectl("rollout", "status", "deployment/isobench-operator", "-n", release.namespace, "--timeout=120s")


def test_a_tiny_benchmark_runs_through_every_stage(release):
    said = release.test("--timeout=500s")
    assert "Recorded" in said
    assert "record.json" in said


def test_with_roles_only_a_tenant_is_served_behind_the_charts_policies(cluster, release, kubectl):
    team = f"team-{secrets.token_hex(3)}"
    tenants = [{"namespace": team, "create": True, "quota": {"pods": "20"}}]
    chosen = {"scope": "tenants", "tenants": tenants, "crds": {"install": False}}
    try:
        with installed(cluster, **chosen) as made:
            assert "Recorded" in made.test("--timeout=500s")
            assert made.namespace not in kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    finally:
        kubectl("delete", "namespace", team, "--wait=false")


def test_a_benchmark_in_flight_survives_an_upgrade_and_a_rollback(cluster, release, held, kubectl, namespace):
    adopt_definitions(cluster, release)  # another test's release may have had them since
    release.upgrade(values(cluster, release, workers=3))
    rolled_out(kubectl, release)
    release.rollback()
    rolled_out(kubectl, release)
    held()
    wait_until(lambda: ended(kubectl, "cb", "held", namespace), "the benchmark to end", 5 * MINUTES)
    assert ended(kubectl, "cb", "held", namespace) == "Recorded"
    stages = found(kubectl, "cb", "held", namespace)["status"]["stages"]
    assert [(stage["name"], stage["attempt"]) for stage in stages] == [("prepare", 1), ("timing", 1), ("collect", 1)]


@pytest.fixture
def team(cluster, kubectl):
    """The namespace of README's team, with the store's keys; the release of README is gone at the end."""
    made = Release(Chart(helm_program()), cluster.kubeconfig)
    adopt_definitions(cluster, made)
    kubectl("create", "namespace", TEAM)
    keys = [f"--from-literal={name}={value}" for name, value in cluster.s3_credentials.items()]
    kubectl("create", "secret", "generic", STORE_SECRET, "--namespace", TEAM, *keys)
    yield made
    with contextlib.suppress(Refused):
        made.uninstall()
    kubectl("delete", "namespace", TEAM, made.namespace, "--wait=false")


@pytest.mark.own_cluster("a cluster without another release")
def test_readmes_commands_come_to_records_and_uninstalling_leaves_them(
    cluster, release, team, asked, history, kubectl, s3, namespace, tmp_path
):
    kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmarkBatch", "metadata": {"name": "first"}}
    template = asked | {"test": {"inline": TEST}}
    spec = {"commits": [{"head": history[0].merged}, {"head": history[0].faster}], "template": template}
    (tmp_path / "batch.yaml").write_text(yaml.safe_dump(kind | {"spec": spec}))
    (tmp_path / "charts").symlink_to(Path(__file__).parents[2] / "charts")
    variables = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{binaries.folder()}:{os.environ['PATH']}",
    }
    command = ["bash", "-euo", "pipefail", "-c", ON_A_CLUSTER]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "commitbenchmarkbatch.isobench.dev/first" in done.stdout
    wait_until(lambda: ended(kubectl, "cbb", "first", TEAM), "the batch to end", 10 * MINUTES)
    dataset = s3.get_object(Bucket=BUCKET, Key=f"{namespace}/first/dataset.jsonl")["Body"].read().decode()
    heads = {json.loads(line)["head_commit"] for line in dataset.splitlines()}
    assert heads == {history[0].merged, history[0].faster}
    team.uninstall()
    assert not kubectl("get", "deployments", "--namespace", team.namespace, "--output", "name")
    backup = kubectl("get", "commitbenchmarks,commitbenchmarkbatches", "--all-namespaces", "--output", "yaml")
    assert "name: first" in backup

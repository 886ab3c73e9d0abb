"""The demo on the cluster beside the same batch on this machine: the same records, but for what was measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster import binaries
from cluster.conftest import BUCKET
from cluster.waiting import wait_until

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "config" / "samples" / "batch-demo.yaml"
MEASURED = {"duration_changes", "human_performance", "version", "measurement"}
LARGE_EFFECTS = ("idna-contextj", "jinja2-urlize")
"""Pairs whose fix is worth far more than any noise: only their verdicts are compared."""


@pytest.fixture(scope="module")
def batch(cluster):
    """The sample, with its repositories on the cluster's git server."""
    folder = binaries.CACHE / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    script = ROOT / "scripts" / "demo" / "on_cluster.py"
    subprocess.run(
        [sys.executable, script, cluster.git_folder, "--write", folder / "batch.yaml"], cwd=folder, check=True
    )
    return yaml.safe_load(SAMPLE.read_text())


def test_the_sample_is_what_the_demo_writes(batch):
    assert SAMPLE.read_text() == (binaries.CACHE / "demo" / "batch.yaml").read_text()


@pytest.mark.timeout(1500)
def test_cluster_and_machine_write_the_same_records(cluster, release, batch, namespace, kubectl, s3, tmp_path):
    local = start_locally(batch, tmp_path)
    on_cluster = json.loads(json.dumps(batch))
    template = on_cluster["spec"]["template"]
    template |= {"controllerName": release.namespace}
    template["output"]["store"] = f"s3://{BUCKET}/{namespace}"
    kubectl("apply", "-n", namespace, "-f-", input=yaml.safe_dump(on_cluster))
    assert local.wait(1200) == 0, (tmp_path / "log").read_text()
    wait_until(lambda: is_over(cluster, namespace), "the batch to end", 1200)
    dataset = s3.get_object(Bucket=BUCKET, Key=f"{namespace}/demo/dataset.jsonl")["Body"].read().decode()
    (found, expected) = by_head(dataset), by_head((tmp_path / "data" / "demo.jsonl").read_text())
    assert len(expected) == len(batch["spec"]["commits"])
    assert [unmeasured(found.get(head, {})) for head in expected] == [unmeasured(row) for row in expected.values()]
    assert large_verdicts(found) == large_verdicts(expected) == ["faster"] * len(LARGE_EFFECTS)


def start_locally(batch, folder):
    """`isobench run` of the same batch, with records in a file."""
    mine = json.loads(json.dumps(batch))
    del mine["spec"]["template"]["output"]
    (folder / "batch.yaml").write_text(yaml.safe_dump(mine))
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "isobench", "run", "batch.yaml"]
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def is_over(cluster, namespace):
    path = f"/apis/isobench.dev/v1alpha1/namespaces/{namespace}/commitbenchmarkbatches/demo"
    conditions = cluster.client.call("GET", path).get("status", {}).get("conditions", [])
    return any(condition["type"] == "Succeeded" and condition["status"] != "Unknown" for condition in conditions)


def by_head(lines):
    rows = [json.loads(line) for line in lines.splitlines()]
    return {row["head_commit"]: row for row in sorted(rows, key=lambda row: row["repo"])}


def unmeasured(row):
    """What does not depend on how long something took; a run's folder is named after its start."""
    paths = {arm: Path(path).parts[-2:] for arm, path in row.get("api_manifest_paths", {}).items()}
    return {key: value for key, value in row.items() if key not in MEASURED} | {"api_manifest_paths": paths}


def large_verdicts(rows):
    return [row["measurement"]["verdict"] for row in rows.values() if row["repo"].endswith(LARGE_EFFECTS)]

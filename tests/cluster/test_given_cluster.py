"""Tests on somebody else's cluster: which of them run there, and that nothing of theirs stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.given_cluster import VARIABLE, GivenCluster, Unfit
from cluster.servers_pod import NAME

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")

HERE = Path(__file__).parent


def run(kubeconfig, *arguments):
    """What pytest says of these arguments with that cluster."""
    variables = os.environ | {VARIABLE: str(kubeconfig)}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def collected():
    return run("/no/such/kubeconfig", "--collect-only", HERE).stdout


def test_what_needs_the_cluster_made_here_is_left_out_and_one_line_says_why(collected):
    (line,) = [line for line in collected.splitlines() if "left out" in line]
    assert "an API server without a kubelet (" in line
    for left_out in ("test_items.py", "test_node_gone.py", "test_operator_kills.py", "test_given_cluster.py"):
        assert left_out not in collected


def test_what_needs_nodes_and_the_chart_only_is_not(collected):
    for there in ("test_one_item.py", "test_pods.py", "test_chart.py", "test_crds.py", "test_samples.py"):
        assert there in collected


def test_they_pass_on_a_cluster_that_is_given_and_leave_nothing(cluster, kubectl):
    cluster.load_images()
    said = run(cluster.kubeconfig, HERE / "test_cluster.py", HERE / "test_samples.py")
    assert said.returncode == 0, said.stdout + said.stderr
    assert kubectl("get", "pods", "--all-namespaces", f"--field-selector=metadata.name={NAME}", "-o", "name") == ""


def test_a_store_without_its_keys_is_said(tmp_path):
    cluster = GivenCluster(tmp_path, tmp_path, "test", variables={"STORE": "https://s3.example"})
    with pytest.raises(Unfit, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        _ = cluster.s3_credentials

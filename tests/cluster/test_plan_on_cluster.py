"""`isobench plan | kubectl apply -f -` with thousands of commits, on a real API server."""

import json
import subprocess
import sys

import pytest
import yaml

COUNT = 5000


@pytest.fixture(scope="module")
def kinds(kinds_anywhere):
    return kinds_anywhere


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """What `isobench plan` prints for so many commits; nothing of the repository is read."""
    folder = tmp_path_factory.mktemp("plan")
    lines = (f"{head:040x} {head + COUNT:040x}" for head in range(1, COUNT + 1))
    (folder / "commits.txt").write_text("\n".join(lines))
    command = [sys.executable, "-m", "isobench", "plan", "--repo", "https://host.example/owner/large.git"]
    command += ["--commits", "commits.txt", "--budget-usd", "500", "--parallelism", "50", "-o", "-"]
    command += ["--store", "s3://records/large", "--store-secret", "store"]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_large_plan_is_several_batches_that_share_the_first_ones_budget(planned):
    batches = list(yaml.safe_load_all(planned))
    assert [batch["metadata"]["name"] for batch in batches] == [f"large-{number}" for number in range(1, 6)]
    assert [len(batch["spec"]["commits"]) for batch in batches] == [1000] * 5
    assert [batch["spec"].get("budgetUsd") for batch in batches] == [500] + [None] * 4
    assert [batch["spec"].get("budgetRef") for batch in batches] == [None] + ["large-1"] * 4


def test_plain_apply_takes_it_and_applying_it_again_changes_nothing(kinds, planned):
    assert kinds.kubectl("apply", "-f", "-", input=planned).count(" created") == 5
    try:
        assert kinds.kubectl("apply", "-f", "-", input=planned).count(" unchanged") == 5
        there = json.loads(kinds.kubectl("get", "cbb", "large-1", "-o", "json"))
        assert len(there["spec"]["commits"]) == 1000
        kept = there["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
        assert len(kept) < 256 * 1024, "what client-side apply keeps has to fit into an annotation"
    finally:
        kinds.kubectl("delete", "cbb", "--all", "--wait=false")

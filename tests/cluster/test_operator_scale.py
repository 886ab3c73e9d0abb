"""The benchmark of the operator works: Jobs alone, the floor and the operator take items through on fake nodes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench" / "operator_scale.py"
ITEMS = 4
OWN_WRITES = 10
"""Three Jobs, four statuses, a claim made and deleted, and its pods at last."""


@pytest.mark.timeout(900)
def test_the_benchmark_takes_items_through_in_three_ways():
    flags = ["--items", str(ITEMS), "--limits", "raised", "--claims", "own"]
    told = subprocess.run([sys.executable, SCRIPT, *flags], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = json.loads(told.splitlines()[-1])
    assert [row["what"] for row in rows] == ["Jobs alone", "floor", "operator"]
    assert all(row["items_a_second"] > 0 and row["p99_ms"] >= row["p50_ms"] > 0 for row in rows)
    beyond = (rows[-1]["writes"] - OWN_WRITES) * ITEMS
    assert 1 <= beyond < ITEMS, "the namespace's policy; not one more of each item"
    assert rows[-1]["peak_mb"] > 0
    assert rows[-1]["cpu_seconds"] > 0

"""`kubectl isobench` by the real kubectl against a real API server: each answer that a person asks for."""

import json
import secrets
from functools import partial

import pytest

from cluster.kubectl import isobench
from cluster.refusals import batch, item

NAMESPACE = f"test-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def kinds(kinds_anywhere):
    return kinds_anywhere


def condition(status, reason, message=""):
    return {"type": "Succeeded", "status": status, "reason": reason, "message": message}


STATUSES = {
    "recorded": {
        "conditions": [condition("True", "Recorded", "the record is stored")],
        "result": {"verdict": "faster", "speedup": 1.25},
        "cost": {"measuredUsd": 0.5, "promptTokens": 1500, "completionTokens": 200},
    },
    "failed": {
        "conditions": [condition("False", "BuildFailed", "head aaaaaaa: pip ended with 1")],
        "stages": [
            {"name": "prepare", "attempt": 1, "state": "Failed", "reason": "BuildFailed", "message": "pip ended with 1"}
        ],
    },
    "waits": {
        "conditions": [condition("Unknown", "prepare")],
        "waiting": {"why": "NamespaceItems", "position": 3, "message": "10 items of the namespace plugin run"},
    },
}


@pytest.fixture(scope="module")
def plugin(kinds, tmp_path_factory):
    """Runs `kubectl isobench`, in a namespace with a batch of two items and an item without one."""
    kinds.kubectl("create", "namespace", NAMESPACE)
    _create(kinds, batch("nightly", budgetUsd=20), _batch_status())
    uid = kinds.kubectl("get", "cbb", "nightly", "-n", NAMESPACE, "-o", "jsonpath={.metadata.uid}")
    for name, status in STATUSES.items():
        made = item(name)
        if name != "waits":
            owner = {"apiVersion": made["apiVersion"], "kind": "CommitBenchmarkBatch", "name": "nightly", "uid": uid}
            made["metadata"]["ownerReferences"] = [owner]
        _create(kinds, made, _with_record(tmp_path_factory, name, status))
    yield partial(isobench, kinds.kubeconfig, NAMESPACE)
    kinds.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def _batch_status():
    return {
        "conditions": [condition("Unknown", "Running", "1 of 3 recorded, 1 BuildFailed")],
        "total": 3, "done": 1, "failed": 1, "running": 1, "spentUsd": 2.5, "reservedUsd": 3,
        "reasons": {"Recorded": 1, "BuildFailed": 1}, "waiting": {"why": "Budget"},
    }  # fmt: skip


def _with_record(folders, name, status):
    if name != "recorded":
        return status
    kept = folders.mktemp("store") / "record.json"
    kept.write_text('{"repo": "owner/name"}')
    return status | {"artifacts": {"recordUri": kept.as_uri()}}


def _create(kinds, made, status):
    made["metadata"]["namespace"] = NAMESPACE
    kinds.kubectl("create", "-f", "-", input=json.dumps(made))
    kind = "cb" if made["kind"] == "CommitBenchmark" else "cbb"
    patch = ("patch", kind, made["metadata"]["name"], "-n", NAMESPACE, "--subresource=status", "--type=merge")
    kinds.kubectl(*patch, "-p", json.dumps({"status": status}))


def lines(answer):
    assert answer.returncode == 0, answer.stderr
    return [line.split("   ") for line in answer.stdout.splitlines()]


def cells(line):
    return [cell.strip() for cell in line if cell.strip()]


def test_status_shows_batches_and_items_without_one(plugin):
    shown = [cells(line) for line in lines(plugin("status")) if cells(line)]
    assert shown[0][:4] == ["BATCH", "STATE", "ENDED", "FAILED"]
    assert shown[1] == ["nightly", "Running", "2/3", "1", "1", "$2.50", "$20.00", "Budget"]
    assert shown[3] == ["waits", "prepare", "$0.00", "NamespaceItems (3)"]


def test_status_of_a_batch_says_what_failed_and_what_to_do(plugin):
    answer = plugin("status", "nightly")
    assert "1 of 3 recorded, 1 BuildFailed" in answer.stdout
    assert "1 BuildFailed: read the last lines; give installCommands or another Python" in answer.stdout


def test_why_says_what_happened_and_what_is_next(plugin):
    told = plugin("why", "failed").stdout.splitlines()
    assert told[0] == "BuildFailed: head aaaaaaa: pip ended with 1"
    assert "  prepare 1: Failed BuildFailed: pip ended with 1" in told
    assert told[-1] == "next: read the last lines; give installCommands or another Python"
    assert "waits: NamespaceItems, position 3: 10 items of the namespace plugin run" in plugin("why", "waits").stdout


def test_record_is_read_from_the_store(plugin):
    assert json.loads(plugin("record", "recorded").stdout) == {"repo": "owner/name"}
    refused = plugin("record", "failed")
    assert refused.returncode == 2
    assert refused.stderr == "isobench: failed: has no record; `kubectl isobench why failed` says why\n"


def test_retry_asks_for_an_item_that_ended_without_a_record(plugin, kinds):
    assert "is asked for again" in plugin("retry", "failed").stdout
    asked = kinds.kubectl(
        "get", "cb", "failed", "-n", NAMESPACE, "-o", r"jsonpath={.metadata.annotations.isobench\.dev/retry}"
    )
    assert asked.startswith("20")
    assert "is recorded; create another item" in plugin("retry", "recorded").stderr
    assert "has not ended (prepare)" in plugin("retry", "waits").stderr


def test_cost_adds_up_batches_and_items(plugin):
    rows = [cells(line) for line in lines(plugin("cost"))]
    assert rows[1] == ["nightly", "$2.50", "$3.00", "$20.00", "1,500", "200"]
    assert rows[2] == ["items without a batch", "$0.00", "0", "0"]
    assert rows[3] == ["together", "$2.50", "$3.00", "1,500", "200"]


def test_logs_of_an_item_whose_pods_are_gone_say_where_they_are_kept(plugin):
    refused = plugin("logs", "failed", "prepare")
    assert (refused.returncode, refused.stderr) == (
        2, "isobench: failed: has no pod of prepare any more; nothing is stored yet\n"
    )  # fmt: skip


def test_what_is_not_there_is_said_in_kubectls_words(plugin):
    refused = plugin("why", "nobody")
    assert refused.returncode == 2
    assert 'commitbenchmarks.isobench.dev "nobody" not found' in refused.stderr
    assert "Traceback" not in refused.stderr

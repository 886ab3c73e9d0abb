"""The kinds on a real API server: what it refuses and in which words, what may change, and what kubectl shows."""

import json
import re

import pytest

from cluster.refusals import BATCH_CHANGES, BATCHES, HEAD, ITEM_CHANGES, ITEMS, REPOSITORY, batch, item
from isobench.contracts.objects import BatchSpec
from isobench.contracts.spec import CommitBenchmarkSpec


@pytest.fixture(scope="module")
def kinds(kinds_anywhere):
    return kinds_anywhere


def apply(kinds, *objects, verb="create", dry=False):
    """What kubectl says of ``objects``, taken or not."""
    documents = "\n---\n".join(map(json.dumps, objects))
    return kinds.kubectl(verb, "-f", "-", *(["--dry-run=server"] if dry else []), input=documents, check=False)


def told(answer, name):
    """What ``answer`` says about the object called ``name``; an unknown field is said without a name."""
    parts = re.split(r"^(?=Error from server|The CommitBenchmark|commitbenchmark)", answer, flags=re.MULTILINE)
    named = [part for part in parts if f'"{name}"' in part or f"/{name} " in part]
    return "\n".join(named or [part for part in parts if "strict decoding error" in part])


@pytest.fixture(scope="module")
def refused(kinds):
    """What is said of every manifest that must not be taken; one call, because kubectl takes its time to start."""
    objects = [item(name, **spec) for name, (spec, _) in ITEMS.items()]
    objects += [batch(name, **spec) for name, (spec, _) in BATCHES.items()]
    return apply(kinds, *objects, dry=True)


@pytest.mark.parametrize(("name", "sentence"), [(name, said) for name, (_, said) in (ITEMS | BATCHES).items()])
def test_what_can_not_be_done_is_refused_with_a_sentence(refused, name, sentence):
    assert sentence in told(refused, name)


def test_there_are_enough_of_them_and_what_they_are_made_from_is_taken(kinds):
    assert len(ITEMS) + len(BATCHES) + len(ITEM_CHANGES) + len(BATCH_CHANGES) >= 30
    said = apply(kinds, item("fine"), batch("fine"), dry=True)
    assert told(said, "fine").count("created (server dry run)") == 2, said


@pytest.mark.parametrize(
    ("make", "kind", "changes"),
    [(item, "CommitBenchmark", ITEM_CHANGES), (batch, "CommitBenchmarkBatch", BATCH_CHANGES)],
)
def test_what_was_asked_for_can_not_be_changed(kinds, make, kind, changes):
    names = {field: f"changed-{field.lower()}" for field in changes}
    apply(kinds, *(make(name) for name in names.values()))
    answer = apply(kinds, *(make(names[field], **{field: value}) for field, value in changes.items()), verb="apply")
    for field, name in names.items():
        assert f"{field} can't be changed; create another {kind}" in told(answer, name), answer
    kinds.kubectl("delete", kind, *names.values(), "--wait=false")


def test_every_field_that_can_not_be_changed_was_tried():
    fixed = {field.alias for name, field in CommitBenchmarkSpec.model_fields.items()}
    assert set(ITEM_CHANGES) == fixed - {"suspend", "ttlSecondsAfterFinished"}
    fixed = {field.alias for name, field in BatchSpec.model_fields.items()}
    assert set(BATCH_CHANGES) == fixed - {"parallelism", "budgetUsd", "failFast", "suspend", "publish"}


def test_what_may_change_can_be_changed(kinds):
    apply(kinds, item("mutable"), batch("mutable", budgetUsd=5))
    kinds.kubectl(
        "patch", "cb", "mutable", "--type=merge", "-p", '{"spec":{"suspend":true,"ttlSecondsAfterFinished":60}}'
    )
    publish = {"repo": "lab/set", "secretRef": {"name": "hub"}}
    change = {"parallelism": 7, "budgetUsd": 9, "failFast": True, "suspend": True, "publish": publish}
    kinds.kubectl("patch", "cbb", "mutable", "--type=merge", "-p", json.dumps({"spec": change}))
    kept = json.loads(kinds.kubectl("get", "cbb", "mutable", "-o", "json"))["spec"]
    assert {name: kept[name] for name in change} == change | {"publish": publish | {"minRecords": 1, "private": True}}


def test_a_budget_can_not_go_below_what_is_spent_and_reserved(kinds):
    apply(kinds, batch("spent", budgetUsd=20))
    status = {"spentUsd": 4.5, "reservedUsd": 3}
    kinds.kubectl("patch", "cbb", "spent", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    below = kinds.kubectl("patch", "cbb", "spent", "--type=merge", "-p", '{"spec":{"budgetUsd":7}}', check=False)
    assert "budgetUsd can't go below what is spent and reserved; suspend the batch to stop it" in below
    assert "patched" in kinds.kubectl("patch", "cbb", "spent", "--type=merge", "-p", '{"spec":{"budgetUsd":7.5}}')


def test_an_item_that_is_applied_again_does_not_change(kinds):
    apply(kinds, item("again"), verb="apply")
    before = kinds.kubectl("get", "cb", "again", "-o", "jsonpath={.metadata.generation} {.metadata.resourceVersion}")
    assert "unchanged" in apply(kinds, item("again"), verb="apply")
    assert (
        kinds.kubectl("get", "cb", "again", "-o", "jsonpath={.metadata.generation} {.metadata.resourceVersion}")
        == before
    )


def test_status_is_written_apart_from_the_spec_and_the_other_way_round(kinds):
    apply(kinds, item("apart"))
    kinds.kubectl("patch", "cb", "apart", "--type=merge", "-p", '{"status":{"waiting":{"why":"Forged"}}}')
    assert kinds.kubectl("get", "cb", "apart", "-o", "jsonpath={.status}") == ""


def test_attempts_of_two_writers_are_merged_by_stage_and_number(kinds):
    apply(kinds, item("merged"))
    for manager, stage in (("one", "prepare"), ("two", "timing")):
        attempt = {"name": stage, "attempt": 1, "state": "Running"}
        part = item("merged")
        part["spec"] = None
        whole = {"apiVersion": part["apiVersion"], "kind": part["kind"], "metadata": part["metadata"]}
        kinds.kubectl(
            "apply", "--server-side", "--subresource=status", f"--field-manager={manager}", "-f", "-",
            input=json.dumps(whole | {"status": {"stages": [attempt]}}),
        )  # fmt: skip
    stages = json.loads(kinds.kubectl("get", "cb", "merged", "-o", "json"))["status"]["stages"]
    assert {stage["name"] for stage in stages} == {"prepare", "timing"}


def row(kinds, kind, name, *flags):
    """A line of `kubectl get` by its columns."""
    header, line = kinds.kubectl("get", kind, name, *flags).splitlines()[:2]
    places = [header.index(column) for column in header.split()] + [None]
    return {
        column: line[start:end].strip() for column, start, end in zip(header.split(), places, places[1:], strict=False)
    }


def test_get_says_of_an_item_what_it_does_what_it_cost_and_why_it_waits(kinds):
    apply(kinds, item("shown"))
    status = {
        "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "timing", "message": "12 of 160 pairs"}],
        "result": {"verdict": "faster", "speedup": 1.25},
        "cost": {"measuredUsd": 0.75},
        "waiting": {"why": "NamespaceItems", "position": 3},
    }
    kinds.kubectl("patch", "cb", "shown", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    shown = row(kinds, "cb", "shown")
    assert shown | {"AGE": ""} == {
        "NAME": "shown",
        "STATE": "timing",
        "VERDICT": "faster",
        "SPEEDUP": "1.25",
        "USD": "0.75",
        "WAITING": "NamespaceItems",
        "AGE": "",
    }
    wide = row(kinds, "cb", "shown", "-o", "wide")
    assert (wide["POSITION"], wide["HEAD"], wide["REPOSITORY"]) == ("3", HEAD, REPOSITORY["url"])
    assert wide["MESSAGE"] == "12 of 160 pairs"


def test_get_says_of_a_batch_how_far_it_is_what_it_cost_and_why_it_waits(kinds):
    apply(kinds, batch("shown", budgetUsd=20))
    status = {
        "total": 10, "running": 2, "done": 5, "failed": 1, "spentUsd": 7.25, "reservedUsd": 3,
        "finishedBy": "2026-01-01T12:00:00Z", "waiting": {"why": "Budget"},
        "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Running"}],
    }  # fmt: skip
    kinds.kubectl("patch", "cbb", "shown", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    shown = row(kinds, "cbb", "shown")
    assert [shown[name] for name in ("STATE", "ITEMS", "RUNNING", "DONE", "FAILED")] == ["Running", "10", "2", "5", "1"]
    assert [shown[name] for name in ("USD", "BUDGET", "WAITING")] == ["7.25", "20", "Budget"]
    assert shown["FINISHED-BY"] == "2026-01-01T12:00:00Z"


def test_both_kinds_are_got_by_their_category(kinds):
    apply(kinds, item("listed"), batch("listed"))
    names = kinds.kubectl("get", "isobench", "-o", "name").splitlines()
    assert {"commitbenchmark.isobench.dev/listed", "commitbenchmarkbatch.isobench.dev/listed"} <= set(names)


@pytest.mark.parametrize("kind", ["cb", "cbb"])
def test_explain_has_a_sentence_for_every_field(kinds, kind):
    text = kinds.kubectl("explain", kind, "--recursive=false")
    assert "FIELDS:" in text
    described = kinds.kubectl("explain", f"{kind}.{'spec.timing' if kind == 'cb' else 'spec.template.timing'}")
    assert "Blocks before the first look; at least 8." in described
    assert "<no description>" not in described.split("FIELDS:")[1]

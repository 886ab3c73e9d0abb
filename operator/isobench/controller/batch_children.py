"""The items of a batch: their names and manifests, and what the objects say. Pure."""

import re

from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.reasons import Reason
from isobench.controller.budgets import has_ended, spent_usd
from isobench.controller.jobs.names import APP_LABELS, label_value, owner_of
from isobench.controller.kinds import BATCH_LABEL, CONTROLLER_LABEL, ITEMS, Object
from isobench.engine.ledger import Child
from isobench.engine.plan import item_of

SUSPENDED_BY = "isobench.dev/suspended-by"
_BATCH = "batch"


def child_name(batch: str, index: int, head: str) -> str:
    """`<batch>-<index>-<head7>`: the same for ever, and in the batch's order when sorted."""
    return f"{batch}-{index:03}-{head[:7]}"


def child_manifest(found: Object, batch: CommitBenchmarkBatch, index: int, controller: str) -> Object:
    """The item of the commit at ``index`` of the batch ``found``."""
    spec = item_of(batch, index)
    name = batch.metadata.name
    return {
        "apiVersion": ITEMS.api_version,
        "kind": ITEMS.name,
        "metadata": {
            "name": child_name(name, index, spec.commits.head),
            "namespace": found["metadata"]["namespace"],
            "labels": APP_LABELS | {CONTROLLER_LABEL: controller, BATCH_LABEL: label_value(name)},
            "ownerReferences": [owner_of(found)],
        },
        "spec": spec.manifest(),
    }


def child_of(batch: CommitBenchmarkBatch, item: Object) -> Child | None:
    """What the ledger wants to know of ``item``; None for something else that names this batch its owner."""
    name = item["metadata"]["name"]
    index = _index(batch, name)
    return None if index is None else Child(index, name, _outcome(item), float(spent_usd(item)))


def _index(batch: CommitBenchmarkBatch, name: str) -> int | None:
    found = re.fullmatch(r"([0-9]{3})-[0-9a-f]{7}", name.removeprefix(f"{batch.metadata.name}-"))
    index = int(found[1]) if found else len(batch.spec.commits)
    if index >= len(batch.spec.commits):
        return None
    return index if name == child_name(batch.metadata.name, index, batch.spec.commits[index].head) else None


def _outcome(child: Object) -> Reason | None:
    if not has_ended(child):
        return None
    said = next(answer["reason"] for answer in child["status"]["conditions"] if answer["type"] == "Succeeded")
    try:
        return Reason(said)
    except ValueError:  # a newer operator knows more of them
        return Reason.INFRASTRUCTURE_ERROR


def suspension(batch: CommitBenchmarkBatch, child: Object) -> Object | None:
    """The merge patch that lets ``child`` rest with its batch, or go on with it; one that a person suspended stays."""
    by_us = child["metadata"].get("annotations", {}).get(SUSPENDED_BY) == _BATCH
    suspended = bool(child["spec"].get("suspend"))
    if batch.spec.suspend and not suspended and not has_ended(child):
        return {"metadata": {"annotations": {SUSPENDED_BY: _BATCH}}, "spec": {"suspend": True}}
    if not batch.spec.suspend and by_us:
        return {"metadata": {"annotations": {SUSPENDED_BY: None}}, "spec": {"suspend": False}}
    return None


def waits_for(child: Object) -> str | None:
    """Why nothing happens to it."""
    waiting = child.get("status", {}).get("waiting")
    return waiting["why"] if waiting else None

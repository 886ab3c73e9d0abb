"""What is ours: the names, labels and owner of everything that the controller creates for an item."""

from collections.abc import Mapping

from isobench.contracts.status import ClosingName, StageName
from isobench.controller.item import Item
from isobench.controller.kinds import (
    BATCH_LABEL,
    CONTROLLER_LABEL,
    ITEM_LABEL,
    ITEM_UID_LABEL,
    NETWORK_LABEL,
    STAGE_LABEL,
    Object,
)

APP_LABELS = {"app.kubernetes.io/name": "isobench"}
ATTEMPT_LABEL = "isobench.dev/attempt"
TIMING_LABEL = "isobench.dev/timing"
NO_NETWORK = {NETWORK_LABEL: "none"}
ISOLATED = frozenset({StageName.VALIDATE, StageName.TIMING})
"""Stages whose pods have no network."""

_LONGEST_NAME = 30
_LONGEST_LABEL = 63


def job_name(owner: str, uid: str, stage: StageName | ClosingName, attempt: int) -> str:
    """`<item or batch, at most 30>-<stage>-<attempt>-<8 of its UID>`."""
    return f"{_short(owner)}-{stage}-{attempt}-{uid[:8]}"


def claim_name(item: Item) -> str:
    """Name of the item's own volume claim."""
    return f"{_short(item.name)}-workspace-{item.uid[:8]}"


def label_value(name: str) -> str:
    """``name`` as a label may hold it."""
    return name[:_LONGEST_LABEL].rstrip("-._")


def labels_of(item: Item, controller: str) -> dict[str, str]:
    """The labels of everything that belongs to ``item``."""
    labels = APP_LABELS | {
        CONTROLLER_LABEL: controller,
        ITEM_LABEL: label_value(item.name),
        ITEM_UID_LABEL: item.uid,
    }
    return labels | ({BATCH_LABEL: label_value(item.batch)} if item.batch else {})


def stage_labels(item: Item, controller: str, stage: StageName, attempt: int) -> dict[str, str]:
    """The labels of a stage's Job."""
    return labels_of(item, controller) | {STAGE_LABEL: stage.value, ATTEMPT_LABEL: str(attempt)}


def attempt_in(labels: Mapping[str, str]) -> tuple[StageName, int] | None:
    """Which attempt a Job with these labels is; None for one that is no stage of an item."""
    try:
        return StageName(labels[STAGE_LABEL]), int(labels[ATTEMPT_LABEL])
    except (KeyError, ValueError):
        return None


def owner_of(owner: Object) -> Object:
    """The reference by which what we create goes when ``owner`` goes; it never holds its deletion up."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _short(name: str) -> str:
    return name[:_LONGEST_NAME].replace(".", "-").strip("-")

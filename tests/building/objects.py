"""Builders of what the API server holds: items, Jobs, pods and network policies, each valid unless changed."""

from building.items import HEAD
from isobench.controller.keeping import kept_of_pod

ITEM_UID = "0a1b2c3d-0000-4000-8000-000000000000"
JOB_UID = "4e5f6a7b-0000-4000-8000-000000000000"
CREATED = "2026-01-01T12:00:00Z"


def item(name="fix-123", *, status=None, annotations=None, labels=None, **changes):
    """A CommitBenchmark with an inline test, stored in a bucket; ``changes`` are keys of its spec."""
    spec = {
        "repository": {"url": "https://host.example/owner/name.git"},
        "commits": {"head": HEAD},
        "test": {"inline": "print('Execution time: 1.0s')"},
        "output": {"store": "s3://bucket/prefix", "secretRef": {"name": "store"}},
    }
    metadata = {
        "name": name,
        "namespace": "team-a",
        "uid": ITEM_UID,
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": CREATED,
        "labels": labels or {},
        "annotations": annotations or {},
    }
    found = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark", "metadata": metadata}
    return found | {"spec": spec | changes} | ({"status": status} if status is not None else {})


def job(stage="prepare", attempt=1, *, conditions=(), uid=JOB_UID, **status):
    """The Job of an attempt, as the cache has it."""
    return {
        "metadata": {
            "name": f"fix-123-{stage}-{attempt}-{ITEM_UID[:8]}",
            "namespace": "team-a",
            "uid": uid,
            "creationTimestamp": CREATED,
            "labels": {"isobench.dev/stage": str(stage), "isobench.dev/attempt": str(attempt)},
        },
        "spec": {},
        "status": {"conditions": list(conditions), **status},
    }


def pod(*containers, init=(), uid=JOB_UID, created=CREATED, **status):
    """A pod of that Job with these container statuses, as the cache has it."""
    metadata = {
        "name": "p",
        "namespace": "team-a",
        "uid": "pod-1",
        "resourceVersion": "9",
        "creationTimestamp": created,
        "labels": {"isobench.dev/item-uid": ITEM_UID},
        "ownerReferences": [{"kind": "Job", "uid": uid}],
    }
    statuses = {"containerStatuses": list(containers), "initContainerStatuses": list(init), **status}
    return kept_of_pod({"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": statuses})


def ended(name="stage", message="", exit_code=0, reason=None):
    """A container that has ended."""
    terminated = {"exitCode": exit_code, "message": message} | ({"reason": reason} if reason else {})
    return {"name": name, "image": f"{name}:1", "state": {"terminated": terminated}}


def waits(name="stage", reason="ImagePullBackOff", message=""):
    """A container that does not get as far as running."""
    return {"name": name, "image": f"{name}:1", "state": {"waiting": {"reason": reason, "message": message}}}


def condition(kind, reason="", message="", status="True"):
    """A condition of a Job or pod."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def policy(name, selector=None, **rules):
    """A network policy; without rules it denies."""
    spec = {"podSelector": selector or {}, "policyTypes": ["Ingress", "Egress"]} | rules
    return {"metadata": {"name": name, "namespace": "team-a"}, "spec": spec}

"""Builders of what an item is made of: manifests, specs, results of stages and records, each valid unless changed."""

from datetime import UTC, datetime, timedelta

from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.prepared import CommitSummary, Prepared, PreparedArm
from isobench.contracts.record import Durations, Record
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.stage import StageResult

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEAD = "a" * 40
BASE = "b" * 40
MAIN = "c" * 40
SECOND = timedelta(seconds=1)


def spec(**changes):
    """An offline item with an inline test; ``changes`` are keys of a manifest's spec."""
    asked = {
        "repository": {"url": "https://host.example/owner/name.git"},
        "commits": {"head": HEAD},
        "test": {"inline": "print('Execution time: 1.0s')"},
    }
    return CommitBenchmarkSpec.parse(asked | changes, "a test")


def manifest(heads=(HEAD,), **changes):
    """A batch of so many items as a person writes it."""
    asked = {"commits": [{"head": head} for head in heads], "template": template()}
    return {
        "apiVersion": "isobench.dev/v1alpha1",
        "kind": "CommitBenchmarkBatch",
        "metadata": {"name": "demo"},
        "spec": asked | changes,
    }


def template(**changes):
    """What the items of `manifest` share."""
    return {"repository": {"url": "https://host.example/owner/name.git"}} | changes


def batch(heads=(HEAD,), **changes):
    """The same, parsed."""
    return CommitBenchmarkBatch.parse(manifest(heads, **changes), "a test")


def heads(count):
    """So many different commits."""
    return [f"{number:040x}" for number in range(1, count + 1)]


def result(stage, attempt=1, reason=None, *, started_at=NOON, seconds=1.0, **changes):
    """How an attempt ended: well without a reason."""
    return StageResult(
        stage=stage,
        attempt=attempt,
        succeeded=reason is None,
        reason=reason,
        started_at=started_at,
        finished_at=started_at + seconds * SECOND,
        **changes,
    )


def record(head=HEAD, **changes):
    """A record of owner/name."""
    fields = {
        "repo": "owner/name",
        "instance_id": f"owner__name-{head[:7]}",
        "created_at": "2024-04-01T05:26:16+00:00",
        "base_commit": BASE,
        "head_commit": head,
        "patch": "diff --git a/a.py b/a.py",
        "efficiency_test": ["print('Execution time: 1.0s')"],
        "duration_changes": [Durations(base=[2.0], head=[1.0], main=[1.5])],
        "human_performance": 2.0,
        "version": "python==3.11.7;arch=x86_64;image=local;install_sha=na",
        "gt_commit_message": "make it fast",
        "test_failed": "No",
    }
    return Record(**fields | changes)


def arm(name, **changes):
    """An arm that is ready to be timed."""
    fields = {
        "commit": {"base": BASE, "control": BASE, "head": HEAD, "main": MAIN}.get(name, "d" * 40),
        "tree": f"/workspace/trees/{name[0]}",
        "environment": f"/workspace/environments/{name[0]}/venv",
        "python": f"/workspace/environments/{name[0]}/venv/bin/python",
        "python_version": "3.11.7",
        "install_sha": "0123abcd",
    }
    return PreparedArm(name=name, **fields | changes)


def prepared(*arms, **changes):
    """What `prepare` left; base, head, main and control unless ``arms`` are given."""
    commits = CommitSummary(
        repo="owner/name",
        instance_id="owner__name-PR-7",
        created_at="2024-04-01T05:26:16+00:00",
        base_commit=BASE,
        head_commit=HEAD,
        main_commit=MAIN,
        patch="diff --git a/a.py b/a.py",
        message="make it fast\n\nby far",
        subject="make it fast",
    )
    ready = arms or [arm(name) for name in ("base", "head", "main", "control")]
    return Prepared(commits=commits, arms=list(ready), **changes)

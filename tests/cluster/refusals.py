"""Manifests that a cluster must not take, each with the sentence that says why."""

import copy
from typing import Any

HEAD, BASE = "a" * 40, "b" * 40
REPOSITORY = {"url": "https://host.example/owner/name.git"}
STORE = {"store": "s3://bucket/prefix"}


def item(name: str, **spec: Any) -> dict[str, Any]:
    """An item that is taken as it is."""
    asked = {"repository": REPOSITORY, "commits": {"head": HEAD}, "test": {"inline": "print(1)"}, "output": STORE}
    return _object("CommitBenchmark", name, asked | spec)


def batch(name: str, **spec: Any) -> dict[str, Any]:
    """A batch that is taken as it is."""
    asked = {"commits": [{"head": HEAD}], "template": {"repository": REPOSITORY, "output": STORE}}
    return _object("CommitBenchmarkBatch", name, asked | spec)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "isobench.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }


def _url(url: str) -> dict[str, Any]:
    return {"repository": {"url": url}}


def _template(**template: Any) -> dict[str, Any]:
    return {"template": {"repository": REPOSITORY, "output": STORE} | template}


PASSWORD = "url carries a password, which whoever reads this object can see; put it into a Secret"
PATH = "url is a path of one machine, which no pod can read; give https://..., ssh://... or git@host:path"
ONE_TEST = "give one of inline, configMapKeyRef and generate, not several"
BOTH_VOLUMES = "give claimName, or storageClassName and size, not both"
NO_QUANTITY = "holds an amount that is no quantity; write 500m, 2 or 4Gi"
LOCAL_STORE = "output.store is a folder of one machine, which no pod keeps; name s3://bucket/prefix"
INPUTS = {"uri": "s3://bucket/inputs.tar.gz", "sha256": "0" * 64}

ITEMS: dict[str, tuple[dict[str, Any], str]] = {
    "no-repository": ({"repository": {}}, "spec.repository.url: Required value"),
    "url-with-password": (_url("https://user:secret@host.example/owner/name"), PASSWORD),
    "url-is-a-path": (_url("/home/me/name"), PATH),
    "head-is-no-hash": ({"commits": {"head": "main"}}, "spec.commits.head in body should match '^[0-9a-fA-F]{7,40}$'"),
    "base-is-head": ({"commits": {"head": HEAD, "base": HEAD}}, "base and head are the same commit; leave base out"),
    "two-tests": ({"test": {"inline": "1", "generate": {"provider": "openai"}}}, ONE_TEST),
    "empty-test": ({"test": {"inline": ""}}, "inline is empty; give the test script's text"),
    "unknown-mode": ({"mode": "sometimes"}, 'supported values: "offline", "online"'),
    "min-pairs-too-few": (
        {"timing": {"minPairs": 7}},
        "spec.timing.minPairs in body should be greater than or equal to 8",
    ),
    "pairs-crossed": ({"timing": {"minPairs": 20, "maxPairs": 10}}, "maxPairs is below minPairs; raise it"),
    "precision-zero": ({"timing": {"precision": 0}}, "spec.timing.precision in body should be greater than 0"),
    "cores-as-text": ({"timing": {"cores": "two"}}, 'spec.timing.cores in body must be of type integer: "string"'),
    "cores-too-many": ({"timing": {"cores": 65}}, "spec.timing.cores in body should be less than or equal to 64"),
    "sockets-open": ({"timing": {"sockets": "all"}}, 'supported values: "none", "loopback"'),
    "misspelt-field": ({"timing": {"minpairs": 10}}, 'unknown field "spec.timing.minpairs"'),
    "request-is-no-quantity": ({"timing": {"resources": {"requests": {"cpu": "two"}}}}, f"requests {NO_QUANTITY}"),
    "limit-is-no-quantity": ({"environment": {"resources": {"limits": {"memory": "4 GB"}}}}, f"limits {NO_QUANTITY}"),
    "request-above-limit": (
        {"timing": {"resources": {"requests": {"memory": "4Gi"}, "limits": {"memory": "512Mi"}}}},
        "a request is above its limit; raise the limit or leave it out",
    ),
    "two-volumes": ({"workspace": {"claimName": "shared", "size": "10Gi"}}, BOTH_VOLUMES),
    "size-is-no-quantity": ({"workspace": {"size": "large"}}, "size is no quantity; write 10Gi"),
    "store-is-local": ({"output": {"store": "file://data"}}, LOCAL_STORE),
    "store-left-out": ({"output": {}}, LOCAL_STORE),
    "store-of-another-kind": (
        {"output": {"store": "ftp://host"}},
        "spec.output.store in body should match '^(s3|file)://.+'",
    ),
    "two-accesses": (
        {"output": STORE | {"secretRef": {"name": "keys"}, "serviceAccountName": "writer"}},
        "give secretRef or serviceAccountName, not both",
    ),
    "agent-without-command": (
        {"agent": {"kind": "command"}},
        "agent.kind command needs agent.command: the program and its arguments",
    ),
    "agent-without-patch": ({"agent": {"kind": "replay"}}, "agent.kind replay needs agent.patch: the patch to apply"),
    "agent-of-no-kind": ({"agent": {"kind": "human"}}, 'supported values: "openhands", "command", "replay"'),
    "agent-below-zero": (
        {"agent": {"budgetUsd": -1}},
        "spec.agent.budgetUsd in body should be greater than or equal to 0",
    ),
    "agent-without-time": (
        {"agent": {"timeoutMinutes": 0}},
        "spec.agent.timeoutMinutes in body should be greater than 0",
    ),
    "inputs-beside-manifest": (
        {"inputs": INPUTS | {"uri": "batch.inputs.tar.gz"}},
        "inputs.uri is a path beside the manifest, which no pod can read; plan again with --inputs-to s3://...",
    ),
    "inputs-without-digest": ({"inputs": {"uri": INPUTS["uri"]}}, "spec.inputs.sha256: Required value"),
    "ttl-below-zero": (
        {"ttlSecondsAfterFinished": -1},
        "spec.ttlSecondsAfterFinished in body should be greater than or equal to 0",
    ),
    "ttl-of-ages": (
        {"ttlSecondsAfterFinished": 315_360_001},
        "spec.ttlSecondsAfterFinished in body should be less than or equal to 315360000",
    ),
    "i" * 64: ({}, "the name is longer than 63 characters and could be no label of its pods; choose a shorter one"),
}
"""By name: what is wrong with an item, and what is said about it."""

BATCHES: dict[str, tuple[dict[str, Any], str]] = {
    "no-commits": ({"commits": []}, "spec.commits in body should have at least 1 items"),
    "too-many-commits": (
        {"commits": [{"head": f"{number:040x}"} for number in range(1001)]},
        "spec.commits: Too many: 1001: must have at most 1000 items",
    ),
    "commit-without-repository": (
        {"template": {"output": STORE}},
        "a commit has no repository: give template.repository, or each commit its own",
    ),
    "commit-is-its-base": ({"commits": [{"head": HEAD, "base": HEAD}]}, "base and head are the same commit"),
    "two-tests-of-a-commit": (
        {"commits": [{"head": HEAD, "test": {"inline": "1", "configMapKeyRef": {"name": "a", "key": "b"}}}]},
        ONE_TEST,
    ),
    "no-parallelism": ({"parallelism": 0}, "spec.parallelism in body should be greater than or equal to 1"),
    "sample-zero": ({"commits": [{"head": HEAD, "sample": 0}]}, "sample in body should be greater than or equal to 1"),
    "two-budgets": (
        {"budgetUsd": 5, "budgetRef": "other"},
        "give budgetUsd, or budgetRef to share another batch's budget, not both",
    ),
    "own-budget": ({"budgetRef": "own-budget"}, "budgetRef names this batch itself; leave it out and give budgetUsd"),
    "publish-without-token": (
        {"publish": {"repo": "lab/set"}},
        "publish.secretRef is missing; name the Secret that holds the hub's token",
    ),
    "template-with-local-store": ({"template": {"repository": REPOSITORY}}, LOCAL_STORE),
    "template-with-two-volumes": (_template(workspace={"claimName": "a", "storageClassName": "b"}), BOTH_VOLUMES),
    "b" * 51: ({}, "the name is longer than 50 characters and leaves no room for a number and a commit"),
}
"""By name: what is wrong with a batch, and what is said about it."""

ITEM_CHANGES: dict[str, Any] = {
    "repository": {"url": "https://host.example/other/name.git"},
    "commits": {"head": BASE},
    "inputs": INPUTS,
    "mode": "online",
    "environment": {"python": "3.12"},
    "test": {"inline": "print(2)"},
    "agent": {"maxIterations": 7},
    "timing": {"maxPairs": 30},
    "workspace": {"size": "20Gi"},
    "output": {"store": "s3://another/prefix"},
    "api": "pandas",
    "queueName": "team",
    "controllerName": "another",
}
"""By field: a change that is refused."""

BATCH_CHANGES: dict[str, Any] = {
    "commits": [{"head": BASE}],
    "inputs": INPUTS,
    "template": {"repository": REPOSITORY, "output": STORE, "api": "pandas"},
    "agentParallelism": 3,
    "budgetRef": "other",
}
"""The same of a batch."""

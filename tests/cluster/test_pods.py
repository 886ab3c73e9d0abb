"""The pods of an item as the operator makes them, on the real cluster and without it: Jobs in, a record out.

One item is prepared once, then timed again and again, each time under another rule of the network.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from building.attempts import FASTER, SEEDED
from building.bench import Bench
from building.items import NOON
from building.pods import status_after
from building.swift_history import write_history
from cluster.conftest import BUCKET, STORE_SECRET, a_namespace
from cluster.policy_agent import DELAY
from cluster.waiting import wait_until
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.controller.item import Item
from isobench.controller.jobs.containers import Pod, worker
from isobench.controller.jobs.policies import deny_all
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.jobs.stages import Addresses, Asked, stage_job
from isobench.controller.jobs.volumes import claim
from isobench.controller.kinds import Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.artifacts import item_prefix
from isobench.engine.facts import Start
from isobench.engine.termination import parse

PREPARE, _, _, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
MEASURED = {"duration_changes", "human_performance", "version", "measurement", "api_manifest_paths"}
QUICK = {"warmup": 0, "minPairs": 8, "maxPairs": 8, "memoryMib": 512, "scratchMib": 64}
OPENS_A_SOCKET = """
import hashlib, json, socket, time
import swift

start = time.perf_counter()
swift.total(50_000)
elapsed = time.perf_counter() - start
try:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    seen = "opened"
except PermissionError:
    seen = "refused"
print(json.dumps({"avg_ms": elapsed * 1000, "result_sha256": hashlib.sha256(seen.encode()).hexdigest()}))
"""
REFUSED, OPENED = (hashlib.sha256(seen.encode()).hexdigest() for seen in ("refused", "opened"))
OPENS_THE_PODS: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "opens"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}
LATE, PATIENT = 20, 120
"""Seconds: after a pod has its address, long after its first container tries what it can reach; and how long it may."""

slow_to_enforce = pytest.mark.own_cluster("a policy agent that may be late")


@dataclass
class Attempts:
    """Runs the Jobs of one item, each attempt with the spec as it is changed for it, and reads what they say."""

    kubectl: Callable[..., str]
    namespace: str
    object: Object
    addresses: Addresses
    settings: ControllerSettings
    made: int = 0
    began: list[str] = field(default_factory=list)
    """The containers of the last attempt that have run."""

    def item(self, created: datetime = NOON, **changes: Any) -> Item:
        """The item with ``changes`` to its spec; when it was ``created`` decides what its run is called."""
        metadata = self.object["metadata"] | {"creationTimestamp": created.isoformat()}
        return Item.read(self.object | {"metadata": metadata, "spec": self.object["spec"] | changes})

    def apply(self, manifest: Object) -> None:
        self.kubectl("apply", "-n", self.namespace, "-f-", input=json.dumps(manifest))

    def run(self, stage: StageName, status: CommitBenchmarkStatus | None = None, **changes: Any) -> StageResult:
        """One attempt, to its end."""
        self.made += 1
        item = self.item(**changes)
        image = self.settings.environment_image
        asked = Asked(item, Start(stage, self.made), status or CommitBenchmarkStatus(), image, self.addresses)
        job = stage_job(asked, self.settings)
        del job["metadata"]["ownerReferences"]  # there is no such object
        self.apply(job)
        name = job["metadata"]["name"]
        wait_until(lambda: self._ended(name), f"the Job {name}", seconds=300)
        return self._result(name, stage)

    def _ended(self, name: str) -> bool:
        job = json.loads(self.kubectl("get", "-n", self.namespace, f"job/{name}", "-o", "json"))
        return any(found["type"] in ("Complete", "Failed") for found in job["status"].get("conditions", []))

    def _result(self, name: str, stage: StageName) -> StageResult:
        """What the first container said that failed, else the last."""
        pods = self.kubectl("get", "-n", self.namespace, "pods", f"--selector=job-name={name}", "-o", "json")
        (pod,) = json.loads(pods)["items"]
        status = pod["status"]
        containers = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
        self.began = [found["name"] for found in containers if _has_run(found["state"])]
        ends = [found["state"].get("terminated", {}) for found in containers]
        messages = [end["message"] for end in ends if end.get("message")]
        results = [parse(message, stage, self.made) for message in messages]
        said = [result for result in results if isinstance(result, StageResult)]
        assert said, json.dumps(status)
        return next((result for result in said if not result.succeeded), said[-1])


def _has_run(state: Object) -> bool:
    """A kubelet also ends, without a beginning, what it knows nothing of."""
    return "running" in state or bool(state.get("terminated", {}).get("startedAt"))


@pytest.fixture(scope="module")
def namespace(cluster):
    cluster.load_images()
    with a_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("source") / "swift", plain=0)


@pytest.fixture(scope="module")
def url(cluster, swift):
    """Where the cluster's git server has the history."""
    with cluster.serve(swift.path) as address:
        yield address


@pytest.fixture(scope="module")
def canary(cluster, namespace, kubectl):
    """A canary like the release's."""
    settings = ControllerSettings(**cluster.settings)
    pod = Pod([worker("stage", "canary", json.dumps({"port": 8080}), settings, SUPERVISOR)], {}, seconds=3600)
    manifest = {"apiVersion": "v1", "kind": "Pod"} | pod.manifest(settings) | {"metadata": {"name": "canary"}}
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(manifest))
    kubectl("wait", "-n", namespace, "pod/canary", "--for=condition=Ready", "--timeout=120s")
    return kubectl("get", "-n", namespace, "pod/canary", "-o", "jsonpath={.status.podIP}") + ":8080"


@pytest.fixture(scope="module")
def prepared(cluster, namespace, kubectl, s3, swift, url, canary):
    """Prepares an item of that name, with these changes to what it asks for."""
    output = {"store": f"s3://{BUCKET}/{namespace}", "endpoint": cluster.s3_endpoint, "dataset": "demo"}
    asked = {
        "repository": {"url": url},
        "commits": {"head": swift.merged},
        "timing": QUICK,
        "workspace": {"size": "1Gi"},
        "output": output | {"secretRef": {"name": STORE_SECRET}},
        "api": "swift.total",
    }

    def prepared(name: str, **changes: Any) -> Attempts:
        uid = f"{secrets.token_hex(4)}-0000-4000-8000-000000000000"
        metadata = {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": NOON.isoformat()}
        kind = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmark"}
        item = {**kind, "metadata": metadata, "spec": asked | changes}
        volume = claim(Item.read(item), "isobench")
        assert volume is not None
        del volume["metadata"]["ownerReferences"]
        addresses = Addresses(api_server=cluster.api_server_address, canary=canary)
        settings = ControllerSettings(isolation_seconds=10, **cluster.settings)
        attempts = Attempts(kubectl, namespace, item, addresses, settings)
        attempts.apply(volume)
        attempts.apply(deny_all(namespace))
        ended = attempts.run(PREPARE)
        assert ended.succeeded, ended
        assert ended.facts["canary"] == "reached"
        return attempts

    return prepared


@pytest.fixture(scope="module")
def attempts(prepared):
    """An item whose test tries to open a socket."""
    return prepared("swift", test={"inline": OPENS_A_SOCKET})


@pytest.fixture(scope="module")
def record_of(attempts, s3, namespace):
    """Times and collects the item with these changes, and returns its record."""

    def record_of(created: datetime = NOON, **changes: Any) -> dict[str, Any]:
        timed = attempts.run(TIMING, **changes)
        assert timed.succeeded, timed
        assert f"API server ({attempts.addresses.api_server})" in timed.facts["isolation"]
        collected = attempts.run(COLLECT, status_after(PREPARE, TIMING), created=created, **changes)
        assert collected.succeeded, collected
        key = f"{namespace}/{item_prefix(attempts.item(created).run_id, 'swift')}/record.json"
        assert collected.artifacts.record_uri == f"s3://{BUCKET}/{key}"
        return json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    return record_of


@pytest.fixture
def enforce(kubectl, namespace):
    """Says when the cluster's agent enforces policies on a new pod: so many seconds late, or never."""

    def enforce(when: int | str) -> None:
        kubectl("annotate", "--overwrite", "namespace", namespace, f"{DELAY}={when}")

    yield enforce
    kubectl("annotate", "namespace", namespace, f"{DELAY}-")


def test_while_another_policy_opens_the_pods_again_nothing_is_timed(attempts, kubectl, namespace):
    attempts.apply(OPENS_THE_PODS)
    timed = attempts.run(TIMING)
    kubectl("delete", "-n", namespace, "networkpolicy/opens")
    assert timed.reason is Reason.NETWORK_NOT_ISOLATED
    assert "can be reached from a timing pod" in timed.message
    assert attempts.began == ["isolate"]


@slow_to_enforce
def test_while_the_policy_is_never_enforced_nothing_is_timed(attempts, enforce):
    enforce("never")
    timed = attempts.run(TIMING)
    assert timed.reason is Reason.NETWORK_NOT_ISOLATED
    assert f"canary ({attempts.addresses.canary}), API server ({attempts.addresses.api_server})" in timed.message
    assert "is the network policy enforced?" in timed.message
    assert attempts.began == ["isolate"]


@slow_to_enforce
def test_a_policy_that_is_enforced_late_is_waited_for_and_the_record_says_so(record_of, attempts, enforce, monkeypatch):
    monkeypatch.setattr(attempts, "settings", replace(attempts.settings, isolation_seconds=PATIENT))
    enforce(LATE)
    measurement = record_of(NOON + timedelta(days=2))["measurement"]
    assert {"canary", "API server"} <= set(measurement["isolation"]["proof"]["reached_at_first"])
    assert measurement["arms"]["base"]["result_sha256"] == REFUSED


def test_the_record_is_the_local_one_and_says_what_kept_the_network_away(record_of, attempts, swift, tmp_path):
    record = record_of()
    isolation = record["measurement"]["isolation"]
    assert (isolation["sandbox"], isolation["policy"]) == ("pod", "isobench-timing")
    assert set(isolation["proof"]["tried"]) == {"canary", "API server", "DNS"}
    assert isolation["before"]["inside"]["AF_INET"] == isolation["after"]["inside"]["AF_INET"] == "EACCES"
    assert (isolation["before"]["pid_namespace"], isolation["before"]["shared_memory"]) == (True, "private")
    assert record["measurement"]["arms"]["base"]["result_sha256"] == REFUSED
    bench = Bench(tmp_path / "bench")
    shared = {"test": {"inline": OPENS_A_SOCKET}, "api": "swift.total", "timing": QUICK}
    assert bench.run("run", bench.manifest("demo", swift.path, [{"head": swift.merged}], **shared)).returncode == 0
    (here,) = bench.rows("demo")
    assert {key: record[key] for key in record.keys() - MEASURED} == {key: here[key] for key in here.keys() - MEASURED}
    assert record["measurement"].keys() == here["measurement"].keys()
    assert f"image={attempts.settings.environment_image};" in record["version"]


def test_a_socket_is_opened_where_the_filter_was_waived_and_the_record_says_so(record_of):
    measurement = record_of(NOON + timedelta(days=1), timing=QUICK | {"sockets": "loopback"})["measurement"]
    assert measurement["arms"]["base"]["result_sha256"] == OPENED
    assert measurement["isolation"]["before"]["sockets"] == "loopback"


def test_an_agents_attempt_is_built_timed_beside_the_others_and_recorded(prepared, s3, cluster):
    command = ["sh", "-c", f"cat /proc/*/environ; {FASTER}"]
    image = ControllerSettings(**cluster.settings).environment_image
    agent = {"enabled": True, "kind": "command", "command": command, "image": image}
    asked = agent | {"timeoutMinutes": 5, "requireHumanSpeedup": False}
    item = prepared("attempted", mode="online", agent=asked, test={"inline": SEEDED})
    for stage in (AGENT, BUILD_AGENT, TIMING):
        ended = item.run(stage)
        assert ended.succeeded, ended
    collected = item.run(COLLECT, status_after(PREPARE, AGENT, BUILD_AGENT, TIMING))
    assert collected.succeeded, collected
    key = collected.artifacts.record_uri.removeprefix(f"s3://{BUCKET}/")
    record = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert record["agent_success"] is True
    compared = [comparison["arms"] for comparison in record["measurement"]["comparisons"]]
    assert ["base", "agent"] in compared

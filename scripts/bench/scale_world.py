"""The cluster with fake nodes that the operator is measured on, and the operator as a process that is measured."""

import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.cluster import Cluster
from cluster.profiles import FAKE
from cluster.waiting import wait_until
from isobench.controller.kinds import ITEMS, Kind, Object

NAMESPACES = Kind("", "v1", "namespaces", "Namespace")
VOLUMES = Kind("", "v1", "persistentvolumes", "PersistentVolume")
SHARED = "shared"
RAISED, DEFAULT = 1000, 20
# The collector of ended pods, its limit raised too, deletes hundreds at once, which ends every watch of pods; those who
# watch then read all pods again, and that would be measured.
ENDED_PODS = 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def fresh_cluster(limits: str) -> Iterator[Cluster]:
    """A cluster with fake nodes in which nothing has happened yet; ended afterwards."""
    cluster = Cluster(FAKE)
    if not cluster.up():
        raise SystemExit("a cluster with fake nodes is up, and each measurement begins with an empty one: end it first")
    try:
        _limit_controllers(cluster, limits)
        wait_until(lambda: _takes_pods(cluster), "the fake nodes")
        yield cluster
    finally:
        cluster.down()


def _limit_controllers(cluster: Cluster, limits: str) -> None:
    """Start the controller manager anew with its default request limit or a raised one; ended pods stay."""
    cluster.keeper.stop("kube-controller-manager")
    cluster.keeper.start(cluster.plane.controller_manager(RAISED if limits == "raised" else DEFAULT, ENDED_PODS))


def _takes_pods(cluster: Cluster) -> bool:
    nodes = cluster.client.call("GET", "/api/v1/nodes")["items"]
    return not any(node["spec"].get("taints") for node in nodes)


def item(name: str, claim: str, controller: str | None = None) -> Object:
    """An item of three stages; timing pods may share a node, because what is measured is not the scheduler."""
    spec: Object = {
        "repository": {"url": "https://example.org/owner/project"},
        "commits": {"head": "a" * 40},
        "test": {"inline": "print('Execution time: 1s')"},
        "timing": {"exclusive": False},
        "output": {"store": "s3://isobench/records", "secretRef": {"name": "isobench-store"}},
        "workspace": {"claimName": SHARED} if claim == SHARED else {"storageClassName": "isobench-local"},
    }
    if controller is not None:
        spec["controllerName"] = controller
    return {"apiVersion": ITEMS.api_version, "kind": ITEMS.name, "metadata": {"name": name}, "spec": spec}


def shared_claim(namespace: str) -> tuple[Object, Object]:
    """A claim that many pods may use, and the volume that it is bound to."""
    volume = f"shared-{namespace}"
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    claim = {"metadata": {"name": SHARED}, "spec": common | {"volumeName": volume}}
    claim["spec"] |= {"resources": {"requests": {"storage": "1Gi"}}}
    reference = {"namespace": namespace, "name": SHARED}
    spec = common | {"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/nowhere"}, "claimRef": reference}
    return {"metadata": {"name": volume}, "spec": spec}, claim


@dataclass
class OperatorProcess:
    """The operator, measured from outside."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_mb(self) -> float:
        """The most memory that it has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024

    def requests(self) -> dict[str, float]:
        """Requests to the API server so far, by verb."""
        counted: dict[str, float] = {}
        for line in self.ask("/metrics").splitlines():
            if line.startswith("isobench_api_requests_total{"):
                verb = line.partition('verb="')[2].partition('"')[0]
                counted[verb] = counted.get(verb, 0) + float(line.rpartition(" ")[2])
        return counted

    def figures(self) -> dict[str, float]:
        """Its metrics by name, summed over their labels."""
        told: dict[str, float] = {}
        for line in self.ask("/metrics").splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                told[name] = told.get(name, 0.0) + float(value)
        return told

    def ask(self, path: str) -> str:
        """What it answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())

    def ready(self) -> bool:
        """Whether its caches are filled."""
        try:
            return "ready" in self.ask("/readyz")
        except OSError:
            return False


@contextmanager
def operator(cluster: Cluster, namespace: str, port: int) -> Iterator[OperatorProcess]:
    """The operator over ``namespace``; without an election, whose writes go with time and not with items."""
    flags = {
        "kubeconfig": cluster.plane.kubeconfig,
        "namespace": namespace,
        "release-namespace": namespace,
        "metrics-port": port,
        "canary-address": "10.0.0.1:8080",
        "api-server-address": f"{cluster.profile.address}:6443",
        "log-level": "warning",
    }
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "operator.log")
        with log.open("wb") as stream:
            command = [
                sys.executable,
                "-m",
                "isobench.controller",
                "--no-leader-election",
                *(f"--{name}={value}" for name, value in flags.items()),
            ]
            process = subprocess.Popen(command, stderr=stream)
        try:
            yield OperatorProcess(process, port, log)
            if process.poll() is not None:
                raise RuntimeError(f"the operator ended: {log.read_text()[-2000:]}")
        finally:
            process.terminate()
            process.wait()

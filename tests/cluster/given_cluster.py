"""Somebody else's cluster, known by its kubeconfig: what is made there is the tests' own, and goes with them."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster.kubectl import kubectl
from cluster.s3_server import KEYS
from cluster.servers_pod import GIT_PORT, REPOSITORIES, S3_PORT, ServersPod
from cluster.waiting import wait_until

VARIABLE = "ISOBENCH_TEST_KUBECONFIG"
CRDS = Path(__file__).parents[2] / "crds"


class Unfit(Exception):
    """Tests can't run on this cluster; says why, and what would help."""


@dataclass(frozen=True)
class GivenCluster:
    """The cluster; its images are ``registry``/isobench-...:``tag``, its S3 server is ``store`` or a pod."""

    kubeconfig: Path
    folder: Path
    namespace: str
    ending: ExitStack = field(default_factory=ExitStack)
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """What kubectl prints; its standard error too where it fails and may."""
        return kubectl(self.kubeconfig, *arguments, input=input, check=check)

    def load_images(self) -> None:
        """The cluster pulls them itself."""

    @property
    def settings(self) -> dict[str, str]:
        """The operator's, where they are not its defaults: which images."""
        return {f"{name}_image": self._image(name) for name in ("worker", "environment", "agent")}

    @property
    def chart_values(self) -> dict[str, Any]:
        """The chart's: which images; the kinds are this object's business."""
        images = {"registry": self._registry, "tag": self._tag, "pullPolicy": "IfNotPresent"}
        return {"images": images, "crds": {"install": False}}

    @property
    def api_server_address(self) -> str:
        """The API server's, from pods."""
        spec = json.loads(self.kubectl("get", "service/kubernetes", "-n", "default", "-o", "json"))["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    @cached_property
    def s3_endpoint(self) -> str:
        """The S3 server's address from pods."""
        return self._store or self._servers.address(S3_PORT)

    @cached_property
    def s3_from_here(self) -> str:
        """The S3 server's address from tests."""
        return self._store or self.ending.enter_context(self._servers.forwarded(S3_PORT, self.folder))

    @property
    def s3_credentials(self) -> dict[str, str]:
        """For the S3 server, named as in the environment and in Secrets.

        Raises:
            Unfit: the server is somebody's, and the variables don't say its keys.
        """
        if absent := [name for name in KEYS if self._store and not self.variables.get(name)]:
            raise Unfit(f"STORE is {self._store}: set {' and '.join(absent)} to its keys")
        return {name: self.variables[name] for name in KEYS} if self._store else KEYS

    @contextmanager
    def serve(self, repository: Path) -> Iterator[str]:
        """The git server's address of a copy of ``repository``, which is called fast/swift there."""
        name = f"{secrets.token_hex(4)}/fast/swift.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", repository, self.folder / name], check=True)
        self._servers.copy(self.folder / name, f"{REPOSITORIES}/{name}")
        yield f"{self._servers.address(GIT_PORT)}/{name}"

    @cached_property
    def _servers(self) -> ServersPod:
        pod = ServersPod(self.kubectl, self.kubeconfig, self.namespace)
        pod.start(self._image("worker"), ("git",) if self._store else ("git", "s3"))
        return pod

    @property
    def _registry(self) -> str:
        return self.variables.get("REGISTRY", "")

    @property
    def _tag(self) -> str:
        return self.variables.get("TAG") or "dev"

    @property
    def _store(self) -> str:
        return self.variables.get("STORE", "")

    def _image(self, name: str) -> str:
        return f"{self._registry}/isobench-{name}:{self._tag}".removeprefix("/")


def given() -> Path | None:
    """The kubeconfig that `make test-cluster KUBECONFIG=...` names."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


@contextmanager
def given_cluster(kubeconfig: Path, folder: Path) -> Iterator[GivenCluster]:
    """The cluster of the current context, with our kinds and a namespace where kubectl works; both gone at the end.

    Raises:
        Unfit: it has other kinds of ours already.
    """
    name = f"test-{secrets.token_hex(4)}"
    own = folder / "kubeconfig"
    own.touch(0o600)
    own.write_text(kubectl(kubeconfig, "config", "view", "--raw", "--minify", "--flatten"))
    kubectl(own, "config", "set-context", "--current", f"--namespace={name}")
    with ExitStack() as ending:
        cluster = GivenCluster(own, folder, name, ending)
        if _make_kinds(cluster):
            ending.callback(cluster.kubectl, "delete", "-f", str(CRDS))
        ending.callback(_remove, cluster, _ending(cluster))
        cluster.kubectl("create", "namespace", name)
        yield cluster


def _remove(cluster: GivenCluster, stuck: set[str]) -> None:
    """Delete the cluster's own namespace, and wait for those that tests have begun to delete."""
    cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")
    wait_until(lambda: _ending(cluster) <= stuck, "the tests' namespaces to go", 300)


def _ending(cluster: GivenCluster) -> set[str]:
    """The namespaces that are deleted, and not gone yet."""
    names = 'jsonpath={.items[?(@.status.phase=="Terminating")].metadata.name}'
    return set(cluster.kubectl("get", "namespaces", "-o", names).split())


def _make_kinds(cluster: GivenCluster) -> bool:
    """Whether there were none of ours before."""
    would = _specs(cluster, "apply", "--dry-run=server", "-f", str(CRDS))
    there = _specs(cluster, "get", "crd")
    if all(there.get(name) == spec for name, spec in would.items()):
        return False
    if would.keys() & there.keys():
        raise Unfit("the cluster has isobench's kinds of another version: remove them, or take another cluster")
    cluster.kubectl("apply", "-f", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "-f", str(CRDS), "--timeout=60s")
    return True


def _specs(cluster: GivenCluster, *command: str) -> dict[str, Any]:
    listed = json.loads(cluster.kubectl(*command, "-o", "json"))["items"]
    return {found["metadata"]["name"]: found["spec"] for found in listed}

"""The git server and the S3 server of tests as one pod of a cluster, on the worker's image: programs are copied in."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import binaries
from cluster.cluster import BUCKET
from cluster.s3_server import KEYS
from cluster.waiting import wait_until

NAME = "servers"
GIT_PORT, S3_PORT = 8080, 7070
REPOSITORIES = "/served/git"
_FOLDER = "/served"
_ACCESS = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
_SERVERS = {
    "git": (GIT_PORT, f"python3 {_FOLDER}/git_server.py 0.0.0.0 {GIT_PORT} {REPOSITORIES}"),
    "s3": (S3_PORT, f"{_FOLDER}/versitygw --quiet --port :{S3_PORT} --region us-east-1 posix {_FOLDER}/s3"),
}
_RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True)
class ServersPod:
    """A pod and the service before it, in a namespace that somebody else made and removes."""

    kubectl: Callable[..., str]
    kubeconfig: Path
    namespace: str

    def start(self, image: str, servers: Sequence[str]) -> None:
        """Make it, give it the programs, and wait until the servers (`git`, `s3`) listen."""
        made = {"apiVersion": "v1", "kind": "List", "items": _objects(image, servers)}
        self._kubectl("apply", "-f-", input=json.dumps(made))
        wait_until(self._is_running, f"the pod {NAME} to run {image}", 600)
        self.copy(Path(__file__).with_name("git_server.py"), f"{_FOLDER}/git_server.py")
        if "s3" in servers:
            self.copy(binaries.ensure(("versitygw",)) / "versitygw", f"{_FOLDER}/versitygw")
        self._kubectl("exec", NAME, "--", "sh", "-c", f"cd {_FOLDER} && mkdir -p git s3/{BUCKET} && touch ready")
        self._kubectl("wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=120s")

    def address(self, port: int) -> str:
        """Where pods find a server: an address, since a bucket's name would come before a name."""
        return f"http://{self._kubectl('get', f'service/{NAME}', '-o', 'jsonpath={.spec.clusterIP}')}:{port}"

    def copy(self, source: Path, target: str) -> None:
        """Put a file or a folder into it."""
        self._kubectl("exec", NAME, "--", "mkdir", "-p", str(Path(target).parent))
        self._kubectl("cp", str(source), f"{self.namespace}/{NAME}:{target}", "-c", "git")

    @contextmanager
    def forwarded(self, port: int, folder: Path) -> Iterator[str]:
        """The address of a server from this machine."""
        said = folder / f"forward-{port}"
        program = binaries.ensure(("kubectl",)) / "kubectl"
        command = [program, f"--kubeconfig={self.kubeconfig}", "port-forward", "--address=127.0.0.1"]
        with said.open("w") as log:
            process = subprocess.Popen(
                [*command, "-n", self.namespace, f"pod/{NAME}", f":{port}"], stdout=log, stderr=log
            )
        try:
            wait_until(lambda: process.poll() is not None or "Forwarding" in said.read_text(), "kubectl port-forward")
            found = re.search(r"Forwarding from (\S+) ->", said.read_text())
            assert found, said.read_text()
            yield f"http://{found[1]}"
        finally:
            process.kill()
            process.wait()

    def _is_running(self) -> bool:
        status = json.loads(self._kubectl("get", f"pod/{NAME}", "-o", "json"))["status"]
        for container in status.get("containerStatuses", ()):
            waiting = container["state"].get("waiting", {})
            assert waiting.get("reason") != "ImagePullBackOff", f"{waiting['message']}; is REGISTRY right?"
        return status["phase"] == "Running"

    def _kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self.kubectl("-n", self.namespace, *arguments, input=input)


def _objects(image: str, servers: Sequence[str]) -> list[dict[str, Any]]:
    labels, chosen = {"app": NAME}, {name: _SERVERS[name] for name in servers}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), 10001),
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "served", "emptyDir": {}}],
        "containers": [_container(name, image, *server) for name, server in chosen.items()],
    }
    ports = [{"name": name, "port": port} for name, (port, _) in chosen.items()]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels}, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def _container(name: str, image: str, port: int, command: str) -> dict[str, Any]:
    """A container that begins as soon as the programs are there."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", f"until [ -e {_FOLDER}/ready ]; do sleep 0.2; done; exec {command}"],
        "env": [{"name": key, "value": value} for key, value in _ACCESS.items()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
        "securityContext": _RESTRICTED,
        "volumeMounts": [{"name": "served", "mountPath": _FOLDER}],
    }

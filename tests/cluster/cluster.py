"""One cluster: what it is made of, in which order that starts, and how it ends."""

import fcntl
import json
import os
import secrets
import shutil
import sys
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster import binaries, namespaces, provisioner
from cluster.binaries import Missing
from cluster.control_plane import ControlPlane, NotReady
from cluster.fake_nodes import FakeNodes
from cluster.image_build import ITEMS, ImageSet
from cluster.images import Images
from cluster.keeper import Program, Supervised
from cluster.kubectl import kubectl
from cluster.node import Node
from cluster.profiles import Profile
from cluster.watching import Client

NODE, SECOND_NODE = "isobench-node", "isobench-second-node"
S3_PORT, GIT_PORT = 7070, 8080
BUCKET = "isobench"
_DEBIAN = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "git": "git",
}


@dataclass(frozen=True)
class Cluster:
    """A cluster of one profile on this machine."""

    profile: Profile

    def up(self) -> bool:
        """Start it, unless it is up; what an earlier one left is removed first.

        True is told to the one who started it, and whose it is to end, however many ask at once.

        Raises:
            Missing: something has to be installed first.
        """
        self._refuse_what_cannot_work()
        binaries.ensure(binaries.REAL if self.profile.real else binaries.FAKE)
        with self._one_at_a_time():
            if self.is_up():
                return False
            self._end()
            namespaces.start(self.profile)
            try:
                self._start()
                return True
            except BaseException:
                self._keep_logs()
                self._end()
                raise

    def down(self) -> list[str]:
        """End it; returns what could not be removed."""
        with self._one_at_a_time():
            self._end()
            return namespaces.leftovers(self.profile)

    def is_up(self) -> bool:
        """Whether everything runs that should."""
        return namespaces.process(self.profile) is not None and not self.not_running()

    def not_running(self) -> list[str]:
        """The programs that should run and don't."""
        started = json.loads((self.folder / "started.json").read_text()) if self._is_started() else ["its programs"]
        try:
            return sorted(set(started) - set(self.keeper.running()))
        except (OSError, ValueError):
            # The supervisor ends while it is asked.
            return started

    @property
    def folder(self) -> Path:
        """Its files."""
        return self.profile.folder

    @cached_property
    def plane(self) -> ControlPlane:
        """Its control plane."""
        return ControlPlane(
            self.folder,
            binaries.folder(),
            self.profile.address,
            6443,
            nodes=(NODE, SECOND_NODE) if self.profile.real else (),
        )

    @cached_property
    def keeper(self) -> Supervised:
        """Starts and stops its programs."""
        return Supervised(self.folder)

    @cached_property
    def node(self) -> Node:
        """Its real node."""
        return Node(NODE, self.folder, self.plane, self.profile.address, self.profile.pods, self.profile.cgroups[0])

    @cached_property
    def client(self) -> Client:
        """Its API server, as the administrator."""
        return Client(self.plane.kubeconfig)

    @property
    def images(self) -> Images:
        """The images on its node."""
        return Images(self.node.socket)

    def load_images(self, images: ImageSet = ITEMS) -> None:
        """Build isobench's images of these sources, and put them on the node where they are not there yet.

        Raises:
            Missing: something has to be installed first.
        """
        archive = images.ensure()
        if namespaces.process(self.profile) is not None:
            loaded = self.folder / f"loaded-{archive.stem}"
            with self._one_at_a_time():
                if not loaded.exists():
                    self.images.load(archive)
                    loaded.touch()

    @property
    def s3_endpoint(self) -> str:
        """The S3 server's address, from tests and from pods."""
        return f"http://{self.profile.address}:{S3_PORT}"

    @property
    def s3_credentials(self) -> dict[str, str]:
        """For the S3 server, named as in the environment and in Secrets."""
        credentials: dict[str, str] = json.loads((self.folder / "s3-credentials.json").read_text())
        return credentials

    @property
    def git_url(self) -> str:
        """The git server's address, from tests and from pods; it serves the repositories below `git_folder`."""
        return f"http://{self.profile.address}:{GIT_PORT}"

    @property
    def git_folder(self) -> Path:
        """What the git server serves."""
        return self.folder / "git"

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """What kubectl prints, as the administrator; its standard error too where it fails and may."""
        return kubectl(self.plane.kubeconfig, *arguments, input=input, check=check)

    def programs(self) -> dict[str, Program]:
        """What it runs beside the control plane's store and API server, by name, in the order of starting."""
        every = [*self._controllers(), *(self._node_programs() if self.profile.real else self._fake_programs())]
        return {program.name: program for program in (self.plane.etcd(), self.plane.api_server(), *every)}

    def _controllers(self) -> Sequence[Program]:
        fast = {} if self.profile.real else {"requests_a_second": 1000}
        return self.plane.controller_manager(**fast), self.plane.scheduler(**fast)

    def _node_programs(self) -> Sequence[Program]:
        return (
            self.node.containerd(),
            self._agent("policy_agent", self.folder / "policy.sock"),
            self._agent("provisioner", self.folder / "volumes"),
            self._agent("name_server", self.profile.address),
            self.node.kubelet(),
            self.node.proxy(),
            self._s3(),
            self._python("git_server", self.profile.address, GIT_PORT, self.git_folder),
        )

    def _fake_programs(self) -> Sequence[Program]:
        return self._agent("provisioner"), FakeNodes(self.folder, self.plane).program()

    def _agent(self, name: str, *arguments: object) -> Program:
        return self._python(name, self.plane.kubeconfig, *arguments)

    def _python(self, name: str, *arguments: object) -> Program:
        tests = str(Path(__file__).parent.parent)
        command = [sys.executable, "-m", f"cluster.{name}", *map(str, arguments)]
        return Program(name, command, {"PYTHONPATH": tests, "PYTHONDONTWRITEBYTECODE": "1"})

    def _s3(self) -> Program:
        keys = self.s3_credentials
        access = {"ROOT_ACCESS_KEY": keys["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": keys["AWS_SECRET_ACCESS_KEY"]}
        port = f"{self.profile.address}:{S3_PORT}"
        command = [str(binaries.folder() / "versitygw"), "--port", port, "--region", "us-east-1"]
        return Program("versitygw", [*command, "posix", str(self.folder / "s3")], access)

    def _start(self) -> None:
        self._write_files()
        programs = self.programs()
        early = ("etcd", "kube-apiserver", "containerd")
        for name in early:
            if name in programs:
                self.keeper.start(programs[name])
        if self.profile.real:
            self.images.wait()
            self.images.load(self.images.pause(binaries.folder() / "pause", self.folder))
        self.plane.wait(self.keeper)
        for name, program in programs.items():
            if name not in early:
                self.keeper.start(program)
        self.client.call("POST", "/apis/storage.k8s.io/v1/storageclasses", provisioner.CLASS)
        if self.profile.real:
            self.wait_for_node(NODE, "kubelet")
        else:
            for node in FakeNodes.nodes():
                self.client.call("POST", "/api/v1/nodes", node)
        (self.folder / "started.json").write_text(json.dumps(list(programs)))

    def _write_files(self) -> None:
        for place in ("git", f"s3/{BUCKET}", "volumes"):
            (self.folder / place).mkdir(parents=True, exist_ok=True)
        self.plane.write_files()
        keys = {"AWS_ACCESS_KEY_ID": secrets.token_hex(10), "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20)}
        (self.folder / "s3-credentials.json").write_text(json.dumps(keys))
        (self.folder / "s3-credentials.env").write_text("".join(f"{name}={key}\n" for name, key in keys.items()))
        if self.profile.real:
            self.node.write_files()

    def wait_for_node(self, name: str, kubelet: str, seconds: float = 60.0) -> None:
        """Wait until a node is ready, and pods may be created.

        Raises:
            NotReady: it does not become ready, or its kubelet has ended.
        """
        deadline = time.monotonic() + seconds
        while not self._is_ready(name):
            if time.monotonic() > deadline or kubelet not in self.keeper.running():
                raise NotReady(f"{name} did not become ready: {self.keeper.log(kubelet)}")
            time.sleep(0.2)

    def _is_ready(self, name: str) -> bool:
        with suppress(urllib.error.HTTPError):
            node = self.client.call("GET", f"/api/v1/nodes/{name}")
            self.client.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")
            return any(found["type"] == "Ready" and found["status"] == "True" for found in node["status"]["conditions"])
        return False

    def _is_started(self) -> bool:
        return (self.folder / "started.json").exists()

    def _end(self) -> None:
        namespaces.end(self.profile)
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            self.folder.parent.rmdir()

    def _keep_logs(self) -> None:
        """For a person to read after a start that failed."""
        kept = binaries.CACHE / f"failed-{self.profile.name}"
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):
            shutil.copytree(self.folder / "logs", kept)

    def _refuse_what_cannot_work(self) -> None:
        if os.getuid():
            raise Missing("the cluster needs root, for namespaces, mounts and cgroups: run it as root")
        wanted = _DEBIAN if self.profile.real else {"ip": "iproute2", "openssl": "openssl"}
        absent = sorted(package for program, package in wanted.items() if shutil.which(program) is None)
        if self.profile.real and not Path("/usr/lib/cni/bridge").exists():
            absent.append("containernetworking-plugins")
        if absent:
            how = "CLUSTER=1 scripts/install_test_tools.sh installs them on Debian"
            raise Missing(f"{', '.join(absent)} missing: {how}")

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        binaries.CACHE.mkdir(parents=True, exist_ok=True)
        with (binaries.CACHE / f"{self.profile.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def summary(cluster: Cluster) -> dict[str, Any]:
    """What a person wants to know of it."""
    is_down = namespaces.process(cluster.profile) is None
    facts = _of_one_that_is_down(cluster) if is_down else _of_one_that_is_up(cluster)
    return {name: value for name, value in facts.items() if value}


def _of_one_that_is_down(cluster: Cluster) -> dict[str, Any]:
    wanted = binaries.REAL if cluster.profile.real else binaries.FAKE
    return {"state": "down", "not built yet": binaries.missing(wanted)}


def _of_one_that_is_up(cluster: Cluster) -> dict[str, Any]:
    stopped = cluster.not_running()
    facts: dict[str, Any] = {"state": "up" if not stopped else "broken", "not running": stopped}
    facts |= {"KUBECONFIG": cluster.plane.kubeconfig, "kubectl": binaries.folder() / "kubectl"}
    if cluster.profile.real:
        facts |= {"S3 server": cluster.s3_endpoint, "S3 credentials": cluster.folder / "s3-credentials.env"}
        facts |= {"git server": cluster.git_url, "its folder": cluster.git_folder, "images": cluster.images.names()}
    return facts

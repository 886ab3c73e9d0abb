"""A second real node, in a network namespace of its own behind the first; it can vanish, as nodes do."""

import os
import signal
import subprocess
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from cluster import namespaces
from cluster.cluster import SECOND_NODE, Cluster
from cluster.image_build import ITEMS
from cluster.images import Images
from cluster.keeper import Program
from cluster.node import Node

_NETWORK = "second"
_HERE, _THERE = "10.244.253.1", "10.244.253.2"


class SecondNode:
    """containerd and a kubelet with their own files, network and cgroups, and the node's images."""

    name = SECOND_NODE

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        address, pods = cluster.profile.second
        folder = cluster.folder / "second"
        self._node = Node(SECOND_NODE, folder, cluster.plane, address, pods, cluster.profile.cgroups[1])

    def start(self) -> None:
        """Connect it, start it, and wait until pods may be placed on it."""
        self._connect()
        self._node.write_files()
        self._start(self._node.containerd())
        images = Images(self._node.socket)
        images.wait()
        images.load(self._cluster.folder / "pause.tar")
        images.load(ITEMS.ensure())
        self._start(self._node.kubelet())
        self._cluster.wait_for_node(SECOND_NODE, "kubelet-2")

    def vanish(self) -> None:
        """Everything on it stops in this instant, and the API server forgets it, as a cloud that takes a node back."""
        for name in ("kubelet-2", "containerd-2"):
            with suppress(RuntimeError):
                self._cluster.keeper.signal(name, signal.SIGKILL)
        for pid in {*self._in_its_cgroups(), *self._of_its_runtime()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(urllib.error.HTTPError):
            self._cluster.client.call("DELETE", f"/api/v1/nodes/{SECOND_NODE}")

    def disconnect(self) -> None:
        """Take its network away."""
        self._inside("ip", "netns", "delete", _NETWORK)

    def _start(self, program: Program) -> None:
        argv = ["nsenter", f"--net=/run/netns/{_NETWORK}", *program.argv]
        self._cluster.keeper.start(replace(program, name=f"{program.name}-2", argv=argv))

    def _connect(self) -> None:
        there = ("ip", "-netns", _NETWORK)
        address, pods = self._node.address, self._node.pods
        self._inside("ip", "netns", "add", _NETWORK)
        self._inside("ip", "link", "add", "node2", "type", "veth", "peer", "name", "link0", "netns", _NETWORK)
        self._inside("ip", "address", "add", f"{_HERE}/30", "dev", "node2")
        self._inside("ip", "link", "set", "node2", "up")
        self._inside(*there, "address", "add", f"{_THERE}/30", "dev", "link0")
        self._inside(*there, "address", "add", f"{address}/32", "dev", "lo")
        for link in ("lo", "link0"):
            self._inside(*there, "link", "set", link, "up")
        self._inside(*there, "route", "add", "default", "via", _HERE, "src", address)
        for target in (address, pods):
            self._inside("ip", "route", "add", target, "via", _THERE)
        self._inside("nsenter", f"--net=/run/netns/{_NETWORK}", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")

    def _inside(self, *command: str) -> None:
        subprocess.run(namespaces.enter(self._cluster.profile, *command), check=True)

    def _in_its_cgroups(self) -> Iterator[int]:
        for cgroup in namespaces.cgroups(self._node.cgroup):
            yield from map(int, (cgroup / "cgroup.procs").read_text().split())

    def _of_its_runtime(self) -> Iterator[int]:
        own = os.fsencode(self._node.socket)
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and own in (entry / "cmdline").read_bytes():
                    yield int(entry.name)


@contextmanager
def second_node(cluster: Cluster) -> Iterator[SecondNode]:
    """A second node, for one test."""
    node = SecondNode(cluster)
    try:
        node.start()
        yield node
    finally:
        node.vanish()
        node.disconnect()

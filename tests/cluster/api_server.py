"""A real API server with its store alone, on loopback, for tests that need no nodes; needs no root."""

import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries
from cluster.control_plane import ControlPlane, NotReady
from cluster.keeper import Children
from cluster.kubectl import kubectl


@dataclass(frozen=True)
class Access:
    """A running API server: how to call it, and how to take it away for a while."""

    plane: ControlPlane
    keeper: Children

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.plane.kubeconfig

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """What kubectl prints, as the administrator; its standard error too where it fails and may."""
        return kubectl(self.kubeconfig, *arguments, input=input, check=check)

    @property
    def url(self) -> str:
        """Its address."""
        return self.plane.url

    @property
    def token(self) -> str:
        """The administrator's (a member of system:masters)."""
        return self.plane.token

    @property
    def authority(self) -> Path:
        """The certificate that its own is signed by."""
        return self.plane.folder / "certificates" / "ca.crt"

    def stop(self, name: str = "kube-apiserver") -> None:
        """End the API server, or etcd."""
        self.keeper.stop(name)

    def start(self, name: str = "kube-apiserver") -> None:
        """Start it again, with everything that it had stored, and wait until the API server is ready."""
        self.keeper.start(self.plane.etcd() if name == "etcd" else self.plane.api_server())
        self.plane.wait(self.keeper)

    def restart_with_its_store(self) -> None:
        """End the API server and etcd without a warning, and start both on what is stored."""
        for name in ("kube-apiserver", "etcd"):
            self.keeper.signal(name, signal.SIGKILL)
            self.stop(name)
        self.keeper.start(self.plane.etcd())
        self.start()


@contextmanager
def api_server(folder: Path | None = None, *, audited: str | None = None) -> Iterator[Access]:
    """A new API server that knows nothing but Kubernetes itself; its files are in ``folder``, or a short-lived one.

    What the group ``audited`` asks of it is written down.
    """
    programs = binaries.ensure(("etcd", "kube-apiserver"))
    with ExitStack() as ending:
        place = folder or Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="isobench-api-")))
        access = _started(place, programs, audited)
        ending.callback(shutil.rmtree, access.plane.folder, ignore_errors=True)
        for name in ("etcd", "kube-apiserver"):
            ending.callback(access.keeper.stop, name)
        yield access


def _started(folder: Path, programs: Path, audited: str | None, tries: int = 5) -> Access:
    """Another process may take a port before the API server does: then once more with others."""
    *ports, etcd, peer = _free_ports(3)
    place = folder / f"api-{ports[0]}"
    place.mkdir(parents=True)
    plane = ControlPlane(place, programs, "127.0.0.1", ports[0], (etcd, peer), audited=audited)
    keeper = Children(place)
    plane.write_files()
    keeper.start(plane.etcd())
    keeper.start(plane.api_server())
    try:
        plane.wait(keeper)
    except NotReady:
        keeper.stop("kube-apiserver")
        keeper.stop("etcd")
        if tries == 1:
            raise
        return _started(folder, programs, audited, tries - 1)
    return Access(plane, keeper)


def _free_ports(number: int) -> list[int]:
    """Ports of the loopback that nothing listens on now."""
    with ExitStack() as open_sockets:
        found = [open_sockets.enter_context(socket.socket()) for _ in range(number)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]

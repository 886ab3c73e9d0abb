"""The empty network: how the probe is started so that nothing can be reached from where it times."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Protocol

from isobench.contracts.reasons import ItemFailure, Reason

# /run is hidden: a socket there, a container engine's say, would be a way out that no network namespace closes.
PRIVATE_MOUNTS = 'mount -t tmpfs -o size="$1" tmpfs /dev/shm && mount -t tmpfs tmpfs /run && shift && exec "$@"'


class Isolation(StrEnum):
    """What keeps the network away from a timed run, apart from the probe's own system call filter."""

    NAMESPACES = "unshare"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


class Sandbox(Protocol):
    """Where the probe is started: in namespaces of this machine, or in a container."""

    @property
    def network(self) -> str:
        """What the probe is told to expect, and proves: `none`, a pod's `policy`, or `allowed` by --allow-network."""

    @property
    def unreachable(self) -> Sequence[str]:
        """Addresses (host:port) that the probe tries and must find cut off, where the network is not empty."""

    @property
    def python(self) -> str:
        """The interpreter that runs the probe."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the record says of it."""

    def wrap(self, command: Sequence[str], scratch_mib: int) -> list[str]:
        """``command`` as it is started inside."""


@dataclass(frozen=True)
class MachineSandbox:
    """A way to start a command with namespaces of its own: network, processes, mounts, IPC."""

    isolation: Isolation

    unreachable = ()

    def wrap(self, command: Sequence[str], scratch_mib: int) -> list[str]:
        """``command`` as it is started inside; it dies with the thread that started it."""
        dies_with_parent = ["setpriv", "--pdeathsig", "KILL", "--"]
        match self.isolation:
            case Isolation.NAMESPACES:
                return [*dies_with_parent, *_UNSHARE, "sh", "-c", PRIVATE_MOUNTS, "sh", f"{scratch_mib}m", *command]
            case Isolation.BUBBLEWRAP:
                return [*dies_with_parent, *_BUBBLEWRAP, *command]
            case Isolation.NONE:
                return [*dies_with_parent, *command]

    @property
    def network(self) -> str:
        """What the probe is told to expect, and proves: `none`, or `allowed` after --allow-network."""
        return "allowed" if self.isolation is Isolation.NONE else "none"

    @property
    def python(self) -> str:
        """isobench's own: the probe needs nothing of an arm's."""
        return sys.executable

    @property
    def facts(self) -> Mapping[str, str]:
        """By what the network is empty."""
        return {"sandbox": str(self.isolation)}


_UNSHARE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount",
    "--mount-proc",
    "--ipc",
    "--",
)
_BUBBLEWRAP = (
    "bwrap",
    "--unshare-user",
    "--unshare-net",
    "--unshare-pid",
    "--unshare-ipc",
    "--die-with-parent",
    "--as-pid-1",
    "--dev-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--tmpfs",
    "/dev/shm",
    "--tmpfs",
    "/run",
    "--",
)
_REMEDY = (
    "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
    "kernel.apparmor_restrict_unprivileged_userns=0), install bubblewrap, or accept the network by --allow-network"
)


@cache
def find_isolation() -> Isolation:
    """The first way to an empty network that works for this user on this machine, found by trying it."""
    if _works([*_UNSHARE, "sh", "-c", PRIVATE_MOUNTS, "sh", "1m", "true"]):
        return Isolation.NAMESPACES
    if shutil.which("bwrap") and _works([*_BUBBLEWRAP, "true"]):
        return Isolation.BUBBLEWRAP
    return Isolation.NONE


def open_sandbox(*, allow_network: bool) -> MachineSandbox:
    """The sandbox for this machine.

    Raises:
        ItemFailure: `NetworkNotIsolated` when there is no empty network to be had and none was waived.
    """
    isolation = find_isolation()
    if isolation is Isolation.NONE and not allow_network:
        raise ItemFailure(Reason.NETWORK_NOT_ISOLATED, f"no empty network can be made on this machine: {_REMEDY}")
    return MachineSandbox(isolation)


def _works(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False

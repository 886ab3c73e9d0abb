"""The proof that a run reaches no network: looked at from this process, and tried from inside a confined child."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import socket
import struct
from typing import Dict, Iterable, List, NamedTuple, Tuple

from . import kernel
from .capture import Capture
from .confinement import Confinement
from .launch import fork_child
from .processes import Offspring
from .request import Request

_GET_INTERFACE_FLAGS, _SET_INTERFACE_FLAGS = 0x8913, 0x8914  # ioctl SIOCGIFFLAGS, SIOCSIFFLAGS
_INTERFACE_UP = 1
_INTERFACE = struct.Struct("16sH14x")  # ifreq: a name and the flags
_IO_URING_SETUP = 425

# Documentation addresses (RFC 5737, RFC 3849), and the ports of the web and of name servers.
_NOWHERE = (("192.0.2.1", 443), ("192.0.2.1", 53), ("2001:db8::1", 443))
_UNREACHABLE = ("ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT")
_REFUSED_FAMILIES = ("AF_INET", "AF_INET6", "AF_PACKET", "AF_NETLINK")
_ALLOWED = "allowed"


class Isolation(NamedTuple):
    """What was tried, and what happened: names of errors, or "allowed"."""

    interfaces_up: List[str]
    connects: Dict[str, str]
    """Empty when an interface other than lo is up and no policy was named: then the list decides."""
    inside: Dict[str, str]
    """System calls tried under the filter: socket families and io_uring."""
    confinement_error: str
    """Why a child could not be confined; empty when it could."""


def observe_isolation(confinement: Confinement, offspring: Offspring, request: Request) -> Isolation:
    """Look at the interfaces, try to connect, and try sockets from inside `confinement`.

    Behind a policy there are interfaces: what is tried then are the addresses that would answer without it.
    """
    interfaces_up = _interfaces_up()
    if request.network == "policy":
        connects = _try_connects(request.unreachable)
    else:
        connects = {} if set(interfaces_up) - {"lo"} else _try_connects(_NOWHERE)
    inside, error = _try_inside(confinement, offspring)
    return Isolation(interfaces_up, connects, inside, error)


def raise_loopback() -> None:
    """Bring lo up for workloads that may open sockets; where this process may not, it stays as it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, contextlib.suppress(PermissionError):
        flags = _interface_flags(channel, "lo") | _INTERFACE_UP
        fcntl.ioctl(channel, _SET_INTERFACE_FLAGS, _INTERFACE.pack(b"lo", flags))


def find_leaks(isolation: Isolation, request: Request) -> List[str]:
    """List, a phrase each, what contradicts that nothing can be reached; empty when isolated."""
    if request.network == "policy":
        leaks = ["%s is reached" % where for where, outcome in isolation.connects.items() if outcome == _ALLOWED]
    else:
        leaks = ["interface %s is up" % name for name in isolation.interfaces_up if name != "lo"]
        leaks += [
            "connecting to %s gives %s" % (where, outcome)
            for where, outcome in isolation.connects.items()
            if outcome not in _UNREACHABLE
        ]
    if isolation.confinement_error:
        return [*leaks, "a run can't be confined (%s)" % isolation.confinement_error]
    if isolation.inside["io_uring"] not in ("EPERM", "ENOSYS"):
        leaks.append("io_uring is not refused in a run")
    if request.sockets == "none":
        leaks += [
            "%s is not refused in a run" % name for name in _REFUSED_FAMILIES if isolation.inside[name] != "EACCES"
        ]
    return leaks


def _interfaces_up() -> List[str]:
    """Interfaces of this network namespace that are up; /sys would show those of the namespace that mounted it."""
    with open("/proc/self/net/dev") as table:
        names = [line.partition(":")[0].strip() for line in table if ":" in line]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        return [name for name in names if _interface_flags(channel, name) & _INTERFACE_UP]


def _interface_flags(channel: socket.socket, name: str) -> int:
    answer = fcntl.ioctl(channel, _GET_INTERFACE_FLAGS, _INTERFACE.pack(name.encode(), 0))
    return int(_INTERFACE.unpack(answer)[1])


def _try_connects(addresses: Iterable[Tuple[str, int]]) -> Dict[str, str]:
    return {"%s:%d" % (host, port): _try_connect(host, port) for host, port in addresses}


def _try_connect(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(1.0)
            attempt.connect((host, port))
    except OSError as error:
        return _name(error)
    return _ALLOWED


def _try_inside(confinement: Confinement, offspring: Offspring) -> Tuple[Dict[str, str], str]:
    """Make a confined child try the calls; return what it saw, or else why it could not be confined."""
    capture = Capture()
    try:
        with confinement.prepared() as enter:

            def try_and_tell() -> None:
                enter()
                os.write(1, json.dumps(_try_calls()).encode())

            fork_child(try_and_tell, capture)
        while capture.open:
            ready, _, _ = select.select([*capture.open], [], [])
            for descriptor in ready:
                capture.read(descriptor)
        offspring.settle(1.0)
    except OSError as error:
        return {}, str(error)
    finally:
        capture.close()
    return (json.loads(capture.printed), "") if capture.printed else ({}, capture.tail.strip())


def _try_calls() -> Dict[str, str]:
    seen = {name: _try_family(name) for name in ("AF_UNIX", *_REFUSED_FAMILIES)}
    try:
        kernel.syscall("io_uring_setup", _IO_URING_SETUP, 1, None)
    except OSError as error:
        seen["io_uring"] = _name(error)
    return seen


def _try_family(name: str) -> str:
    try:
        socket.socket(getattr(socket, name), socket.SOCK_DGRAM).close()
    except OSError as error:
        return _name(error)
    return _ALLOWED


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "no answer")  # a time-out has no number

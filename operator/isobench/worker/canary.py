"""The canary: answers whoever connects, so that pods which can't reach it are known to be cut off."""

import contextlib
import socket
from typing import NoReturn

from isobench.contracts.pod import CanaryRequest

ANSWER = b"isobench canary\n"


def canary(request: CanaryRequest) -> NoReturn:
    """Answer until SIGTERM."""
    with _listener(request.port) as listener:
        serve(listener)


def serve(listener: socket.socket) -> NoReturn:
    """Answer whoever connects to ``listener``."""
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # whoever looks for a sign of life need not stay for it
            connection.setblocking(False)
            connection.send(ANSWER)


def _listener(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
    return socket.create_server(("", port), backlog=128)

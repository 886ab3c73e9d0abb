"""The DNS of the cluster: answers for services and for nothing else.

Run as `python -m cluster.name_server KUBECONFIG ADDRESS`.
"""

import socket
import socketserver
import struct
import sys
from pathlib import Path

from cluster.watching import Client, Watched

_SUFFIX = ".svc.cluster.local"
_ADDRESS, _NO_SUCH_NAME = 1, 3


def answer(query: bytes, addresses: dict[str, str]) -> bytes:
    """The reply to one query: an A record, nothing for other types, or that there is no such name."""
    name, end = _question(query)
    (kind,) = struct.unpack("!H", query[end : end + 2])
    address = addresses.get(name)
    found = address is not None and kind == _ADDRESS
    code = 0 if address is not None else _NO_SUCH_NAME
    header = query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, int(found), 0, 0)
    reply = header + query[12 : end + 4]
    if found and address is not None:
        reply += struct.pack("!HHHIH", 0xC00C, _ADDRESS, 1, 5, 4) + socket.inet_aton(address)
    return reply


def _question(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii", "replace").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def main() -> None:
    """Serve over UDP for ever."""
    services = Watched(Client(Path(sys.argv[1])), "/api/v1/services", lambda _service: None)
    services.start()

    class Query(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, connection = self.request
            connection.sendto(answer(data, _addresses(services)), self.client_address)

    with socketserver.ThreadingUDPServer((sys.argv[2], 53), Query) as server:
        server.serve_forever()


def _addresses(services: Watched) -> dict[str, str]:
    return {
        f"{name}.{namespace}{_SUFFIX}": found["spec"]["clusterIP"]
        for (namespace, name), found in services.all()
        if found["spec"].get("clusterIP", "None") != "None"
    }


if __name__ == "__main__":
    main()

"""What stand-in and server say to each other: a request with three descriptors, then one byte back.

The descriptors are the stand-in's standard input, output and error: what the command reads and writes passes through
nobody. The stand-in may send `TERMINATE` meanwhile, and its going away ends the command.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from typing import Any, Dict, List, NamedTuple, Optional

TERMINATE = b"T"
LARGEST_REQUEST = 4 * 2**20
STREAMS = 3

_LENGTH = struct.Struct(">I")


class Malformed(Exception):
    """What was received is not a request."""


class Request(NamedTuple):
    """A command, where it starts, and its variables; None: those that the server was started with."""

    command: List[str]
    directory: str
    variables: Optional[Dict[str, str]]
    streams: List[int]


def send_request(connection: socket.socket, request: Request) -> None:
    """Send `request`; raises OSError."""
    fields = {"command": request.command, "directory": request.directory, "variables": request.variables}
    content = json.dumps(fields).encode()
    streams = array.array("i", request.streams)
    connection.sendmsg([_LENGTH.pack(len(content))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    connection.sendall(content)


def receive_request(connection: socket.socket) -> Request:
    """Receive a request, its descriptors included, which the caller closes; raises Malformed or OSError."""
    room = socket.CMSG_SPACE(STREAMS * array.array("i").itemsize)
    header, ancillary, _, _ = connection.recvmsg(_LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
    streams = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data[: len(data) - len(data) % streams.itemsize])
    try:
        _check_beginning(header, streams)
        fields = _fields(_receive(connection, _LENGTH.unpack(header)[0]))
        return Request(fields["command"], fields["directory"], fields["variables"], list(streams))
    except BaseException:
        for descriptor in streams:
            os.close(descriptor)
        raise


def _check_beginning(header: bytes, streams: "array.array[int]") -> None:
    if len(header) != _LENGTH.size or len(streams) != STREAMS:
        raise Malformed("it does not begin with a length and %d descriptors" % STREAMS)


def _receive(connection: socket.socket, length: int) -> bytes:
    if length > LARGEST_REQUEST:
        raise Malformed("it is larger than %d bytes" % LARGEST_REQUEST)
    content = b""
    while len(content) < length:
        part = connection.recv(length - len(content))
        if not part:
            raise Malformed("it was cut off")
        content += part
    return content


def _fields(content: bytes) -> Dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        raise Malformed("it is not JSON") from None
    if not isinstance(fields, dict) or set(fields) != {"command", "directory", "variables"}:
        raise Malformed("it lacks a field or has others")
    command, directory, variables = fields["command"], fields["directory"], fields["variables"]
    if not _texts(command) or not command or not isinstance(directory, str):
        raise Malformed("command and directory are not texts")
    if variables is not None and not (isinstance(variables, dict) and _texts(list(variables.values()))):
        raise Malformed("variables are not texts")
    return fields


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)

"""The process that stands in for a command which runs in another container: same streams, directory, variables, end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from typing import Dict, List

from .protocol import TERMINATE, Request, send_request

LOST = 125
"""Exit status where the command's end is not known; the last line on standard error ends with the token then."""

_START_SECONDS = 60.0
_PAUSE_SECONDS = 0.02


def run(path: str, token: str, command: List[str], own_variables: bool) -> int:
    """Run `command` where a server listens on `path`, and return its exit status.

    It gets this process's streams, directory and variables; with `own_variables` those of the server instead. `token`
    is what whoever started this process knows and the command does not.
    """
    variables = None if own_variables else _variables()
    request = Request(command, os.getcwd(), variables, [0, 1, 2])
    try:
        with _connected(path) as connection:
            # From the moment on that the command may run, it is the one to terminate.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            send_request(connection, request)
            signal.signal(signal.SIGTERM, lambda number, frame: _terminate(connection))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            answer = connection.recv(1)
    except OSError as error:
        return _lost("it can't be reached on %s (%s): does its image have python3?" % (path, error), token)
    if not answer:
        return _lost("it went away while the command ran", token)
    return answer[0]


def _variables() -> Dict[str, str]:
    """As they came: Python's own start may have added to them."""
    with open("/proc/self/environ", "rb") as file:
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in entries}


def _connected(path: str) -> socket.socket:
    """A connection to the server, which may only just be starting; raises OSError."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return connection


def _terminate(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.send(TERMINATE)


def _lost(why: str, token: str) -> int:
    sys.stderr.write("isobench: the environment's container was lost: %s [%s]\n" % (why, token))
    return LOST

"""The container's first process: serves one command at a time, and leaves nothing running when it ends.

Commands run as the same user as this process. So it is not dumpable, takes no request from inside its own container,
and after every command kills every process but itself: what a command starts can't outlive it, listen in on the next
one, or ask for a command of its own.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from typing import NoReturn, Optional

from ..probe import kernel
from ..probe.processes import Offspring
from .protocol import TERMINATE, Malformed, Request, receive_request

NOT_FOUND, NOT_STARTED = 127, 126

_REQUEST_SECONDS = 10.0
_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group


def serve(path: str) -> NoReturn:
    """Listen on the Unix socket `path` for ever; SIGTERM ends it at once."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    os.umask(0o002)
    kernel.hide_from_debuggers()
    kernel.adopt_orphans()
    offspring = Offspring()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        _bind(listener, path)
        listener.listen(8)
        while True:
            connection, _ = listener.accept()
            with connection:
                _serve(connection, offspring)


def _bind(listener: socket.socket, path: str) -> None:
    """Take the place of a server that is gone."""
    if os.path.exists(path):
        os.unlink(path)
    listener.bind(path)
    os.chmod(path, 0o660)


def _serve(connection: socket.socket, offspring: Offspring) -> None:
    if _is_inside(connection):
        return
    connection.settimeout(_REQUEST_SECONDS)
    try:
        request = receive_request(connection)
    except (Malformed, OSError) as error:
        sys.stderr.write("runner: a request was refused: %s\n" % error)
        return
    connection.settimeout(None)
    try:
        code = _run(request, connection, offspring)
    finally:
        for descriptor in request.streams:
            os.close(descriptor)
        offspring.kill()
    if code is not None:
        with contextlib.suppress(OSError):  # whoever asked is gone
            connection.send(bytes([code]))


def _is_inside(connection: socket.socket) -> bool:
    """Whether a process of this container asks: its number is known here; one from outside is shown as 0.

    Told by the kernel at the time of connecting, so that it holds for a process that is gone by now too.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return os.getpid() == 1 and bool(_CREDENTIALS.unpack(credentials)[0])


def _run(request: Request, connection: socket.socket, offspring: Offspring) -> Optional[int]:
    """Run the command and return its exit status as a shell gives it; None when its stand-in went away."""
    variables = os.environ if request.variables is None else request.variables
    stdin, stdout, stderr = request.streams
    try:
        child = subprocess.Popen(
            request.command,
            cwd=request.directory,
            env={os.fsencode(name): os.fsencode(value) for name, value in variables.items()},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.write(stderr, ("%s can't be started here: %s\n" % (request.command[0], error)).encode(errors="replace"))
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED
    return _follow(child.pid, connection, offspring)


def _follow(pid: int, connection: socket.socket, offspring: Offspring) -> Optional[int]:
    while True:
        for ended, status in offspring.reap():
            if ended == pid:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        ready, _, _ = select.select([connection.fileno(), offspring.wakeup], [], [])
        if connection.fileno() in ready:
            if not _is_there(connection):
                return None
            os.killpg(pid, signal.SIGTERM)


def _is_there(connection: socket.socket) -> bool:
    """Whether what can be read is the wish to terminate the command, not the end of its stand-in."""
    try:
        return connection.recv(1) == TERMINATE
    except OSError:
        return False

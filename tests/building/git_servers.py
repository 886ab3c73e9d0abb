"""Git servers on the loopback: a real daemon, plain files over HTTP, and ones that refuse, break off or hang."""

import functools
import http.server
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from building.loopback import LOOPBACK, free_port, serving


@contextmanager
def git_daemon(folder: Path) -> Iterator[int]:
    """The port of a git daemon that serves every repository below `folder`, each with its own settings."""
    port = free_port()
    listen = [f"--listen={LOOPBACK}", f"--port={port}", "--reuseaddr", "--informative-errors"]
    daemon = subprocess.Popen(
        ["git", "-c", "safe.directory=*", "daemon", *listen, "--export-all", "--verbose", f"--base-path={folder}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert daemon.stderr is not None
        assert "Ready to rumble" in daemon.stderr.readline()
        threading.Thread(target=daemon.stderr.read, daemon=True).start()
        yield port
    finally:
        daemon.terminate()
        daemon.wait()


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def plain_files(folder: Path) -> Iterator[str]:
    """The address of a web server that knows nothing of git (a repository needs `git update-server-info`)."""
    with serving(functools.partial(_Files, directory=str(folder))) as address:
        yield f"http://{address}"


@contextmanager
def answering(status: int, seen: list[str | None]) -> Iterator[str]:
    """The address of a web server that answers every request with `status` and notes its Authorization in `seen`."""

    class Refusal(_Files):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

    with serving(Refusal) as address:
        yield f"http://{address}"


class BreakingProxy:
    """Resets its first `breaks` connections and passes the others on to `port`; hangs for ever without a port."""

    def __init__(self, port: int | None, breaks: int = 0) -> None:
        self.connections = 0
        self.reached = threading.Event()
        self.forward_to = port
        self._breaks = breaks
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def wait_until_left(self, seconds: float = 60) -> None:
        """Return once the first client, left without an answer, has hung up; TimeoutError if it doesn't."""
        client = self._open[0]
        client.settimeout(seconds)
        with suppress(ConnectionResetError):
            while client.recv(1 << 16):
                pass

    def close(self) -> None:
        for connection in (self._listener, *self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self.connections += 1
                self._answer(client)
                self.reached.set()

    def _answer(self, client: socket.socket) -> None:
        if self.connections <= self._breaks:
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif self.forward_to is not None:
            server = socket.create_connection((LOOPBACK, self.forward_to))
            self._open.append(server)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pass_on, args=(source, sink), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

"""A real S3 server alone, on loopback, over a folder; needs no root."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries

KEYS = {"AWS_ACCESS_KEY_ID": "isobench-test", "AWS_SECRET_ACCESS_KEY": "isobench-test-secret"}


@dataclass
class S3Server:
    """A server on a port of its own, which may go away and come back."""

    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = binaries.ensure(("versitygw",)) / "versitygw"
        command = [str(program), "--port", f"127.0.0.1:{self.port}", "--region", "us-east-1", "--quiet"]
        access = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
        self._process = subprocess.Popen(
            [*command, "posix", str(self.folder)], env=os.environ | access, stdout=subprocess.DEVNULL
        )
        while True:
            assert self._process.poll() is None, "the S3 server has ended"
            with closing(socket.socket()) as attempt:
                if attempt.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server that keeps its buckets, each a folder, in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]
    server = S3Server(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()

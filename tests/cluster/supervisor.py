"""Process 1 of a cluster's namespaces: starts and stops programs by name; when it ends, the kernel ends all of them.

Run as `supervisor.py FOLDER` in new mount, network and process namespaces. It answers one JSON line a connection on
FOLDER/control.sock, and writes what each program prints to FOLDER/logs/NAME.log. Standard library only.
"""

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

# What a node's programs write outside the cluster's folder whatever they are told: kept from the machine's own.
_PRIVATE = ("/run", "/var/lib", "/var/log")


class Programs:
    """What runs, by name, and the exit codes of what has ended."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, int] = {}
        self._ended = threading.Condition()

    def start(self, name: str, argv: list[str], env: dict[str, str]) -> dict[str, Any]:
        """Start a program under a name that nothing runs under."""
        with self._ended:
            if name in self._running:
                return {"error": f"{name} runs already, as process {self._running[name]}"}
            with (self._logs / f"{name}.log").open("ab") as log:
                streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
                process = subprocess.Popen(argv, env=os.environ | env, start_new_session=True, **streams)
            # The loop below reaps it; a second wait would take another process's exit code for this one's.
            process.returncode = 0
            self._running[name] = process.pid
            return {"pid": process.pid}

    def stop(self, name: str, seconds: float) -> dict[str, Any]:
        """End a program: politely, then not."""
        with self._ended:
            for sent, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 30.0)):
                if name in self._running:
                    os.kill(self._running[name], sent)
                    self._ended.wait_for(lambda: name not in self._running, patience)
            return {"stopped": name not in self._running}

    def signal(self, name: str, number: int) -> dict[str, Any]:
        """Send a signal, such as SIGSTOP, to a program that runs."""
        with self._ended:
            if name not in self._running:
                return {"error": f"{name} does not run"}
            os.kill(self._running[name], number)
            return {}

    def list(self) -> dict[str, Any]:
        """The process of each name."""
        with self._ended:
            return {"running": dict(self._running)}

    def reap_for_ever(self) -> None:
        """Collect every child, the orphans of others included."""
        while True:
            try:
                pid, _ = os.wait()
            except ChildProcessError:
                threading.Event().wait(0.05)
                continue
            with self._ended:
                for name in [name for name, running in self._running.items() if running == pid]:
                    del self._running[name]
                self._ended.notify_all()


def serve(folder: Path) -> None:
    """Answer on the control socket for ever."""
    (folder / "logs").mkdir(exist_ok=True)
    programs = Programs(folder / "logs")
    threading.Thread(target=programs.reap_for_ever, daemon=True).start()

    class Request(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked = json.loads(self.rfile.readline())
            answer = getattr(programs, asked.pop("do"))(**asked)
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    socket = folder / "control.sock"
    with socketserver.ThreadingUnixStreamServer(str(folder / "control.partial"), Request) as server:
        (folder / "control.partial").rename(socket)
        server.serve_forever()


def prepare() -> None:
    """Mounts stay in here, and the network has its own loopback."""
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    for place in _PRIVATE:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
    Path("/run/lock").mkdir()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare()
    serve(Path(sys.argv[1]))

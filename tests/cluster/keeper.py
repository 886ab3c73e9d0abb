"""Keeps the programs of a cluster: on this machine's own network as children, or in a cluster's namespaces."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Program:
    """One program of a cluster as it is started."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


class Keeper(Protocol):
    """Starts programs and ends them by name."""

    def start(self, program: Program) -> None:
        """Start it."""

    def stop(self, name: str, seconds: float = 10.0) -> None:
        """End it, and give it so long to end by itself."""

    def signal(self, name: str, number: int) -> None:
        """Send it a signal."""

    def running(self) -> list[str]:
        """The names of what runs."""

    def log(self, name: str) -> str:
        """The end of what it has printed."""


class Children:
    """Programs as children of this process; they die with it, whichever thread asked for them.

    A process that is to die with its parent dies with the thread that started it: one thread, which stays, starts all.
    """

    def __init__(self, folder: Path) -> None:
        self._starter = ThreadPoolExecutor(1)
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, program: Program) -> None:
        """Start it."""
        with (self._logs / f"{program.name}.log").open("ab") as log:
            command = ["setpriv", "--pdeathsig", "KILL", *program.argv]
            start = partial(subprocess.Popen[bytes], command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._running[program.name] = self._starter.submit(start, env=os.environ | program.env).result()

    def stop(self, name: str, seconds: float = 10.0) -> None:
        """End it, if it runs."""
        process = self._running.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def signal(self, name: str, number: int) -> None:
        """Send it a signal."""
        self._running[name].send_signal(number)

    def running(self) -> list[str]:
        """The names of what runs."""
        return sorted(name for name, process in self._running.items() if process.poll() is None)

    def log(self, name: str) -> str:
        """The end of what it has printed."""
        return (self._logs / f"{name}.log").read_text(errors="replace")[-2000:]


class Supervised:
    """Programs of a cluster's namespaces, by its supervisor's control socket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, program: Program) -> None:
        """Start it."""
        self._ask(do="start", name=program.name, argv=list(program.argv), env=dict(program.env))

    def stop(self, name: str, seconds: float = 10.0) -> None:
        """End it."""
        self._ask(do="stop", name=name, seconds=seconds)

    def signal(self, name: str, number: int) -> None:
        """Send it a signal."""
        self._ask(do="signal", name=name, number=number)

    def running(self) -> list[str]:
        """The names of what runs."""
        return sorted(self._ask(do="list")["running"])

    def log(self, name: str) -> str:
        """The end of what it has printed."""
        return (self._folder / "logs" / f"{name}.log").read_text(errors="replace")[-2000:]

    def _ask(self, **request: object) -> dict[str, list[str]]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "control.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("r") as reply:
                answer: dict[str, list[str]] = json.loads(reply.readline())
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return answer

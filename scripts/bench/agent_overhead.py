"""Measures what the gateway and the supervisor add to an agent's step, and the memory that they take.

    python scripts/bench/agent_overhead.py [--calls 200] [--steps 200]

Gateway: the same request of a long conversation to a scripted provider on loopback, straight and through the gateway's
socket, in interleaved pairs, whole and streamed. Supervisor: a step (a command is started, a file is written) of the
same program by itself and under the supervisor, five times in turn; the medians of each. Memory: the resident sets of
the gateway and of all that the supervisor starts beside the agent, while the agent waits. Prints one table and, as its
last line, the numbers as JSON.
"""

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from pairing import Act, time_pairs, what_is_added

from isobench.adapters.agents.supervisor import Bounds, Kept, Supervisor
from isobench.adapters.isolation.probe_archive import build_probe
from isobench.adapters.isolation.sandbox import open_sandbox
from isobench.adapters.models.gateway_process import Gateway, running_gateway
from llmserver import ModelServer, Says, running_model
from llmserver.metered import settings_for

AIM_MS: Final = 20.0
AIM_MIB: Final = 80.0
CONVERSATION_BYTES: Final = 100_000
ROUNDS: Final = 5
COLUMNS: Final = {"without_ms": 10, "with_ms": 8, "added_ms": 9, "added_p95_ms": 10}

STEPS: Final = """
import pathlib, statistics, subprocess, sys, time
taken = []
for number in range(int(sys.argv[1])):
    started = time.perf_counter()
    subprocess.run(["/bin/sh", "-c", "echo step"], stdout=subprocess.DEVNULL)
    pathlib.Path("step.txt").write_text("x" * 10_000)
    taken.append(time.perf_counter() - started)
pathlib.Path("median.txt").write_text(str(1000 * statistics.median(taken)))
"""
WAIT: Final = (
    "import pathlib, time\npathlib.Path('waits').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
)


class ToSocket(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, path: Path) -> None:
        """The socket is at ``path``."""
        super().__init__("gateway")
        self._path = path

    def connect(self) -> None:
        """Connect to it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def main() -> None:
    arguments = argparse.ArgumentParser(description="Measure the gateway's and the supervisor's overhead.")
    arguments.add_argument("--calls", type=int, default=200)
    arguments.add_argument("--steps", type=int, default=200)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="isobench-") as folder:
        root = Path(folder)
        with running_model([Says.tool("terminal", command="true")]) as provider:
            settings = settings_for(provider.base_url, root / "ledger.jsonl", cap=1e6, socket=root / "gateway.sock")
            with running_gateway(settings, root / "log") as gateway:
                calls = {
                    "call": compare(provider, gateway, chosen.calls, stream=False),
                    "streamed call": compare(provider, gateway, chosen.calls, stream=True),
                }
                gateway_mib = resident_mib(gateway.pid)
        report(calls, supervised_step(root, chosen.steps), gateway_mib, supervisor_mib(root))


def compare(provider: ModelServer, gateway: Gateway, calls: int, *, stream: bool) -> dict[str, float]:
    """Milliseconds of a call straight and through the gateway, as medians, and of their difference."""
    host = provider.base_url.removeprefix("http://").removesuffix("/v1")
    assert gateway.socket is not None
    straight = asker(http.client.HTTPConnection(host), "no key", stream)
    through = asker(ToSocket(gateway.socket), gateway.token, stream)
    return what_is_added(time_pairs(straight, through, calls))


def asker(connection: http.client.HTTPConnection, token: str, stream: bool) -> Act:
    """Asks with a long conversation, over one connection that is kept open."""
    messages = [{"role": "user", "content": "x" * 1_000}] * (CONVERSATION_BYTES // 1_000)
    body = json.dumps({"model": "m", "messages": messages, "max_tokens": 1_000, "stream": stream})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask() -> None:
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    return ask


def supervised_step(root: Path, steps: int) -> dict[str, float]:
    """Milliseconds of a step by itself and under the supervisor."""
    supervisor = Supervisor(build_probe(root / "probe.pyz"), open_sandbox(allow_network=False))
    rows = []
    for number in range(ROUNDS):
        alone, kept = (root / f"{name}{number}" for name in ("alone", "kept"))
        for folder in (alone, kept):
            folder.mkdir()
        command = [sys.executable, "-c", STEPS, str(steps)]
        subprocess.run(command, cwd=alone, check=True)
        supervisor.run(kept_process(command, kept), Bounds(seconds=600), root / f"control{number}")
        rows.append((median_step(alone), median_step(kept)))
    return what_is_added(rows)


def median_step(folder: Path) -> float:
    """Milliseconds of a step in ``folder``, as its program says."""
    return float((folder / "median.txt").read_text())


def kept_process(command: list[str], folder: Path) -> Kept:
    return Kept(command, {"PATH": os.environ["PATH"]}, folder, Path(sys.executable), [], [folder])


def supervisor_mib(root: Path) -> float:
    """What the supervisor's processes take while an agent waits."""
    supervisor = Supervisor(build_probe(root / "probe.pyz"), open_sandbox(allow_network=False))
    folder = root / "waiting"
    folder.mkdir()
    command = [sys.executable, "-c", WAIT]
    keeping = threading.Thread(
        target=supervisor.run, args=(kept_process(command, folder), Bounds(seconds=600), root / "waiting-control")
    )
    keeping.start()
    while not (folder / "waits").exists():
        time.sleep(0.05)
    mine = [pid for pid in descendants(os.getpid()) if WAIT.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    taken = sum(map(resident_mib, mine))
    (folder / "go").touch()
    keeping.join()
    return taken


def descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from descendants(child)


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def report(calls: Mapping[str, dict[str, float]], step: dict[str, float], gateway_mib: float, kept_mib: float) -> None:
    """Print the table and the JSON line."""
    rows = {"gateway: call": calls["call"], "gateway: streamed call": calls["streamed call"], "supervisor: step": step}
    print(f"{'':24} {'without ms':>10} {'with ms':>8} {'added ms':>9} {'added p95':>10}")
    for name, row in rows.items():
        print(f"{name:24} " + " ".join(f"{row[key]:{width}.2f}" for key, width in COLUMNS.items()))
    added = max(row["added_ms"] for row in calls.values()) + step["added_ms"]
    total = gateway_mib + kept_mib
    print(f"together: {added:.2f} ms a step (aim: <= {AIM_MS:g} ms), {total:.0f} MiB (aim: <= {AIM_MIB:g} MiB):")
    print(f"gateway {gateway_mib:.0f} MiB, supervisor {kept_mib:.0f} MiB, resident; load {os.getloadavg()[0]:.1f}")
    print(json.dumps({"aim_ms": AIM_MS, "aim_mib": AIM_MIB, "added_ms": added, "mib": total, **rows}))


if __name__ == "__main__":
    main()

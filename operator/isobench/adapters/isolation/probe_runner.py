"""Runs the probe in a sandbox: request in, progress lines while it times, result out."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from isobench.adapters.files import read_json, write_json
from isobench.adapters.isolation.sandbox import Sandbox
from isobench.contracts.reasons import ItemFailure, Reason

Progress = Callable[[dict[str, Any]], None]
ISOLATION_REFUSED = 3


@dataclass(frozen=True)
class ProbeRunner:
    """Starts probes on this machine; ``archive`` is the zipapp that `build_probe` made."""

    archive: Path
    sandbox: Sandbox

    def run(self, request: dict[str, Any], folder: Path, seconds: float, progress: Progress) -> dict[str, Any]:
        """Run one probe and return its `result.json`; ``progress`` gets every event of a block.

        Raises:
            ItemFailure: the network was not isolated, it ran past ``seconds``, or it ended without a result.
        """
        scratch, output = folder / "scratch", folder / "output"
        for directory in (scratch, output):
            directory.mkdir(parents=True, exist_ok=True)
        (output / "result.json").unlink(missing_ok=True)
        complete = request | {
            "scratch": str(scratch),
            "output": str(output),
            "network": self.sandbox.network,
            "unreachable": list(self.sandbox.unreachable),
            "termination": None,
        }
        write_json(folder / "request.json", complete)
        scratch_mib = max(1, int(request["limits"]["scratch_bytes"]) // 2**20)
        command = [self.sandbox.python, "-I", str(self.archive), str(folder / "request.json")]
        exit_code = self._follow(self.sandbox.wrap(command, scratch_mib), folder / "probe.log", seconds, progress)
        result = _result(folder, exit_code)
        return {**result, "isolation": {**self.sandbox.facts, **result["isolation"]}}

    def _follow(self, command: list[str], log: Path, seconds: float, progress: Progress) -> int:
        with log.open("wb") as errors, started(command, errors, seconds) as process:
            assert process.stdout is not None  # it was asked for
            for line in process.stdout:
                progress(json.loads(line))
            return process.wait()


def _result(folder: Path, exit_code: int) -> dict[str, Any]:
    result_file = folder / "output" / "result.json"
    if not result_file.exists():
        tail = (folder / "probe.log").read_text(encoding="utf-8", errors="replace")[-500:].strip()
        message = f"the probe ended with exit code {exit_code} and no result: {tail or 'it said nothing'}"
        raise ItemFailure(Reason.INFRASTRUCTURE_ERROR, message)
    result: dict[str, Any] = read_json(result_file)
    if exit_code == ISOLATION_REFUSED:
        raise ItemFailure(Reason.NETWORK_NOT_ISOLATED, result["message"])
    return result


@contextmanager
def started(command: list[str], errors: IO[bytes], seconds: float) -> Iterator[subprocess.Popen[str]]:
    """The process, killed with its group when the body ends or ``seconds`` are over; all it started goes with it."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    ) as process:

        def end() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        watchdog = threading.Timer(seconds, end)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            end()

"""The operator as the chart starts it, in a process of its own: the chart's flags, and its service account's token."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from building.chart import CHART
from building.loopback import LOOPBACK
from building.processes import found_in

NAMESPACE = "isobench"
ACCOUNT = "isobench-operator"


@dataclass(frozen=True)
class Operator:
    """A running operator: where it is scraped, and its process."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        """The host:port of /metrics."""
        return f"{LOOPBACK}:{self.port}"


def account_kubeconfig(folder: Path, kubectl: Callable[..., str]) -> Path:
    """A kubeconfig of the release's service account, with the cluster of the administrator's."""
    whole = yaml.safe_load(kubectl("config", "view", "--raw", "--minify"))
    token = kubectl("create", "token", ACCOUNT, "--namespace", NAMESPACE).strip()
    whole["users"] = [{"name": ACCOUNT, "user": {"token": token}}]
    whole["contexts"][0]["context"]["user"] = ACCOUNT
    path = folder / "operator.kubeconfig"
    path.write_text(json.dumps(whole))
    return path


@contextmanager
def running(folder: Path, kubeconfig: Path, kubectl: Callable[..., str], name: str) -> Iterator[Operator]:
    """The operator of the installed release, as replica ``name``; killed at the end."""
    deployment = json.loads(kubectl("get", "deployment", ACCOUNT, "-n", NAMESPACE, "--output", "json"))
    flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    own = {
        "--identity": name,
        "--metrics-port": "0",
        "--log-format": "json",
        "--configurations": str(CHART / "files" / "providers"),
        "--kubeconfig": str(kubeconfig),
        "--canary-address": f"{LOOPBACK}:1",
        "--lease-seconds": "3",
    }
    kept = [flag for flag in flags if flag.partition("=")[0] not in own]
    command = [sys.executable, "-m", "isobench.controller", *kept, *(f"{flag}={value}" for flag, value in own.items())]
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        port = found_in(log, rb'"message":"started".*"port":([0-9]+)', process)
        yield Operator(int(port), process, log)
    finally:
        process.kill()
        process.wait()

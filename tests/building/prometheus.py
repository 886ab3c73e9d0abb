"""A real Prometheus for tests: its programs, rules checked by promtool, and a server that scrapes one address."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from building.loopback import LOOPBACK
from building.processes import found_in

_TOOLS = Path(os.environ.get("ISOBENCH_TOOLS") or Path.home() / ".cache" / "isobench" / "tools") / "usr" / "bin"


def program(name: str) -> Path:
    """The path of `prometheus` or `promtool`."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:{_TOOLS}")
    assert found, f"{name} is missing: run scripts/install_prometheus.sh"
    return Path(found)


@dataclass(frozen=True)
class Prometheus:
    """A running server, asked over its HTTP API."""

    address: str

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of `/api/v1/PATH`."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that ``expression`` gives now."""
        return list(self.ask("query", query=expression)["result"])


@contextmanager
def scraping(
    folder: Path, targets: list[str], rules: dict[str, Any] | None = None, interval: str = "1s"
) -> Iterator[Prometheus]:
    """A Prometheus that keeps its data in ``folder``, scrapes ``targets`` (host:port) and evaluates ``rules``."""
    scrape = {"job_name": "isobench", "static_configs": [{"targets": targets}]}
    configuration = folder / "prometheus.yaml"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules or {"groups": []}))
    every = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    whole = {"global": every, "scrape_configs": [scrape], "rule_files": [str(folder / "rules.yaml")]}
    configuration.write_text(yaml.safe_dump(whole))
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    listen = f"--web.listen-address={LOOPBACK}:0"
    with (folder / "prometheus.log").open("wb") as log:
        server = subprocess.Popen([program("prometheus"), *options, listen], stdout=log, stderr=log)
        try:
            said = found_in(folder / "prometheus.log", rb'msg="Listening on" address=(\S+)', server)
            yield Prometheus(f"http://{said}")
        finally:
            server.terminate()
            server.wait(timeout=30)

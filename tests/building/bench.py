"""A folder in which isobench is run as a person runs it: by its command line, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

QUICK = {"warmup": 1, "minPairs": 8, "maxPairs": 10}
"""The least timing that gives an interval."""

TOOLS = ("git", "setpriv", "unshare", "mount", "sh")

Event = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """The folder, `.work` and `data` of its runs in it; a person's home lies beside it."""

    folder: Path

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)

    @property
    def work(self) -> Path:
        return self.folder / ".work"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def home(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}-home")

    def manifest(
        self,
        name: str,
        repository: str | Path,
        commits: Sequence[dict[str, Any]],
        *,
        inputs: Any = None,
        **template: Any,
    ) -> Path:
        """A batch manifest in the folder, with quick timing unless the ``template`` says otherwise."""
        shared = {"repository": {"url": str(repository)}, "timing": QUICK} | template
        document = {
            "apiVersion": "isobench.dev/v1alpha1",
            "kind": "CommitBenchmarkBatch",
            "metadata": {"name": name},
            "spec": {"commits": list(commits), "template": shared, "inputs": inputs},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run isobench to its end."""
        return subprocess.run(_command(arguments), **self._streams(), check=False)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start isobench."""
        return subprocess.Popen(_command(arguments), **self._streams())

    def rows(self, dataset: str) -> list[dict[str, Any]]:
        """The dataset's records, each line strictly valid JSON."""
        text = (self.data / f"{dataset}.jsonl").read_text()
        assert text.endswith("\n")
        return [strict_json(line) for line in text.splitlines()]

    def items(self, batch: str) -> dict[str, Path]:
        """The folders of the newest run's items by head commit, in the batch's order."""
        run = strict_json((self.work / "state" / "batches" / f"{batch}.json").read_text())
        runs = self.work / "state" / "runs"
        return {row["head"]: runs / row["run_id"] / row["item_id"] for row in run["items"]}

    @property
    def environment(self) -> dict[str, str]:
        """A person's variables: a home, the tools that isobench needs, and no registry."""
        folders = [Path(os.path.realpath(sys.executable)), *(Path(shutil.which(tool) or "/bin/sh") for tool in TOOLS)]
        path = ":".join(dict.fromkeys(str(tool.parent) for tool in folders))
        return {"PATH": path, "HOME": str(self.home), "UV_OFFLINE": "1"}

    def _streams(self) -> dict[str, Any]:
        return {
            "cwd": self.folder,
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "start_new_session": True,
        }


def _command(arguments: Sequence[str | Path]) -> list[str]:
    return [sys.executable, "-m", "isobench", *map(str, arguments)]


def strict_json(text: str) -> Any:
    """JSON as the standard has it: without NaN and infinities."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def events_of(printed: str) -> list[Event]:
    """What `--json` printed: one event a line."""
    return [strict_json(line) for line in printed.splitlines()]


def wait_for(process: subprocess.Popen[str], kind: str, **values: Any) -> list[Event]:
    """Read what a run tells until an event of that kind with these values, and return all up to it."""
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(strict_json(line))
        if events[-1]["event"] == kind and values.items() <= events[-1].items():
            return events
    raise AssertionError(f"the run ended without {kind} {values}; it told {events}")


def told(events: Sequence[Event], kind: str) -> list[Event]:
    """The events of one kind."""
    return [event for event in events if event["event"] == kind]

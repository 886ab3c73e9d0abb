"""isobench's flow for a batch of commits, by its command line: what each item cost, and a pause before each."""

import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from isobench.adapters.files import read_json, read_model
from isobench.cli import isobench
from isobench.contracts.objects import BatchCommit, BatchSpec, BatchTemplate, CommitBenchmarkBatch, Metadata
from isobench.contracts.spec import EfficiencyTest, EnvironmentSpec, RepositorySpec, TimingSpec
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.engine.workspace import Workspace

NAME: Final = "local-pipeline"
PAIRS: Final = 10
"""The fewest that give a verdict by the defaults: what is timed is of no interest here."""


class Pair(NamedTuple):
    """One commit of the comparison, full hashes."""

    base: str
    head: str
    test: str


class Cost(NamedTuple):
    """What one item cost besides its timed runs, in seconds, and by stage; how it ended."""

    seconds: float
    stages: dict[str, float]
    outcome: str


@dataclass(frozen=True)
class NewFlow:
    """Runs one batch below ``folder``, which must be absent for its first item to be a first one."""

    source: str
    python: str
    folder: Path

    def run(self, pairs: Sequence[Pair], pause: Callable[[int], None]) -> list[Cost]:
        """The cost of every item; `pause` is called with an item's number right before it, and is not part of it."""
        self.folder.mkdir(parents=True)
        manifest = self.folder / "batch.yaml"
        manifest.write_text(yaml.safe_dump(self._batch(pairs).manifest(), sort_keys=False), encoding="utf-8")
        reader = _EventReader(self.folder / "work", len(pairs), pause)
        places = ["--work-root", str(reader.work_root), "--data-dir", str(self.folder / "data")]
        with redirect_stdout(reader):
            isobench.main(["run", str(manifest), "--json", *places], standalone_mode=False)
        return reader.costs

    def _batch(self, pairs: Sequence[Pair]) -> CommitBenchmarkBatch:
        template = BatchTemplate(
            repository=RepositorySpec(url=self.source),
            environment=EnvironmentSpec(python=self.python),
            timing=TimingSpec(warmup=0, min_pairs=PAIRS, max_pairs=PAIRS),
        )
        commits = [BatchCommit(head=pair.head, base=pair.base, test=EfficiencyTest(inline=pair.test)) for pair in pairs]
        return CommitBenchmarkBatch(metadata=Metadata(name=NAME), spec=BatchSpec(commits=commits, template=template))


class _EventReader(io.StringIO):
    """The run's standard output: the run waits while an event is written, and goes on with the next item after that."""

    def __init__(self, work_root: Path, items: int, pause: Callable[[int], None]) -> None:
        super().__init__()
        self.work_root = work_root
        self.costs: list[Cost] = []
        self._items = items
        self._pause = pause
        self._began = 0.0

    def write(self, text: str) -> int:
        for line in text.splitlines():
            event = json.loads(line)
            if event["event"] == "ItemEnded":
                self.costs.append(self._cost(event, time.perf_counter() - self._began))
            if event["event"] in ("RunStarted", "ItemEnded") and len(self.costs) < self._items:
                self._pause(len(self.costs))
                self._began = time.perf_counter()
        return len(text)

    def _cost(self, event: dict[str, str], elapsed: float) -> Cost:
        (folder,) = (self.work_root / "state" / "runs").glob(f"**/{event['item']}")
        workspace = Workspace(folder)
        timed_runs = _timed_runs(workspace)
        stages = _stages(workspace)
        if StageName.TIMING in stages:
            stages[StageName.TIMING] -= timed_runs
        return Cost(elapsed - timed_runs, stages, event["reason"])


def _timed_runs(workspace: Workspace) -> float:
    """Seconds of wall time that the test's own processes took."""
    result = workspace.probe("timing") / "output" / "result.json"
    return sum(sample["wall_ms"] for sample in read_json(result)["samples"]) / 1000 if result.exists() else 0.0


def _stages(workspace: Workspace) -> dict[str, float]:
    return {
        stage.name.value: (stage.finished_at - stage.started_at).total_seconds()
        for stage in read_model(workspace.status, CommitBenchmarkStatus).stages
        if stage.started_at and stage.finished_at
    }

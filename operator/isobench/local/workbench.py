"""The stages of one batch on this machine: each with the ports that it reaches the outside world by."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from isobench.adapters.dataset import DatasetFile
from isobench.adapters.environments import EnvironmentBuilder, find_uv
from isobench.adapters.probe_archive import build_probe
from isobench.adapters.probe_runner import ProbeRunner
from isobench.adapters.repositories import RepoManager
from isobench.adapters.sandbox import open_sandbox
from isobench.contracts.base import InvalidInput
from isobench.contracts.spec import CommitBenchmarkSpec, RepositorySpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import StageName
from isobench.engine.plan import ItemPlan, plan_item
from isobench.local.batch_state import BatchState, Item
from isobench.local.events import Listener, StageProgress
from isobench.local.inputs import Supplies
from isobench.stages import collect, prepare, timing, validate

GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


@dataclass
class Workbench:
    """Runs stages for the executor."""

    state: BatchState
    supplies: Supplies
    data_dir: Path
    allow_network: bool
    tell: Listener

    def plan_of(self, item: Item) -> ItemPlan:
        """The stages that ``item`` passes here."""
        supplied = item.spec.test.inline is not None or self.supplies.test(item.spec.commits.head) is not None
        return plan_item(item.spec, test_supplied=supplied, suspended=self.state.batch.spec.suspend)

    def run_stage(self, item: Item, request: StageRequest) -> StageResult:
        """Do one attempt at one stage."""
        stages: Mapping[StageName, Callable[[Item, StageRequest], StageResult]] = {
            StageName.PREPARE: self._prepare,
            StageName.VALIDATE: self._validate,
            StageName.TIMING: self._time,
            StageName.COLLECT: self._collect,
        }
        return stages[request.stage](item, request)

    def _prepare(self, item: Item, request: StageRequest) -> StageResult:
        ports = prepare.PreparePorts(
            workspace=item.workspace,
            clock=now,
            repository=lambda repository: RepoManager(self.state.root.path, repository.url),
            main_commit=self._main_commit,
            builder=self._builder,
            trees=self.state.root.trees,
            supplied_test=self.supplies.test,
            recorded=self._dataset(item.spec).holds,
            has_gpu=any(device.exists() for device in GPU_DEVICES),
            tell=lambda text: self.tell(StageProgress(item=item.item_id, stage=request.stage, text=text)),
        )
        return prepare.run(request, ports)

    def _validate(self, item: Item, request: StageRequest) -> StageResult:
        return validate.run(request, self._timing_ports(item, request))

    def _time(self, item: Item, request: StageRequest) -> StageResult:
        return timing.run(request, self._timing_ports(item, request))

    def _collect(self, item: Item, request: StageRequest) -> StageResult:
        ports = collect.CollectPorts(
            workspace=item.workspace, clock=now, dataset=self._dataset(item.spec), status=item.status
        )
        return collect.run(request, ports)

    def _timing_ports(self, item: Item, request: StageRequest) -> timing.TimingPorts:
        def progress(event: dict[str, Any]) -> None:
            self.tell(_progress(item.item_id, request.stage, event))

        return timing.TimingPorts(
            workspace=item.workspace,
            clock=now,
            probe=self._probe,
            cores=highest_cores(item.spec.timing.cores),
            progress=progress,
        )

    def _main_commit(self, repository: RepoManager, spec: RepositorySpec) -> str:
        return self.state.main_commit(spec.url, lambda: repository.main_commit(spec.main_ref))

    def _dataset(self, spec: CommitBenchmarkSpec) -> DatasetFile:
        folder = store_folder(spec.output.store, self.data_dir)
        name = (spec.output.dataset or self.state.batch.metadata.name).replace("/", "__")
        return self._datasets.setdefault(folder / name, DatasetFile(folder / f"{name}.jsonl", self.state.root.locks))

    @cached_property
    def _datasets(self) -> dict[Path, DatasetFile]:
        return {}

    @cached_property
    def _builder(self) -> EnvironmentBuilder:
        return EnvironmentBuilder(self.state.root.path, find_uv())

    @cached_property
    def _probe(self) -> ProbeRunner:
        return ProbeRunner(build_probe(self.state.root.probe), open_sandbox(allow_network=self.allow_network))


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def highest_cores(count: int) -> Sequence[int]:
    """The highest ``count`` CPUs that this process may use: the lowest serve most interrupts.

    Raises:
        InvalidInput: there are not so many.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if count > len(allowed):
        raise InvalidInput("timing.cores", [f"{count} cores are asked for and {len(allowed)} may be used here"])
    return allowed[-count:]


def store_folder(store: str, data_dir: Path) -> Path:
    """The local folder of a store; the default store is the configured data folder.

    Raises:
        InvalidInput: the store is not on this machine.
    """
    parts = urlsplit(store)
    if parts.scheme != "file":
        raise InvalidInput("output.store", [f"{store} is not on this machine; use file://<folder>"])
    if store == "file://data":
        return data_dir
    return Path(unquote(parts.netloc + parts.path))


def _progress(item: str, stage: StageName, event: dict[str, Any]) -> StageProgress:
    """A block's event for a person: the probe speaks of log ratios, people of speed-ups."""
    text = f"{event['pairs']} pairs"
    interval = event["comparisons"].get("base:head")
    if interval is None:
        return StageProgress(item=item, stage=stage, text=text, pairs=event["pairs"])
    return StageProgress(
        item=item,
        stage=stage,
        text=text,
        pairs=event["pairs"],
        speedup=math.exp(interval["estimate"]),
        ci_low=math.exp(interval["low"]),
        ci_high=math.exp(interval["high"]),
    )

"""The stages of one batch on this machine: each with the ports that it reaches the outside world by."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from isobench.adapters.dataset import DatasetFile
from isobench.adapters.files import read_model
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.inputs import Supplies
from isobench.adapters.isolation.containers import Container
from isobench.contracts.base import InvalidInput
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.record import Record
from isobench.contracts.spec import CommitBenchmarkSpec, OutputSpec, RepositorySpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import StageName
from isobench.engine.dataset_names import dataset_file_name
from isobench.engine.plan import ItemPlan, plan_item
from isobench.engine.probe_request import highest_cores
from isobench.engine.settings import EffectiveConfiguration
from isobench.local.batch_budget import BatchBudget, open_budget
from isobench.local.batch_state import BatchState, Item
from isobench.local.events import Listener, StageProgress, progress_of
from isobench.local.places import Places
from isobench.local.turns import Turns
from isobench.stages import build_agent, collect, prepare, timing, validate
from isobench.stages.attempt import refused
from isobench.stages.build import BuildPorts
from isobench.stages.fetch import FetchPorts

GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


@dataclass
class Workbench:
    """Runs stages for the executor."""

    state: BatchState
    supplies: Supplies
    data_dir: Path
    allow_network: bool
    container: bool
    settings: EffectiveConfiguration
    tell: Listener
    _budget: BatchBudget = field(init=False)
    _turns: Turns = field(init=False)
    _places: Places = field(init=False)

    def __post_init__(self) -> None:
        """Learn what was spent before any item can spend more."""
        self._budget = open_budget(self.state)
        self._turns = Turns(self.state.batch.spec.agent_parallelism)
        self._places = Places(self.state.root, self.allow_network)

    def plan_of(self, item: Item) -> ItemPlan:
        """The stages that ``item`` passes here."""
        supplied = item.spec.test.inline is not None or self.supplies.has_test(item.spec.commits.head)
        return plan_item(item.spec, test_supplied=supplied, suspended=self.state.batch.spec.suspend)

    def container_of(self, image: str | None) -> Container:
        """Containers of the image of that name or identity.

        Raises:
            InvalidInput: no engine works here, no image is named, or it is not here.
        """
        return self._places.container(image)

    def run_stage(self, item: Item, request: StageRequest) -> StageResult:
        """Do one attempt at one stage; what keeps it from being set up ends the attempt, never the batch."""
        stages: Mapping[StageName, Callable[[Item, StageRequest], StageResult]] = {
            StageName.PREPARE: self._prepare,
            StageName.GENERATE: self._generate,
            StageName.VALIDATE: self._validate,
            StageName.AGENT: self._agent,
            StageName.BUILD_AGENT: self._build_agent,
            StageName.TIMING: self._time,
            StageName.COLLECT: self._collect,
        }
        started = now()
        try:
            return stages[request.stage](item, request)
        except (ItemFailure, InvalidInput) as error:
            return refused(request, error, started, now())

    def _prepare(self, item: Item, request: StageRequest) -> StageResult:
        image = self.container_of(item.spec.environment.image).image.identity if self.container else None
        dataset = self._dataset(item.spec)

        def tell(text: str) -> None:
            self.tell(StageProgress(item=item.item_id, stage=request.stage, text=text))

        fetching = FetchPorts(
            workspace=item.workspace,
            repository=self._repository,
            main_commit=self._main_commit,
            trees=self.state.root.trees,
            supplied_test=self.supplies.test,
            # an online result joins the record that is there, or takes an offline one's place
            recorded=lambda repo, head: not item.spec.attempted and dataset.holds(repo, head),
            has_gpu=any(device.exists() for device in GPU_DEVICES),
            tell=tell,
        )
        building = BuildPorts(
            workspace=item.workspace,
            builder=self._places.builder(image),
            image=image,
            tell=tell,
        )
        ports = prepare.PreparePorts(clock=now, fetch=fetching, build=building)
        return prepare.run(request, ports)

    def _generate(self, item: Item, request: StageRequest) -> StageResult:
        # The openai package takes longer to import than everything else: only a run that asks a model pays for it.
        from isobench.adapters.models.llm import LLMConfigManager
        from isobench.stages import generate

        asked = item.spec.test.generate
        assert asked is not None  # else the plan has no such stage
        ports = generate.GeneratePorts(
            workspace=item.workspace,
            clock=now,
            llm=LLMConfigManager(self.settings.configuration, self.settings.variables),
            extraction=self.supplies.extraction,
            grant=lambda: self._budget.grant(item.workspace, asked.budget_usd),
        )
        return generate.run(request, ports)

    def _validate(self, item: Item, request: StageRequest) -> StageResult:
        return validate.run(request, self._timing_ports(item, request))

    def _agent(self, item: Item, request: StageRequest) -> StageResult:
        from isobench.adapters.models.llm import LLMConfigManager
        from isobench.local.agent_bench import AgentBench
        from isobench.stages import agent

        llm = LLMConfigManager(self.settings.configuration, self.settings.variables)
        bench = AgentBench(self.state.root, llm, self.supplies, self._budget, self._turns, now, self.container)
        places, repository = self._places, lambda: self._repository(item.spec.repository)
        ports = bench.ports(item, repository, places.supervisor, places.probe)
        return agent.run(request, ports)

    def _build_agent(self, item: Item, request: StageRequest) -> StageResult:
        timing_ports = self._timing_ports(item, request)
        image = read_model(item.workspace.prepared, Prepared).image
        ports = build_agent.BuildAgentPorts(
            workspace=item.workspace,
            clock=now,
            trees=self.state.root.trees,
            rooms=self.state.root.agents,
            builder=self._places.builder(image),
            probe=timing_ports.probe,
            supervisor=self._places.supervisor,
            cores=timing_ports.cores,
            progress=timing_ports.progress,
        )
        return build_agent.run(request, ports)

    def _time(self, item: Item, request: StageRequest) -> StageResult:
        return timing.run(request, self._timing_ports(item, request))

    def _collect(self, item: Item, request: StageRequest) -> StageResult:
        dataset = self._dataset(item.spec)

        def store(record: Record) -> str:
            dataset.store(record)
            return address_of(dataset.path)

        ports = collect.CollectPorts(
            workspace=item.workspace,
            clock=now,
            status=item.status,
            store=store,
            folder=f"state/runs/{item.run_id}/{item.item_id}",
            uri=address_of,
        )
        return collect.run(request, ports)

    def _timing_ports(self, item: Item, request: StageRequest) -> timing.TimingPorts:
        def progress(event: dict[str, Any]) -> None:
            self.tell(progress_of(item.item_id, request.stage, event))

        return timing.TimingPorts(
            workspace=item.workspace,
            clock=now,
            probe=lambda prepared: self._places.probe_runner(prepared.image, item.workspace),
            cores=highest_cores(item.spec.timing.cores, os.sched_getaffinity(0)),
            progress=progress,
        )

    def _repository(self, spec: RepositorySpec) -> RepoManager:
        """One manager for all items of a repository: what it has asked of git once, it knows."""
        if spec.url not in self._repositories:
            self._repositories[spec.url] = RepoManager(self.state.root.path, spec.url)
        return self._repositories[spec.url]

    @cached_property
    def _repositories(self) -> dict[str, RepoManager]:
        return {}

    def _main_commit(self, repository: RepoManager, spec: RepositorySpec) -> str:
        return self.state.main_commit(spec.url, lambda: repository.main_commit(spec.main_ref))

    def _dataset(self, spec: CommitBenchmarkSpec) -> DatasetFile:
        path = dataset_path(spec.output, self.data_dir)
        return self._datasets.setdefault(path, DatasetFile(path))

    @cached_property
    def _datasets(self) -> dict[Path, DatasetFile]:
        return {}


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def address_of(path: Path) -> str:
    """A file's address for people."""
    return path.absolute().as_uri()


def dataset_path(output: OutputSpec, data_dir: Path) -> Path:
    """The dataset file that ``output`` names on this machine.

    Raises:
        InvalidInput: the store is not on this machine.
    """
    assert output.dataset is not None  # an item's output names it, by its batch if by nothing else
    return store_folder(output.store, data_dir) / dataset_file_name(None, output.dataset)


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

"""A plan: which commits become items, which are dropped as duplicates, and the batch manifests that hold them."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.objects import (
    COMMITS_PER_BATCH,
    BatchCommit,
    BatchSpec,
    BatchTemplate,
    CommitBenchmarkBatch,
    Metadata,
    PublishSpec,
)
from isobench.contracts.spec import EfficiencyTest, GenerateSpec, InputsSpec, OutputSpec, RepositorySpec, SecretRef
from isobench.engine.dataset_names import dataset_file_name

LONGEST_NAME = 46
"""Characters of a plan's name: the 50 that a batch may have on a cluster, less a dash and a part's number."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One commit to benchmark: its base by hash, or as the ``parent``-th parent of head (1 is the first)."""

    head: str
    base: str | None
    origin: str
    """The file or line that asks for it."""
    parent: int = 1


@dataclass(frozen=True, slots=True)
class ForCluster:
    """What manifests say on a cluster beyond one machine's: where things are kept, and which Secrets open them."""

    store: str | None = None
    endpoint: str | None = None
    store_secret: str | None = None
    inputs_to: str | None = None
    inputs_secret: str | None = None
    llm_secret: str | None = None
    hub_secret: str | None = None
    parallelism: int = 1

    def output(self, dataset: str) -> OutputSpec:
        """Where the records of ``dataset`` go."""
        if self.store is None:
            return OutputSpec(dataset=dataset)
        secret = _secret(self.store_secret)
        return OutputSpec(store=self.store, dataset=dataset, endpoint=self.endpoint, secret_ref=secret)

    def inputs(self, uri: str, sha256: str) -> InputsSpec:
        """The archive at ``uri``."""
        endpoint = self.endpoint if uri.startswith("s3:") else None
        return InputsSpec(uri=uri, sha256=sha256, endpoint=endpoint, secret_ref=_secret(self.inputs_secret))

    def publish(self, spec: PublishSpec | None) -> PublishSpec | None:
        """``spec`` with the Secret that holds the hub's token."""
        return spec and spec.model_copy(update={"secret_ref": _secret(self.hub_secret)})


def _secret(name: str | None) -> SecretRef | None:
    return SecretRef(name=name) if name else None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a person asks for beyond the configuration."""

    name: str | None = None
    mode: Literal["offline", "online"] = "offline"
    generate: bool = False
    agent_all: bool = False
    budget_usd: float | None = None
    cluster: ForCluster = ForCluster()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all manifests of a plan have in common."""

    name: str
    template: BatchTemplate
    budget_usd: float | None
    publish: PublishSpec | None
    cluster: ForCluster = ForCluster()


def without_duplicates(items: Iterable[PlannedItem]) -> tuple[list[PlannedItem], list[str]]:
    """The first item of each head, and a line for every other one: a dataset holds one record per head."""
    first: dict[str, PlannedItem] = {}
    dropped = []
    for item in items:
        if item.head in first:
            dropped.append(f"{item.origin}: commit {item.head} is planned by {first[item.head].origin} already")
        else:
            first[item.head] = item
    return list(first.values()), dropped


def shared_of(configuration: Configuration, url: str, slug: str, options: PlanOptions) -> Shared:
    """What a plan over the repository ``slug`` at ``url`` says once.

    Raises:
        InvalidInput: the name holds nothing that a batch can be called, or `hf_repo` names no repository.
    """
    if configuration.publish.push_to_hf and not configuration.publish.hf_repo:
        raise InvalidInput("publish.hf_repo", ["is missing and push_to_hf is on; name owner/name, or turn it off"])
    called = options.name or configuration.output.dataset_name or slug.rpartition("/")[2]
    llm = configuration.llm
    cluster, key = options.cluster, _secret(options.cluster.llm_secret)
    asked = GenerateSpec(provider=llm.provider, model=llm.model, budget_usd=llm.budget_usd, secret_ref=key)
    agent = configuration.agent if key is None else configuration.agent.model_copy(update={"secret_ref": key})
    template = BatchTemplate(
        mode=options.mode,
        repository=RepositorySpec(url=url, main_ref=configuration.repository.main_ref),
        environment=configuration.environment,
        test=EfficiencyTest(generate=asked if options.generate else None),
        agent=agent.model_copy(update={"enabled": True}) if options.agent_all else agent,
        timing=configuration.timing,
        output=cluster.output(_dataset_name(configuration, called)),
        api=configuration.output.api,
    )
    publish = cluster.publish(configuration.publish.spec())
    return Shared(_batch_name(called), template, options.budget_usd, publish, cluster)


def _batch_name(called: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", called.lower())[:LONGEST_NAME].strip("-")
    if not name:
        problem = f"{called!r} holds no letter or digit that a batch could be called; give another"
        raise InvalidInput("--name", [problem])
    return name


def _dataset_name(configuration: Configuration, called: str) -> str:
    name = configuration.output.dataset_name or called
    return dataset_file_name(configuration.publish.hf_repo, name).removesuffix(".jsonl")


def parts_of(items: Sequence[PlannedItem], name: str) -> Iterator[tuple[str, Sequence[PlannedItem]]]:
    """The items in groups that fit a batch, each with its name: ``name``, or `<name>-1`, `<name>-2`, ..."""
    parts = [items[start : start + COMMITS_PER_BATCH] for start in range(0, len(items), COMMITS_PER_BATCH)]
    for number, part in enumerate(parts, start=1):
        yield (name if len(parts) == 1 else f"{name}-{number}"), part


def batch_of(
    name: str, items: Sequence[PlannedItem], shared: Shared, inputs: InputsSpec | None, budget_ref: str | None
) -> CommitBenchmarkBatch:
    """The manifest of one part; all but the first share the first one's budget by ``budget_ref``."""
    return CommitBenchmarkBatch(
        metadata=Metadata(name=name),
        spec=BatchSpec(
            commits=[BatchCommit(head=item.head, base=item.base) for item in items],
            inputs=inputs,
            template=shared.template,
            parallelism=shared.cluster.parallelism,
            budget_usd=None if budget_ref else shared.budget_usd,
            budget_ref=budget_ref,
            publish=shared.publish,
        ),
    )

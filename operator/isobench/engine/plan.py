"""From a batch manifest to items, and from an item to the stages it passes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from isobench.contracts.objects import BatchCommit, CommitBenchmarkBatch
from isobench.contracts.spec import CommitBenchmarkSpec, CommitPair, RepositorySpec
from isobench.contracts.status import StageName

GENERATE_SECONDS = 900.0
COLLECT_SECONDS = 600.0
FETCH_SECONDS = 1800.0
ARMS_BUILT = 4
ROOM_SECONDS = 300.0
"""What an agent's room takes to make and to look at, beside the agent's own time."""

CHECKED_RUNS = 6
"""Runs by which the agent's patch is compared with base: both, on what was shown and on two hidden inputs."""


@dataclass(frozen=True)
class ItemPlan:
    """The stages that an item passes, in order, and how long each may take."""

    stages: tuple[StageName, ...]
    spec: CommitBenchmarkSpec
    suspended: bool = False

    def after(self, stage: StageName) -> StageName:
        """The stage that follows ``stage`` in this plan."""
        return self.stages[self.stages.index(stage) + 1]

    def deadline(self, stage: StageName) -> float:
        """Seconds that one attempt at ``stage`` may take."""
        match stage:
            case StageName.PREPARE:
                return FETCH_SECONDS + ARMS_BUILT * self.spec.environment.build_timeout_seconds
            case StageName.BUILD_AGENT:
                return float(self.spec.environment.build_timeout_seconds) + self._checking_seconds()
            case StageName.GENERATE:
                return GENERATE_SECONDS
            case StageName.AGENT:
                return 60 * self.spec.agent.timeout_minutes + ROOM_SECONDS
            case StageName.VALIDATE | StageName.TIMING:
                return float(self.spec.timing.timeout_seconds + self.spec.timing.run_timeout_seconds)
            case StageName.COLLECT:
                return COLLECT_SECONDS

    def _checking_seconds(self) -> float:
        commands = len(self.spec.environment.check_commands or ())
        checks = 2 * commands * self.spec.environment.build_timeout_seconds
        return float(CHECKED_RUNS * self.spec.timing.run_timeout_seconds + checks)

    def cap_usd(self, stage: StageName) -> float:
        """Dollars that all attempts at ``stage`` together may cost."""
        match stage:
            case StageName.AGENT:
                return self.spec.agent.budget_usd
            case StageName.GENERATE if self.spec.test.generate is not None:
                return self.spec.test.generate.budget_usd
            case _:
                return 0.0


def plan_item(spec: CommitBenchmarkSpec, *, test_supplied: bool, suspended: bool = False) -> ItemPlan:
    """The stages for ``spec``; ``test_supplied`` says that a test for its head came with the batch's inputs."""
    generated = spec.test.generate is not None and not test_supplied
    wanted = {
        StageName.PREPARE: True,
        StageName.GENERATE: generated,
        StageName.VALIDATE: generated or spec.attempted,
        StageName.AGENT: spec.attempted,
        StageName.BUILD_AGENT: spec.attempted,
        StageName.TIMING: True,
        StageName.COLLECT: True,
    }
    return ItemPlan(tuple(stage for stage in StageName if wanted[stage]), spec, suspended)


def items_of(batch: CommitBenchmarkBatch) -> Iterator[CommitBenchmarkSpec]:
    """Every item of the batch: the template, overridden by what each commit says.

    Raises:
        ValueError: a commit has no repository, neither of its own nor from the template.
    """
    for index in range(len(batch.spec.commits)):
        yield item_of(batch, index)


def item_of(batch: CommitBenchmarkBatch, index: int) -> CommitBenchmarkSpec:
    """The item of the commit at ``index``.

    Raises:
        ValueError: the commit has no repository, neither of its own nor from the template.
    """
    commit = batch.spec.commits[index]
    repository = commit.repository or batch.spec.template.repository
    if repository is None:
        raise ValueError(f"commit {commit.head} has no repository: give template.repository.url or its own")
    return _item(batch, commit, repository)


def duplicates(batch: CommitBenchmarkBatch) -> list[str]:
    """A sentence for each commit that is there twice and not told apart by model or sample."""
    shared = batch.spec.template.repository
    asked = Counter(
        (repository.url if repository else "", commit.head, commit.base, commit.model, commit.sample)
        for commit in batch.spec.commits
        for repository in (commit.repository or shared,)
    )
    return [
        f"commit {head} is there twice; leave one, or give each its own model or sample"
        for (_, head, *_), count in asked.items()
        if count > 1
    ]


def _item(batch: CommitBenchmarkBatch, commit: BatchCommit, repository: RepositorySpec) -> CommitBenchmarkSpec:
    template = batch.spec.template
    agent = template.agent
    if commit.agent is not None and commit.agent.enabled is not None:
        agent = agent.model_copy(update={"enabled": commit.agent.enabled})
    if commit.model is not None:
        agent = agent.model_copy(update={"model": commit.model})
    output = template.output
    if output.dataset is None:
        output = output.model_copy(update={"dataset": batch.metadata.name})
    shared = {name: getattr(template, name) for name in type(template).model_fields if name != "repository"}
    return CommitBenchmarkSpec.model_validate(
        shared
        | {
            "repository": repository,
            "commits": CommitPair(head=commit.head, base=commit.base),
            "inputs": batch.spec.inputs,
            "environment": commit.environment or template.environment,
            "test": commit.test or template.test,
            "agent": agent,
            "output": output,
        }
    )

"""The two kinds that a person writes: `CommitBenchmark` and `CommitBenchmarkBatch`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from isobench.contracts.base import KubernetesContract
from isobench.contracts.spec import (
    CommitBenchmarkSpec,
    CommitRef,
    EfficiencyTest,
    EnvironmentSpec,
    InputsSpec,
    ItemTemplate,
    Name,
    RepositorySpec,
    SecretRef,
)
from isobench.contracts.status import CommitBenchmarkBatchStatus, CommitBenchmarkStatus

API_VERSION: Literal["isobench.dev/v1alpha1"] = "isobench.dev/v1alpha1"
COMMITS_PER_BATCH = 1000

DnsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=63)]


class Metadata(KubernetesContract):
    """The part of an object's metadata that isobench reads; the API server's other fields are kept."""

    model_config = ConfigDict(extra="allow")

    name: DnsName
    namespace: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class CommitBenchmark(KubernetesContract):
    """One item: what is asked (spec) and what became of it (status)."""

    api_version: Literal["isobench.dev/v1alpha1"] = API_VERSION
    kind: Literal["CommitBenchmark"] = "CommitBenchmark"
    metadata: Metadata
    spec: CommitBenchmarkSpec
    status: CommitBenchmarkStatus | None = None


class AgentChoice(KubernetesContract):
    """What one commit of a batch says about the agent."""

    enabled: bool | None = Field(default=None, description="Opts this commit in or out.")


class BatchCommit(KubernetesContract):
    """One item of a batch; what it gives overrides the template."""

    head: CommitRef = Field(description="The performance commit.")
    base: CommitRef | None = Field(default=None, description="The commit before it; head's first parent by default.")
    repository: RepositorySpec | None = Field(default=None, description="Another repository than the template's.")
    test: EfficiencyTest | None = Field(default=None, description="Another source of the test than the template's.")
    environment: EnvironmentSpec | None = Field(
        default=None, description="Another way to build than the template's, for a batch over several repositories."
    )
    agent: AgentChoice | None = Field(default=None, description="Opts this commit in or out.")
    model: Name | None = Field(default=None, description="Another model than the template's.")
    sample: int | None = Field(default=None, ge=1, description="Number of this attempt at the same pair.")


class BatchTemplate(ItemTemplate):
    """The part of every item that a batch says once."""

    repository: RepositorySpec | None = Field(default=None, description="Where the commits are.")


class PublishSpec(KubernetesContract):
    """Publishing of the finished dataset to the hub; off unless given."""

    repo: Name = Field(description="Hub repository: a URL, user/name, or user.")
    min_records: int = Field(default=1, ge=1, description="Publish nothing below so many records.")
    private: bool = Field(default=True, description="Create the repository private.")
    secret_ref: SecretRef | None = Field(default=None, description="The hub token; only the publish Job sees it.")


class BatchSpec(KubernetesContract):
    """Many items, what they share, and the caps on them together."""

    commits: list[BatchCommit] = Field(
        min_length=1, max_length=COMMITS_PER_BATCH, description="The items; atomic list of at most 1,000."
    )
    inputs: InputsSpec | None = Field(default=None, description="Extraction files and tests.")
    template: BatchTemplate = Field(default_factory=BatchTemplate, description="What all items share.")
    parallelism: int = Field(default=1, ge=1, le=1000, description="Unfinished items at most.")
    agent_parallelism: int = Field(default=1, ge=1, le=1000, description="Agents at most.")
    budget_usd: float | None = Field(default=None, ge=0, description="Cap on what all items may cost together.")
    budget_ref: Name | None = Field(default=None, description="Name of the batch whose budget this one shares.")
    fail_fast: bool = Field(default=False, description="Start nothing new after the first failure.")
    suspend: bool = Field(default=False, description="Start nothing new while true.")
    publish: PublishSpec | None = Field(default=None, description="Publish when all items have ended.")


class CommitBenchmarkBatch(KubernetesContract):
    """A batch manifest: what `isobench plan` writes, `isobench run` takes, and a cluster applies."""

    api_version: Literal["isobench.dev/v1alpha1"] = API_VERSION
    kind: Literal["CommitBenchmarkBatch"] = "CommitBenchmarkBatch"
    metadata: Metadata
    spec: BatchSpec
    status: CommitBenchmarkBatchStatus | None = None

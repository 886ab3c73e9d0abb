"""The wish: what one item asks for, shared by `CommitBenchmark`, a batch's template and the configuration."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from isobench.contracts.base import KubernetesContract

CommitRef = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{7,40}$", max_length=40, to_lower=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
"""What an object, a key, a branch or a model is called. Bounds let the API server reckon what its rules may cost."""
Value = Annotated[str, StringConstraints(max_length=253)]
Command = Annotated[str, StringConstraints(max_length=16_384)]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Quantity = Annotated[str, StringConstraints(min_length=1, max_length=32)]
ResourceList = dict[str, Quantity]


class SecretRef(KubernetesContract):
    """A Secret of the item's own namespace."""

    name: Name = Field(description="Name of the Secret.")
    key: Name | None = Field(default=None, description="Key within it; the stage's usual variable when left out.")


class Resources(KubernetesContract):
    """What a container asks for and may use."""

    requests: ResourceList | None = Field(
        default=None, max_length=16, description="Requested amounts by resource name."
    )
    limits: ResourceList | None = Field(default=None, max_length=16, description="Upper bounds by resource name.")


class RepositorySpec(KubernetesContract):
    """Where the commits are."""

    url: str = Field(min_length=1, max_length=2048, description="Clone URL; locally also a path.")
    main_ref: Name | None = Field(
        default=None,
        description="The main arm; the first of origin/main, origin/master, main, master by default.",
    )
    credentials_secret_ref: SecretRef | None = Field(
        default=None, description="Git credentials; only the fetch container sees them."
    )
    cache_claim_name: Name | None = Field(
        default=None,
        description="An existing claim that keeps what was fetched of this repository; only fetch mounts it.",
    )


class CommitPair(KubernetesContract):
    """The human change: from base to head."""

    head: CommitRef = Field(description="The performance commit.")
    base: CommitRef | None = Field(default=None, description="The commit before it; head's first parent by default.")


class EnvironmentSpec(KubernetesContract):
    """How an arm's environment is made."""

    image: str | None = Field(
        default=None, max_length=512, description="Container image that arms are built and timed in."
    )
    python: str | None = Field(
        default=None,
        max_length=32,
        description="Python version such as 3.11; the newest here that the project allows by default.",
    )
    setup_commands: list[Command] | None = Field(
        default=None, max_length=100, description="Shell commands before the installation."
    )
    install_commands: list[Command] | None = Field(
        default=None,
        max_length=100,
        description="Shell commands that install an arm; the project's own metadata by default.",
    )
    check_commands: list[Command] | None = Field(
        default=None, max_length=100, description="Commands that pass on base and must pass on the agent's patch."
    )
    resources: Resources | None = Field(default=None, description="Resources of build containers.")
    build_timeout_seconds: int = Field(default=1800, ge=1, description="Time limit of one arm's build.")


class ConfigMapKeyRef(KubernetesContract):
    """One key of a ConfigMap of the item's own namespace."""

    name: Name = Field(description="Name of the ConfigMap.")
    key: Name = Field(description="Key that holds the test script.")


class GenerateSpec(KubernetesContract):
    """An efficiency test written by a language model."""

    provider: Name = Field(description="Name of the provider's configuration, config/main_<provider>.toml.")
    model: Name | None = Field(default=None, description="Model; the provider's configured one by default.")
    secret_ref: SecretRef | None = Field(default=None, description="The provider's key.")
    budget_usd: float = Field(default=1.0, ge=0, description="Cap on what one item's generation may cost.")


class EfficiencyTest(KubernetesContract):
    """Where the efficiency test comes from: one of inline, configMapKeyRef, generate; else the batch's inputs."""

    inline: str | None = Field(default=None, max_length=131_072, description="The test script's text.")
    config_map_key_ref: ConfigMapKeyRef | None = Field(default=None, description="A ConfigMap's key that holds it.")
    generate: GenerateSpec | None = Field(
        default=None, description="Let a model write it when no test is supplied for the commit."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [source for source in (self.inline, self.config_map_key_ref, self.generate) if source is not None]
        if len(given) > 1:
            raise ValueError("give one of inline, configMapKeyRef and generate, not several")
        return self


class AgentSpec(KubernetesContract):
    """Whether and how a coding agent attempts the task."""

    enabled: bool = Field(default=False, description="Off unless opted in, in online mode too.")
    kind: Literal["openhands", "command", "replay"] = Field(default="openhands", description="Which agent.")
    command: list[Command] | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Kind command: the program; it finds its task in ISOBENCH_TASK.",
    )
    patch: str | None = Field(default=None, max_length=131_072, description="Kind replay: the patch that it applies.")
    image: str | None = Field(
        default=None, max_length=512, description="Agent image: a layer on the environment image."
    )
    model: Name | None = Field(default=None, description="Model that the agent uses.")
    secret_ref: SecretRef | None = Field(default=None, description="The model's key; only the gateway sees it.")
    max_iterations: int = Field(default=50, ge=1, description="Cap on the agent's steps.")
    budget_usd: float = Field(default=1.0, ge=0, description="Cap in dollars.")
    timeout_minutes: float = Field(default=30.0, gt=0, description="Cap in minutes.")
    targets: list[FilePath] | None = Field(
        default=None, max_length=1000, description="Files it may change; the human diff's by default."
    )
    constraints: list[Sentence] = Field(default_factory=list, max_length=50, description="Sentences added to the task.")
    primary_metric: Sentence = Field(default="wall time of the efficiency test", description="What to improve.")
    network: Literal["gateway", "open"] = Field(default="gateway", description="What the agent may reach.")
    require_human_speedup: bool = Field(
        default=True, description="Pay the agent only when the human commit is measurably faster."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "command" and self.command is None:
            raise ValueError("agent.kind command needs agent.command: the program and its arguments")
        if self.kind == "replay" and self.patch is None:
            raise ValueError("agent.kind replay needs agent.patch: the patch to apply")
        return self


class TimingSpec(KubernetesContract):
    """How arms are timed."""

    protocol: Literal["blocks", "single"] = Field(
        default="blocks",
        description="blocks: interleaved pairs with an interval; single: one run an arm, as before.",
    )
    cores: int = Field(default=1, ge=1, le=64, description="How many cores the whole process tree is pinned to.")
    warmup: int = Field(default=1, ge=0, le=20, description="Blocks that are run first and not used.")
    min_pairs: int = Field(default=10, ge=8, le=1000, description="Blocks before the first look; at least 8.")
    max_pairs: int = Field(default=160, ge=8, le=1000, description="Blocks at most.")
    precision: float = Field(default=0.01, gt=0, lt=1, description="Half-width that is precise enough.")
    margin: float = Field(default=0.02, gt=0, lt=1, description="Effects inside this are called the same.")
    timeout_seconds: int = Field(default=3600, ge=1, description="Time limit of an item's timing.")
    run_timeout_seconds: int = Field(default=300, ge=1, description="Time limit of one run of the test.")
    memory_mib: int = Field(default=4096, ge=16, description="Memory bound of one run.")
    scratch_mib: int = Field(default=1024, ge=1, description="Bound on what one run may write.")
    seed: int | None = Field(
        default=None, ge=0, lt=2**53, description="Seed of order and hashing; the item's own by default."
    )
    exclusive: bool = Field(default=True, description="One timing pod per node.")
    sockets: Literal["none", "loopback"] = Field(
        default="none",
        description="loopback lets the workload open sockets; the network stays cut off: an empty namespace locally, a "
        "policy that denies everything on a cluster.",
    )
    resources: Resources | None = Field(default=None, description="Resources of the timing container.")
    node_selector: dict[str, Value] | None = Field(default=None, max_length=32, description="Nodes that may time.")
    tolerations: list[dict[str, Value]] | None = Field(
        default=None, max_length=32, description="Taints that timing pods tolerate."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_pairs < self.min_pairs:
            raise ValueError(f"maxPairs ({self.max_pairs}) is below minPairs ({self.min_pairs}); raise it")
        return self


class WorkspaceSpec(KubernetesContract):
    """The item's volume on a cluster: one of its own, or a directory on a shared claim."""

    storage_class_name: Name | None = Field(default=None, description="Storage class of the item's own claim.")
    size: Quantity | None = Field(default=None, description="Size of the item's own claim, such as 10Gi.")
    claim_name: Name | None = Field(
        default=None,
        description="An existing claim instead: ReadWriteMany, or pods on a second node wait for the volume until "
        "their stage's time is over.",
    )

    @model_validator(mode="after")
    def _own_or_shared(self) -> Self:
        if self.claim_name and (self.storage_class_name or self.size):
            raise ValueError("give claimName, or storageClassName and size, not both")
        return self


class OutputSpec(KubernetesContract):
    """Where records go."""

    store: str = Field(
        default="file://data", pattern=r"^(s3|file)://.+", max_length=1024, description="s3://... or file://..."
    )
    dataset: Name | None = Field(default=None, description="Dataset file's name; the batch's by default.")
    endpoint: str | None = Field(default=None, max_length=1024, description="Address of an S3 server other than AWS.")
    secret_ref: SecretRef | None = Field(
        default=None, description="Store credentials; only collect, and a batch's export and publish, see them."
    )
    service_account_name: Name | None = Field(default=None, description="Or a service account that has access.")


class InputsSpec(KubernetesContract):
    """One archive of extraction files and tests, made by `isobench plan`."""

    uri: str = Field(
        min_length=1, max_length=2048, description="file://..., s3://..., or a path relative to the manifest."
    )
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", max_length=64, description="Digest of the archive.")
    endpoint: str | None = Field(default=None, max_length=1024, description="Address of an S3 server other than AWS.")
    secret_ref: SecretRef | None = Field(default=None, description="Read-only credentials for it.")


class ItemTemplate(KubernetesContract):
    """Everything of an item but its commits: what a batch says once for all of its items."""

    mode: Literal["offline", "online"] = Field(default="offline", description="online lets opted-in agents run.")
    environment: EnvironmentSpec = Field(default_factory=EnvironmentSpec, description="How arms are built.")
    test: EfficiencyTest = Field(default_factory=EfficiencyTest, description="Where the efficiency test comes from.")
    agent: AgentSpec = Field(default_factory=AgentSpec, description="Whether and how an agent attempts the task.")
    timing: TimingSpec = Field(default_factory=TimingSpec, description="How arms are timed.")
    workspace: WorkspaceSpec = Field(default_factory=WorkspaceSpec, description="Volume on a cluster.")
    output: OutputSpec = Field(default_factory=OutputSpec, description="Where records go.")
    api: Name | None = Field(default=None, description="The record's api field.")
    queue_name: Name | None = Field(default=None, description="Kueue's local queue.")
    controller_name: Name | None = Field(default=None, description="Which release of the operator takes this.")
    ttl_seconds_after_finished: int | None = Field(
        default=None, ge=0, le=315_360_000, description="Deleted so long after its end; ten years at most."
    )


class CommitBenchmarkSpec(ItemTemplate):
    """One item: a commit pair of one repository, one agent sample at most."""

    repository: RepositorySpec = Field(description="Where the commits are.")
    commits: CommitPair = Field(description="The human change.")
    inputs: InputsSpec | None = Field(default=None, description="Where a test that is supplied for head is found.")
    suspend: bool = Field(default=False, description="Start nothing new while true.")

    @property
    def attempted(self) -> bool:
        """Whether an agent attempts it: opted in, and online."""
        return self.agent.enabled and self.mode == "online"

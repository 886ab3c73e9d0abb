"""The configuration of a machine or a person: `config/main_<provider>.toml`, section by section."""

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.objects import PublishSpec
from isobench.contracts.spec import AgentSpec, EnvironmentSpec, RepositorySpec, TimingSpec


class LlmSection(Contract):
    """[llm]: which model writes tests, and where it is."""

    provider: str = "openai"
    model: str | None = None
    base_url: str | None = None
    temperature: float = Field(default=0.2, ge=0, le=2)
    max_tokens: int = Field(default=8192, ge=1)
    context_tokens: int = Field(default=128_000, ge=2048, description="What the model takes in at once.")
    api_key_env: str | None = Field(default=None, description="Name of the variable that holds the key.")
    timeout_seconds: float = Field(default=120.0, gt=0)
    budget_usd: float = Field(default=1.0, ge=0, description="Cap on what one item's generation may cost.")


class Price(Contract):
    """[pricing."model"]: US dollars per million tokens."""

    input: float = Field(ge=0, le=1_000_000)
    output: float = Field(ge=0, le=1_000_000)
    cached: float | None = Field(
        default=None, ge=0, le=1_000_000, description="Cached input; the input price when left out."
    )


class PathsSection(Contract):
    """[paths]: where inputs are read and outputs written."""

    extractions_dir: str | None = None
    tests_dir: str | None = None
    work_root: str = ".work"
    data_dir: str = "data"


class RepositorySection(Contract):
    """[repository]: where the commits are."""

    url: str | None = None
    main_ref: str | None = None

    def spec(self) -> RepositorySpec | None:
        """The same as a manifest says it; None without a URL."""
        return RepositorySpec(url=self.url, main_ref=self.main_ref) if self.url else None


class OutputSection(Contract):
    """[output]: what the dataset is called."""

    dataset_name: str | None = None
    api: str | None = None


class PublishSection(Contract):
    """[publish]: the hub; off by default."""

    push_to_hf: bool = False
    hf_repo: str | None = None
    min_records: int = Field(default=1, ge=1)
    private: bool = True

    def spec(self) -> PublishSpec | None:
        """The same as a manifest says it; None when off."""
        if not self.push_to_hf or not self.hf_repo:
            return None
        return PublishSpec(repo=self.hf_repo, min_records=self.min_records, private=self.private)


class Configuration(Contract):
    """All sections, each with its defaults."""

    llm: LlmSection = Field(default_factory=LlmSection)
    pricing: dict[str, Price] = Field(default_factory=dict)
    agent: AgentSpec = Field(default_factory=AgentSpec)
    timing: TimingSpec = Field(default_factory=TimingSpec)
    environment: EnvironmentSpec = Field(default_factory=EnvironmentSpec)
    paths: PathsSection = Field(default_factory=PathsSection)
    repository: RepositorySection = Field(default_factory=RepositorySection)
    output: OutputSection = Field(default_factory=OutputSection)
    publish: PublishSection = Field(default_factory=PublishSection)

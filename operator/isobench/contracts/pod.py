"""What a pod is told, one JSON argument, and what a pod that is no stage says at its end."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.configuration import Configuration
from isobench.contracts.objects import PublishSpec
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import MESSAGE_BYTES, StageRequest
from isobench.contracts.status import CommitBenchmarkStatus, StageName

RUNNER, PROBE, UV = "runner.pyz", "probe.pyz", "uv"
"""What the environment container finds in the exchange folder."""

RUN = "run"
"""The only folder of the exchange folder that a foreign container can write to."""

SOCKET = f"{RUN}/run.sock"
"""Where the runner of a foreign container listens, in the exchange folder."""

WRITTEN_BY_BUILDS = ("environments", "uv-cache", "pip-cache", "tmp")
ROOMS, PROBES = "agents", "item/probe"

WRITTEN: Mapping[StageName, tuple[str, ...]] = {
    StageName.PREPARE: WRITTEN_BY_BUILDS,
    StageName.VALIDATE: (PROBES,),
    StageName.AGENT: (ROOMS,),
    StageName.BUILD_AGENT: (*WRITTEN_BY_BUILDS, PROBES, ROOMS),
    StageName.TIMING: (PROBES,),
}
"""The folders of the item's volume that a stage's foreign container can write to; all the rest it can only read."""


class Places(Contract):
    """Where things are mounted in every pod; a test has them elsewhere."""

    workspace: Path = Path("/workspace")
    exchange: Path = Field(default=Path("/isobench"), description="Runner, probe and socket; of this pod only.")
    scratch: Path = Field(
        default=Path("/scratch"), description="HOME and temporary files; of this pod's own containers only."
    )
    cache: Path = Field(default=Path("/cache"), description="The shared cache claim's folder, where there is one.")
    git_credentials: Path = Path("/secrets/git")
    test: Path = Field(default=Path("/inputs/test.py"), description="The test that a ConfigMap holds.")
    resolver: Path = Field(default=Path("/etc/resolv.conf"), description="Names the name servers.")
    termination: Path = Path("/dev/termination-log")


class Argument(Contract):
    """A request as a command line's argument."""

    places: Places = Field(default_factory=Places)

    def argument(self) -> str:
        """The request in one line of JSON."""
        return self.model_dump_json(exclude_none=True, exclude_defaults=True)


class PodRequest(Argument):
    """What each container of an item's Job is asked to do, whichever of its commands it runs."""

    item: StageRequest
    image: str | None = Field(default=None, description="The environment image; its digest once that is known.")
    batch: str | None = Field(default=None, description="The batch that the item belongs to.")
    api_server: str | None = Field(default=None, description="host:port that timing pods must not reach.")
    canary: str | None = Field(default=None, description="host:port that prepare reaches and timing pods must not.")
    policy: str | None = Field(default=None, description="Name of the network policy that denies everything.")
    isolation_seconds: float = Field(default=120.0, gt=0, description="How long the policy may take to be enforced.")
    cache: bool = Field(default=False, description="Whether a shared cache claim is mounted.")
    configuration: Configuration | None = Field(default=None, description="Model and prices, for paid stages.")
    status: CommitBenchmarkStatus | None = Field(default=None, description="What became of the item, for collect.")


class ExportRequest(Argument):
    """Write the dataset and its summary from all records of that name in the store."""

    command: Literal["export"] = "export"
    store: str
    endpoint: str | None = None
    dataset: str
    batch: str


class PublishRequest(Argument):
    """Publish the exported dataset to the hub."""

    command: Literal["publish"] = "publish"
    store: str
    endpoint: str | None = None
    dataset: str
    publish: PublishSpec


class SweepRequest(Argument):
    """Remove directories of items that are gone from a shared claim, which is mounted whole as the workspace."""

    command: Literal["sweep"] = "sweep"
    namespace: str
    keep: list[str] = Field(description="First eight digits of the UID of every item there is.")
    decided_at: datetime = Field(description="A directory that is younger is kept: its item may not be listed.")


class CanaryRequest(Argument):
    """Answer whoever connects."""

    port: int = Field(ge=1, le=65535)


class PodResult(Contract):
    """How a command that is no stage of an item ended: its termination message."""

    succeeded: bool
    reason: Reason | None = None
    message: str = Field(default="", max_length=MESSAGE_BYTES)
    facts: dict[str, int | str] = Field(default_factory=dict)

"""This pod: what it was asked, where its folders are, and the environment container beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from isobench.adapters.isolation.pods import PodContainer
from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import ROOMS, WRITTEN, PodRequest
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.stage import StageResult
from isobench.engine.workspace import Workspace
from isobench.stages.attempt import refused

UNNAMED_IMAGE = "the environment image"


@dataclass(frozen=True)
class Pod:
    """The pod of one request."""

    request: PodRequest

    @property
    def root(self) -> Path:
        """The item's volume: trees and environments are below it."""
        return self.request.places.workspace

    @property
    def workspace(self) -> Workspace:
        """The item's own files."""
        return Workspace(self.root / "item")

    @property
    def inputs(self) -> Path:
        """What the batch's inputs hold."""
        return self.root / "inputs"

    @property
    def agent_repository(self) -> Path:
        """What the agent's repository is copied from: `fetch` makes it, the only container that runs git."""
        return self.root / "agent-repository"

    @property
    def rooms(self) -> Path:
        """Where agents work."""
        return self.root / ROOMS

    def make_written(self) -> None:
        """Make the folders that this stage's foreign container is given to write to, before it starts."""
        for folder in WRITTEN[self.request.item.stage]:
            (self.root / folder).mkdir(parents=True, exist_ok=True)

    @cached_property
    def container(self) -> PodContainer:
        """The environment container."""
        places = self.request.places
        return PodContainer(places.exchange, places.workspace, self.request.image or UNNAMED_IMAGE)

    def tell(self, text: str) -> None:
        """Say what is being done, for the pod's log."""
        print(f"{now().isoformat(timespec='seconds')} {text}", flush=True)  # noqa: T201 - this is the log


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def result_of(pod: Pod, work: Callable[[], StageResult]) -> StageResult:
    """The result of ``work``, also where it could not be set up."""
    started = now()
    try:
        return work()
    except (ItemFailure, InvalidInput) as error:
        return refused(pod.request.item, error, started, now())

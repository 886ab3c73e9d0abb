"""One CommitBenchmark object, read: what it asks for, where it is, and whom it belongs to."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from isobench.contracts.base import InvalidInput
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.controller.kinds import BATCH_LABEL, Object
from isobench.engine.identity import repo_slug, run_id
from isobench.engine.plan import ItemPlan, plan_item

RETRY_ANNOTATION = "isobench.dev/retry"


@dataclass(frozen=True)
class Item:
    """An object whose spec can be taken."""

    object: Object
    spec: CommitBenchmarkSpec

    @classmethod
    def read(cls, item: Object) -> "Item":
        """The object ``item``.

        Raises:
            InvalidInput: what it asks for can't be done on a cluster.
        """
        spec = CommitBenchmarkSpec.parse(item["spec"], "spec")
        if spec.output.store.startswith("file:"):
            store = spec.output.store
            raise InvalidInput("spec.output.store", [f"{store!r} is a folder of one machine; name s3://bucket/prefix"])
        return cls(item, spec)

    @property
    def name(self) -> str:
        """Its name, which is also its item id."""
        return str(self.object["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.object["metadata"]["namespace"])

    @property
    def uid(self) -> str:
        """What tells it apart from an object of the same name before or after it."""
        return str(self.object["metadata"]["uid"])

    @property
    def batch(self) -> str | None:
        """Name of the batch that it belongs to."""
        name = self.object["metadata"].get("labels", {}).get(BATCH_LABEL)
        return str(name) if name else None

    @property
    def retry(self) -> str | None:
        """What a person who asked for another try wrote."""
        value = self.object["metadata"].get("annotations", {}).get(RETRY_ANNOTATION)
        return str(value) if value else None

    @cached_property
    def plan(self) -> ItemPlan:
        """The stages that it passes; whether a batch's archive holds its test, only `generate` finds out."""
        return plan_item(self.spec, test_supplied=False, suspended=self.spec.suspend)

    @cached_property
    def run_id(self) -> str:
        """The folder of its run in the store; it follows from the object alone."""
        attempted = self.spec.agent.enabled and self.spec.mode == "online"
        agent, model = (self.spec.agent.kind, self.spec.agent.model) if attempted else (None, None)
        url = self.spec.repository.url
        created = datetime.fromisoformat(self.object["metadata"]["creationTimestamp"])
        return run_id(repo_slug(url, url), agent, model, created)


def read_status(item: Object) -> CommitBenchmarkStatus:
    """What became of ``item`` so far.

    Raises:
        InvalidInput: a newer version wrote it.
    """
    return CommitBenchmarkStatus.parse(item.get("status") or {}, "status")

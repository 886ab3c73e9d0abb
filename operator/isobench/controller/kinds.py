"""What the controller reads and writes: the kinds, an object as the API server gives it, and the key of one object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]
"""An object as parsed JSON, without `managedFields`. Objects are shared by all readers: never change one in place."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the Kubernetes API."""

    group: str
    version: str
    plural: str
    name: str

    @property
    def api_version(self) -> str:
        """What `apiVersion` says in its manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL path of one object, or of all in a namespace, or of all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


ITEMS = Kind("isobench.dev", "v1alpha1", "commitbenchmarks", "CommitBenchmark")
BATCHES = Kind("isobench.dev", "v1alpha1", "commitbenchmarkbatches", "CommitBenchmarkBatch")
JOBS = Kind("batch", "v1", "jobs", "Job")
PODS = Kind("", "v1", "pods", "Pod")
CLAIMS = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
EVENTS = Kind("", "v1", "events", "Event")
NETWORK_POLICIES = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")

CONTROLLER_LABEL = "isobench.dev/controller"
ITEM_LABEL = "isobench.dev/item"
ITEM_UID_LABEL = "isobench.dev/item-uid"
STAGE_LABEL = "isobench.dev/stage"
BATCH_LABEL = "isobench.dev/batch"
NETWORK_LABEL = "isobench.dev/network"


class Key(NamedTuple):
    """Which object: what queues, deadlines and logs pass on instead of the object."""

    kind: str
    """The kind's plural."""
    namespace: str
    name: str

    @classmethod
    def of(cls, kind: Kind, item: Object) -> "Key":
        """The key of ``item``, which is of ``kind``."""
        metadata = item["metadata"]
        return cls(kind.plural, metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        """As people write it: `commitbenchmarks team-a/fix-123`."""
        return f"{self.kind} {self.namespace}/{self.name}"


def owner_uid(item: Object, kind: Kind) -> str | None:
    """The UID of the ``kind`` that controls ``item``."""
    references = item["metadata"].get("ownerReferences", ())
    return next((str(owner["uid"]) for owner in references if owner["kind"] == kind.name), None)


def selector_of(labels: Mapping[str, object]) -> str:
    """The label selector that takes objects with all of ``labels``."""
    return ",".join(f"{name}={value}" for name, value in labels.items())

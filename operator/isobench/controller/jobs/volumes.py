"""The workspace, a claim of the item's own or its directory on a shared one; and what else is mounted."""

from collections.abc import Sequence

from isobench.contracts.pod import WRITTEN
from isobench.contracts.spec import ConfigMapKeyRef, SecretRef
from isobench.contracts.status import StageName
from isobench.controller.item import Item
from isobench.controller.jobs.containers import WORKSPACE, WORKSPACE_PATH
from isobench.controller.jobs.names import claim_name, labels_of, owner_of
from isobench.controller.kinds import CLAIMS, Object

DEFAULT_SIZE = "10Gi"
CACHE_PATH = "/cache"
GIT_CREDENTIALS_PATH = "/secrets/git"
_CREDENTIALS = ("ssh-privatekey", "password", "token")
"""File names that `fetch` knows; a key of another name holds a token."""
TEST_PATH = "/inputs/test.py"


def claim(item: Item, controller: str) -> Object | None:
    """The item's own claim; None where it has a directory on a shared one."""
    workspace = item.spec.workspace
    if workspace.claim_name:
        return None
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": workspace.size or DEFAULT_SIZE}},
    }
    if workspace.storage_class_name:
        spec["storageClassName"] = workspace.storage_class_name
    return {
        "apiVersion": CLAIMS.api_version,
        "kind": CLAIMS.name,
        "metadata": {
            "name": claim_name(item),
            "namespace": item.namespace,
            "labels": labels_of(item, controller),
            "ownerReferences": [owner_of(item.object)],
        },
        "spec": spec,
    }


def workspace(item: Item) -> Object:
    """The volume that holds the workspace."""
    name = item.spec.workspace.claim_name or claim_name(item)
    return {"name": WORKSPACE, "persistentVolumeClaim": {"claimName": name}}


def mounted(item: Item) -> list[Object]:
    """The workspace where every container has it, as our own containers mount it."""
    return [_mount(item)]


def mounted_in_foreign(item: Item, stage: StageName) -> list[Object]:
    """The workspace where foreign code runs: nothing of it can be written but what that stage is for.

    The folders are there before: the kubelet would make those that are not as root's.
    """
    return [_mount(item) | {"readOnly": True}, *(_mount(item, folder) for folder in WRITTEN[stage])]


def _mount(item: Item, below: str = "") -> Object:
    """The workspace, or what is ``below`` it, at its path."""
    shared = f"{item.namespace}/{item.uid}" if item.spec.workspace.claim_name else ""
    part = "/".join(part for part in (shared, below) if part)
    path = "/".join(part for part in (WORKSPACE_PATH, below) if part)
    return {"name": WORKSPACE, "mountPath": path} | ({"subPath": part} if part else {})


def git_credentials(secret: SecretRef) -> tuple[Object, Object]:
    """Volume and mount of the credentials for the repository."""
    source: Object = {"secretName": secret.name, "defaultMode": 0o440}
    if secret.key:
        path = secret.key if secret.key in _CREDENTIALS else "token"
        source["items"] = [{"key": secret.key, "path": path}]
    return {"name": "git", "secret": source}, _read_only("git", GIT_CREDENTIALS_PATH)


def fetched_before(claim_name: str) -> tuple[Object, Object]:
    """Volume and mount of the claim that keeps what was fetched of a repository."""
    source = {"claimName": claim_name}
    return {"name": "cache", "persistentVolumeClaim": source}, {"name": "cache", "mountPath": CACHE_PATH}


def supplied_test(reference: ConfigMapKeyRef) -> tuple[Object, Object]:
    """Volume and mount of the test that a ConfigMap holds."""
    source = {"name": reference.name, "items": [{"key": reference.key, "path": "test.py"}]}
    return {"name": "test", "configMap": source}, _read_only("test", TEST_PATH) | {"subPath": "test.py"}


def shared_memory(mib: int) -> tuple[Object, Object]:
    """Volume and mount of /dev/shm, as large as a run may write."""
    source = {"medium": "Memory", "sizeLimit": f"{mib}Mi"}
    return {"name": "shm", "emptyDir": source}, {"name": "shm", "mountPath": "/dev/shm"}


def with_volumes(item: Item, *others: Object) -> Sequence[Object]:
    """The volumes of a pod of ``item``."""
    return [workspace(item), *others]


def _read_only(name: str, path: str) -> Object:
    return {"name": name, "mountPath": path, "readOnly": True}

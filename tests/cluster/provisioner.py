"""The volume provisioner: a folder of the node per claim, made when the first pod is placed, removed with the claim.

Run as `python -m cluster.provisioner KUBECONFIG FOLDER`; without a folder volumes exist in the API alone (fake nodes).
"""

import shutil
import sys
import threading
import urllib.error
from pathlib import Path
from typing import Any

from cluster.watching import Client, Watched

NAME = "cluster.isobench.dev/local"
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "isobench-local",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": NAME,
    "volumeBindingMode": "WaitForFirstConsumer",
}
_NODE = "volume.kubernetes.io/selected-node"
_VOLUMES = "/api/v1/persistentvolumes"


class Provisioner:
    """Makes and removes volumes."""

    def __init__(self, client: Client, folder: Path | None) -> None:
        self._client = client
        self._folder = folder
        Watched(client, "/api/v1/persistentvolumeclaims", self._claim_changed).start()
        Watched(client, _VOLUMES, self._volume_changed).start()

    def _claim_changed(self, claim: Any) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        node = (metadata.get("annotations") or {}).get(_NODE)
        pending = claim.get("status", {}).get("phase") == "Pending" and "deletionTimestamp" not in metadata
        if (
            pending
            and node
            and spec.get("storageClassName") == CLASS["metadata"]["name"]
            and not spec.get("volumeName")
        ):
            name = f"pvc-{metadata['uid']}"
            place = self._make(name)
            self._quietly("POST", _VOLUMES, _volume(name, place, claim, node))

    def _volume_changed(self, volume: Any) -> None:
        released = volume.get("status", {}).get("phase") == "Released"
        if released and volume["spec"].get("storageClassName") == CLASS["metadata"]["name"]:
            if self._folder:
                shutil.rmtree(self._folder / volume["metadata"]["name"], ignore_errors=True)
            self._quietly("DELETE", f"{_VOLUMES}/{volume['metadata']['name']}")

    def _make(self, name: str) -> Path:
        if self._folder is None:
            return Path("/nowhere", name)
        place = self._folder / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _quietly(self, verb: str, path: str, body: Any = None) -> None:
        """A volume that is there already, or gone already, is what was wanted."""
        try:
            self._client.call(verb, path, body)
        except urllib.error.HTTPError as error:
            if error.code not in (404, 409):
                raise


def _volume(name: str, place: Path, claim: Any, node: str) -> dict[str, Any]:
    metadata, spec = claim["metadata"], claim["spec"]
    here = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": NAME}},
        "spec": {
            "accessModes": spec["accessModes"],
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "storageClassName": spec["storageClassName"],
            "persistentVolumeReclaimPolicy": "Delete",
            "volumeMode": spec.get("volumeMode", "Filesystem"),
            "claimRef": {key: metadata[key] for key in ("namespace", "name", "uid")}
            | {"kind": "PersistentVolumeClaim"},
            "local": {"path": str(place)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
        },
    }


if __name__ == "__main__":
    Provisioner(Client(Path(sys.argv[1])), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    threading.Event().wait()

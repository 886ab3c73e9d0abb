"""What of an object is worth its memory: 10,000 items, their Jobs and pods have to fit beside everything else.

Parts that many objects have in common, such as the settings of a batch, are kept once; objects are never changed in
place, so nobody sees the difference.
"""

from collections.abc import Iterable
from sys import intern
from typing import Any

import orjson

from isobench.controller.kinds import Object

_MOST_SHARED = 8192
_METADATA = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
_JOB_STATUS = ("active", "ready", "terminating", "startTime")
_CONDITION = ("type", "status", "reason", "message")
_POD_STATUS = ("phase", "reason", "message")
_POD_CONDITION = (*_CONDITION, "lastTransitionTime")
_CONTAINER = ("name", "image", "imageID", "state", "lastState")
_SAME_IN_MANY_STATUSES = ("cost", "artifacts", "waiting")

_shared: dict[bytes, Any] = {}


def kept_of_item(item: Object) -> Object:
    """The whole item; sections that are equal to another item's are that one's."""
    kept = item | {"spec": {name: _share(section) for name, section in item["spec"].items()}}
    status = item.get("status")
    if status:
        kept["status"] = {
            name: _share(part) if name in _SAME_IN_MANY_STATUSES else part for name, part in status.items()
        }
    return kept


def kept_of_job(job: Object) -> Object:
    """Whose it is, whether it is suspended, and how it ended: not its pod template, which is most of it."""
    status = job.get("status") or {}
    conditions = [_share(_only(condition, _CONDITION)) for condition in status.get("conditions") or ()]
    return {
        "metadata": _kept_metadata(job["metadata"]),
        "spec": _share(_only(job["spec"], ("suspend",))),
        "status": _only(status, _JOB_STATUS) | {"conditions": conditions},
    }


def kept_of_pod(pod: Object) -> Object:
    """Whose it is, where it runs, what its containers are at or said at their end: what `item_pods` reads."""
    status = pod.get("status") or {}
    kept = _only(status, _POD_STATUS)
    kept["conditions"] = [_share(_only(condition, _POD_CONDITION)) for condition in status.get("conditions") or ()]
    for group in ("initContainerStatuses", "containerStatuses"):
        kept[group] = [_kept_container(container) for container in status.get(group) or ()]
    metadata = _kept_metadata(pod["metadata"])
    return {"metadata": metadata, "spec": _share(_only(pod["spec"], ("nodeName",))), "status": kept}


def _kept_container(container: Object) -> Object:
    kept = _only(container, _CONTAINER)
    for name in ("image", "imageID"):
        if name in kept:
            kept[name] = intern(kept[name])
    return kept


def _kept_metadata(metadata: Object) -> Object:
    kept = _only(metadata, _METADATA)
    kept["namespace"] = intern(kept["namespace"])
    kept["labels"] = {name: intern(value) for name, value in metadata.get("labels", {}).items()}
    kept["ownerReferences"] = [_share(owner) for owner in metadata.get("ownerReferences", ())]
    return kept


def _only(part: Object, names: Iterable[str]) -> Object:
    return {name: part[name] for name in names if name in part}


def _share(part: Any) -> Any:
    """The same value, once: text and numbers as they are."""
    if not isinstance(part, dict | list):
        return part
    if len(_shared) > _MOST_SHARED:
        _shared.clear()
    return _shared.setdefault(orjson.dumps(part), part)

"""Kubernetes Events: what a person wants to see in `kubectl describe`, told once.

An Event's name follows from what it says, so that telling it again, even after a restart, is refused by the API server
and nothing is counted up.
"""

import hashlib
from datetime import datetime

from isobench.controller.kinds import Object

COMPONENT = "isobench-operator"
_LONGEST_MESSAGE = 1024


def event_manifest(about: Object, reason: str, message: str, type_: str, now: datetime) -> Object:
    """The Event that tells people who look at ``about`` the ``message``; ``type_`` is Normal or Warning."""
    metadata = about["metadata"]
    told = "\n".join((metadata["uid"], reason, message))
    digest = hashlib.sha256(told.encode()).hexdigest()[:16]
    time = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{digest}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "reason": reason,
        "message": message[:_LONGEST_MESSAGE],
        "type": type_,
        "source": {"component": COMPONENT},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }

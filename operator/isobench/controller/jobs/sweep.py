"""The Job that removes directories of items that are gone from a shared claim."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from isobench.contracts.pod import SweepRequest
from isobench.controller.jobs.containers import WORKSPACE, WORKSPACE_PATH, Pod, worker
from isobench.controller.jobs.job import job_spec
from isobench.controller.jobs.names import APP_LABELS
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.kinds import JOBS, STAGE_LABEL, Object
from isobench.controller.settings import ControllerSettings

SECONDS = 600.0
KEPT_SECONDS = 60
UID_DIGITS = 8


def sweep_job(
    namespace: str, claim: str, items: Iterable[Object], now: datetime, settings: ControllerSettings
) -> Object:
    """The Job that leaves of ``claim`` what belongs to ``items``: all that there are in the namespace.

    It belongs to nobody: the item that it comes from is gone.
    """
    keep = sorted(str(item["metadata"]["uid"])[:UID_DIGITS] for item in items)
    request = SweepRequest(namespace=namespace, keep=keep, decided_at=now).argument()
    mount = {"name": WORKSPACE, "mountPath": WORKSPACE_PATH}
    volume = {"name": WORKSPACE, "persistentVolumeClaim": {"claimName": claim}}
    labels = APP_LABELS | {STAGE_LABEL: "sweep"}
    container = worker("stage", "sweep", request, settings, SUPERVISOR, mounts=[mount])
    spec = job_spec(Pod([container], labels, SECONDS, [volume]), settings)
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.name,
        "metadata": {
            "name": f"isobench-sweep-{hashlib.sha256(claim.encode()).hexdigest()[:8]}",
            "namespace": namespace,
            "labels": labels,
        },
        "spec": spec | {"ttlSecondsAfterFinished": KEPT_SECONDS},
    }

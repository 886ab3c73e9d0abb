"""A Job of ours: one pod, never restarted, ended by its own clock, removed a day after its end."""

from collections.abc import Mapping

from isobench.controller.jobs.containers import Pod
from isobench.controller.jobs.names import owner_of
from isobench.controller.kinds import JOBS, Object
from isobench.controller.settings import ControllerSettings

TTL_SECONDS = 24 * 3600
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
_DISRUPTION = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def job(
    name: str,
    owner: Object,
    labels: Mapping[str, str],
    pod: Pod,
    settings: ControllerSettings,
    *,
    queue: str | None = None,
    paid: bool = False,
) -> Object:
    """A Job that belongs to ``owner`` and goes with it; one for a ``queue`` starts suspended."""
    return {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.name,
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, **({QUEUE_LABEL: queue} if queue else {})},
            "ownerReferences": [owner_of(owner)],
        },
        "spec": job_spec(pod, settings, paid=paid) | ({"suspend": True} if queue else {}),
    }


def job_spec(pod: Pod, settings: ControllerSettings, *, paid: bool = False) -> Object:
    """How a Job treats its one pod.

    Its deadline comes after the pod's, because it deletes the pod and its message. A disruption is told from a failure
    by a rule of its own, but for paid work, which no rule may ever repeat.
    """
    spec: Object = {
        "activeDeadlineSeconds": pod.active_seconds(settings) + settings.pending_seconds,
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "podReplacementPolicy": "Failed",
        "template": pod.manifest(settings),
        "ttlSecondsAfterFinished": TTL_SECONDS,
    }
    return spec if paid else spec | {"podFailurePolicy": {"rules": [_DISRUPTION]}}

"""What an attempt's pod tells: its result, why it has none, or what keeps it from working. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import StageName, Waiting
from isobench.controller.kinds import Object
from isobench.engine.facts import Failure
from isobench.engine.termination import parse

STAGE_CONTAINER = "stage"
ENVIRONMENT_CONTAINER = "environment"

_FOREIGN = {ENVIRONMENT_CONTAINER, "agent"}
"""Containers that run other people's code: what they leave as a message is not listened to."""

_NO_ANSWER = timedelta(seconds=60)
"""How long after its grace period a pod that is being deleted is still waited for."""

_IMAGE_TROUBLE = {
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
}
_NOT_MADE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_HINDERED = _IMAGE_TROUBLE | _NOT_MADE
_NOT_OURS = {
    "Evicted": Reason.STAGE_LOST,
    "DeadlineExceeded": Reason.STAGE_TIMED_OUT,
    "NodeLost": Reason.STAGE_LOST,
    "NodeShutdown": Reason.STAGE_LOST,
    "Terminated": Reason.STAGE_LOST,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended: with a result or with the failure to have one; and the image that it was built in."""

    result: StageResult | None = None
    failure: Failure | None = None
    image: str | None = None


def ending(job: Object, pods: Iterable[Object], stage: StageName, attempt: int) -> Ending:
    """How the attempt ended whose finished Job is ``job``, with ``pods`` the pods that there are of the item."""
    pod = pod_of(job, pods)
    if pod is None:
        return Ending(failure=_of_job(job))
    told = _told(pod, stage, attempt)
    killed = _killed_for_memory(pod)
    image = _image(pod)
    if isinstance(told, StageResult):
        infrastructure = told.reason is not None and told.reason.consequence.family is Family.INFRASTRUCTURE
        if killed and infrastructure:
            told = told.model_copy(update={"reason": killed.reason, "message": killed.message})
        return Ending(told, image=image)
    why = killed or _of_pod(pod) or _of_job_rule(job) or _of_deletion(pod, told)
    return Ending(failure=why or Failure(Reason.INFRASTRUCTURE_ERROR, told), image=image)


def pod_of(job: Object, pods: Iterable[Object]) -> Object | None:
    """The newest pod that ``job`` made."""
    own = [pod for pod in pods if was_made_by(pod, job["metadata"]["uid"])]
    return max(own, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def was_made_by(pod: Object, job_uid: str | None) -> bool:
    """Whether the Job of that UID made ``pod``."""
    return any(owner["uid"] == job_uid for owner in pod["metadata"].get("ownerReferences", ()))


def has_ended(pod: Object) -> bool:
    """Whether every container of ``pod`` has ended, for good."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def is_disrupted(pod: Object) -> bool:
    """Whether ``pod`` was taken away: by an eviction, a drain, a preemption."""
    return _condition(pod, "DisruptionTarget", "True") is not None


def is_last_of(pod: Object, job: Object) -> bool:
    """Whether ``pod`` has ended, and the finished ``job`` made none after it: one that was suspended starts anew."""
    started = (job.get("status") or {}).get("startTime")
    return has_ended(pod) and started is not None and str(pod["metadata"]["creationTimestamp"]) >= str(started)


def is_over(pod: Object, now: datetime) -> bool:
    """Whether nothing of ``pod`` runs any more; a node that does not answer is not waited for for ever."""
    return has_ended(pod) or _is_unanswered(pod, now)


def given_up_at(pod: Object) -> datetime | None:
    """When the node of a ``pod`` that is being deleted is not waited for any more."""
    deleted = pod["metadata"].get("deletionTimestamp")
    return None if deleted is None else datetime.fromisoformat(deleted) + _NO_ANSWER


def _is_unanswered(pod: Object, now: datetime) -> bool:
    """Whether its node should have ended ``pod`` by now, and has not said so."""
    until = given_up_at(pod)
    return until is not None and now >= until


def is_hindered(pod: Object) -> bool:
    """Whether something keeps ``pod`` from working, or may, that has to be looked at again in time."""
    going = bool(pod["metadata"].get("deletionTimestamp"))
    unscheduled = _condition(pod, "PodScheduled", "False") is not None
    return going or unscheduled or any(_waits_for(one)[0] in _HINDERED for one in containers_of(pod))


def hindrance(pod: Object, now: datetime, pull_seconds: float, pending_seconds: float) -> Waiting | Failure | None:
    """What keeps a pod of an unfinished Job from working, or the failure that this has become by now."""
    if _is_unanswered(pod, now):
        node = (pod.get("spec") or {}).get("nodeName")
        return Failure(Reason.STAGE_LOST, f"its pod was deleted, and the node {node} does not say that it is gone")
    age = now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    unscheduled = _condition(pod, "PodScheduled", "False")
    if unscheduled is not None:
        why, said = str(unscheduled.get("reason") or "Unschedulable"), str(unscheduled.get("message") or "")
        if age > timedelta(seconds=pending_seconds):
            return Failure(Reason.STAGE_TIMED_OUT, f"no node took its pod within {pending_seconds:g} s: {said}")
        return Waiting(why=why, message=said)
    late = now - _could_pull_at(pod) > timedelta(seconds=pull_seconds)
    for container in containers_of(pod):
        why, said = _waits_for(container)
        if why in _IMAGE_TROUBLE:
            message = f"the image {container['image']} can't be pulled: {said or why}"
            if late or why == "InvalidImageName":
                return Failure(Reason.IMAGE_UNAVAILABLE, message)
            return Waiting(why=why, message=message)
        if why in _NOT_MADE:
            message = f"the container {container['name']} can't be made: {said or why}"
            return Failure(Reason.INVALID_SPEC, message) if late else Waiting(why=why, message=message)
    return None


def _waits_for(container: Object) -> tuple[str, str]:
    """Why the container has not begun, in a word and in a sentence."""
    waiting = (container.get("state") or {}).get("waiting") or {}
    return str(waiting.get("reason") or ""), str(waiting.get("message") or "")


def _could_pull_at(pod: Object) -> datetime:
    """Since when its node could make the container that comes next: it had the pod, and those before have ended."""
    scheduled = _condition(pod, "PodScheduled", "True") or {}
    since = [scheduled.get("lastTransitionTime") or pod["metadata"]["creationTimestamp"]]
    for container in (pod.get("status") or {}).get("initContainerStatuses") or ():
        since.append(((container.get("state") or {}).get("terminated") or {}).get("finishedAt"))
    return max(datetime.fromisoformat(moment) for moment in since if moment)


def _told(pod: Object, stage: StageName, attempt: int) -> StageResult | str:
    """The word of the container that ended the attempt: the first that failed before the work, else the work's."""
    for container in containers_of(pod):
        name = container["name"]
        ended = (container.get("state") or {}).get("terminated")
        if ended is None or name in _FOREIGN or (name != STAGE_CONTAINER and not ended["exitCode"]):
            continue
        told = parse(ended.get("message"), stage, attempt)
        if isinstance(told, StageResult):
            if told.succeeded == (ended["exitCode"] == 0):
                return told
            told = "its message and its exit code contradict each other"
        return f"the container {name} ended with exit code {ended['exitCode']}, and {told}"
    return "no container of it came to an end of its own"


def _killed_for_memory(pod: Object) -> Failure | None:
    for container in containers_of(pod):
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            if (state.get("terminated") or {}).get("reason") == "OOMKilled":
                name = container["name"]
                remedy = "raise environment.resources or timing.memoryMib"
                return Failure(Reason.OUT_OF_MEMORY, f"the container {name} was killed for its memory; {remedy}")
    return None


def _of_pod(pod: Object) -> Failure | None:
    status = pod.get("status") or {}
    disrupted = _condition(pod, "DisruptionTarget", "True")
    if disrupted is not None:
        return Failure(Reason.STAGE_LOST, f"its pod was taken away ({disrupted.get('reason')})")
    why = status.get("reason")
    if why in _NOT_OURS:
        return Failure(_NOT_OURS[why], f"its pod ended by {why}: {status.get('message') or 'no explanation'}")
    return None


def _of_deletion(pod: Object, told: str) -> Failure | None:
    """A pod that somebody deleted is seen at its end, or not at all: the same is said of both."""
    deleted = pod["metadata"].get("deletionTimestamp")
    return Failure(Reason.STAGE_LOST, f"its pod was deleted: {told}") if deleted else None


def _of_job(job: Object) -> Failure:
    found = _of_job_rule(job)
    return found or Failure(Reason.STAGE_LOST, "its pod is gone, and its result with it")


def _of_job_rule(job: Object) -> Failure | None:
    failed = next((c for c in _conditions(job) if c["type"] in ("Failed", "FailureTarget")), {})
    said = failed.get("message") or "no explanation"
    if failed.get("reason") == "DeadlineExceeded":
        return Failure(Reason.STAGE_TIMED_OUT, f"its Job's deadline passed: {said}")
    if failed.get("reason") == "PodFailurePolicy":
        return Failure(Reason.STAGE_LOST, f"its pod was taken away: {said}")
    return None


def _image(pod: Object) -> str | None:
    """The identity of the image that arms are built in, as the node knows it."""
    found = (c.get("imageID") for c in containers_of(pod) if c["name"] == ENVIRONMENT_CONTAINER)
    return next((str(image) for image in found if image), None)


def containers_of(pod: Object) -> Iterator[Object]:
    """The statuses of its containers, in the order of their start."""
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _conditions(item: Object) -> Iterable[Object]:
    return (item.get("status") or {}).get("conditions") or ()


def _condition(item: Object, kind: str, answer: str) -> Object | None:
    found = (c for c in _conditions(item) if c["type"] == kind and c["status"] == answer)
    return next(found, None)

"""What is done to the cluster for an item beside its status: Jobs and claims, made and removed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import MESSAGE_BYTES, StageResult
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, Waiting
from isobench.controller.addresses import AddressBook
from isobench.controller.api import Api
from isobench.controller.api_errors import AlreadyExists, Forbidden, Invalid
from isobench.controller.app import Parts
from isobench.controller.item import Item, read_status
from isobench.controller.item_isolation import Isolation
from isobench.controller.item_jobs import is_finished, unwanted
from isobench.controller.item_observation import pods_of
from isobench.controller.item_pods import is_over
from isobench.controller.jobs.names import ISOLATED, claim_name
from isobench.controller.jobs.stages import Asked, stage_job
from isobench.controller.jobs.volumes import claim
from isobench.controller.kinds import CLAIMS, ITEM_UID_LABEL, ITEMS, JOBS, PODS, Kind, Object, owner_uid
from isobench.controller.providers import Providers
from isobench.engine.facts import JobState, ObservedJob, Start

SOON = 2.0
NOT_ALLOWED = 30.0
"""Seconds until something is tried again that the API server forbids: a quota may have room by then."""


@dataclass
class NotYet(Exception):
    """It can't be done now, and may be in so many ``seconds``."""

    seconds: float
    waiting: Waiting | None = None


class Actions:
    """Does what was decided and written."""

    def __init__(self, parts: Parts, providers: Providers) -> None:
        """``providers`` are those of models."""
        self._api: Api = parts.api
        self._cache, self._clock, self._settings = parts.cache, parts.clock, parts.settings
        self._providers = providers
        self._isolation = Isolation(parts.api, parts.settings)
        self._addresses = AddressBook(parts.settings)

    async def start(
        self, item: Item, status: CommitBenchmarkStatus, start: Start, *, alone: bool
    ) -> ObservedJob | None:
        """Create the Job of an attempt that is claimed; what is returned is the ending of one that can't be started.

        ``alone`` says that the claim was written just now and all before it has ended; else both are asked for.

        Raises:
            NotYet: something is in the way that will pass.
        """
        if not alone:
            await self._be_alone(item)
        try:
            job = stage_job(await self._asked(item, status, start), self._settings)
            if start.stage in ISOLATED:
                trouble = await self._isolation.trouble(status, job["spec"]["template"], item.namespace)
                if trouble:
                    return self._refused(start, Reason.NETWORK_NOT_ISOLATED, trouble)
            if start.stage is StageName.PREPARE:
                await self._ensure(CLAIMS, item, claim(item, self._settings.controller_name))
            await self._ensure(JOBS, item, job)
        except (InvalidInput, Invalid) as problem:
            return self._refused(start, Reason.INVALID_SPEC, str(problem))
        except _Foreign as problem:
            return self._refused(start, Reason.INFRASTRUCTURE_ERROR, str(problem))
        except Forbidden as problem:
            raise NotYet(NOT_ALLOWED, Waiting(why="NotAllowed", message=str(problem))) from None
        return None

    async def tidy(self, item: Item, status: CommitBenchmarkStatus) -> None:
        """Delete the Jobs that nobody waits for."""
        await self._delete_jobs(unwanted(self._cache.jobs_of(item.namespace, item.uid), status))

    async def stop(self, item: Object) -> None:
        """Delete the Jobs of an item that nobody understands any more, unless they have ended."""
        jobs = self._cache.jobs_of(item["metadata"]["namespace"], item["metadata"]["uid"])
        live = (job for job in jobs if not job["metadata"].get("deletionTimestamp"))
        await self._delete_jobs(job for job in live if not is_finished(job))

    async def _delete_jobs(self, jobs: Iterable[Object]) -> None:
        for metadata in [job["metadata"] for job in jobs]:
            await self._api.delete(JOBS, metadata["namespace"], metadata["name"], uid=metadata["uid"])

    async def release(self, item: Item, status: CommitBenchmarkStatus) -> None:
        """Delete the item's own volume, provided that what was in it is stored; comes before the last status.

        It stays as long as pods use it, those that have ended too: the last one's message is read before it goes.
        """
        if _is_stored(status) and not item.spec.workspace.claim_name:
            await self._api.delete(CLAIMS, item.namespace, claim_name(item))

    async def let_go(self, item: Item, status: CommitBenchmarkStatus) -> None:
        """Delete the pods that hold a recorded item's volume; comes after the last status, which needs their word.

        Those of an item that failed stay readable until their Jobs' time is over, and the volume goes with them.
        """
        recorded = status.outcome is not None and status.outcome.status == "True"
        if recorded and _is_stored(status) and not item.spec.workspace.claim_name:
            await self._delete_pods(item)

    async def _delete_pods(self, item: Item) -> None:
        await self._api.delete_all(PODS, item.namespace, f"{ITEM_UID_LABEL}={item.uid}")

    async def expire(self, item: Object) -> None:
        """Delete an item whose time is over."""
        metadata = item["metadata"]
        await self._api.delete(ITEMS, metadata["namespace"], metadata["name"], uid=metadata["uid"])

    async def _asked(self, item: Item, status: CommitBenchmarkStatus, start: Start) -> Asked:
        return Asked(
            item,
            start,
            status,
            _image(item, status, self._settings.environment_image, self._settings.image_pull_policy),
            await self._addresses.addresses(),
            self._providers.of(item.spec, start.stage),
        )

    async def _be_alone(self, item: Item) -> None:
        """See for certain that the item is as it was read, and that no pod of it runs."""
        live = await self._api.get(ITEMS, item.namespace, item.name)
        version = item.object["metadata"]["resourceVersion"]
        if live is None or live["metadata"]["resourceVersion"] != version:
            raise NotYet(SOON)  # the newer object wakes us before that
        now = self._clock()
        if not all(is_over(pod, now) for pod in await pods_of(self._api, item)):
            raise NotYet(SOON)

    async def _ensure(self, kind: Kind, item: Item, manifest: Object | None) -> None:
        """Create what ``manifest`` says, unless it is there and is the item's."""
        if manifest is None:
            return
        name = manifest["metadata"]["name"]
        try:
            await self._api.create(kind, item.namespace, manifest)
        except AlreadyExists:
            there = await self._api.get(kind, item.namespace, name)
            if there is not None and there["metadata"].get("deletionTimestamp") and kind is CLAIMS:
                await self._delete_pods(item)  # they have ended, and hold it
            if there is None or there["metadata"].get("deletionTimestamp"):
                raise NotYet(SOON) from None
            if owner_uid(there, ITEMS) != item.uid:
                raise _Foreign(f"the {kind.name} {name} is there and is not this item's: delete it") from None

    def _refused(self, start: Start, reason: Reason, message: str) -> ObservedJob:
        return refusal(start.stage, start.attempt, reason, message, self._clock())


class _Foreign(Exception):
    """Something else has the name of what is to be created."""


def expires_at(item: Object) -> datetime | None:
    """When the time of ``item``, which has ended, is over; None: never."""
    seconds, outcome = item["spec"].get("ttlSecondsAfterFinished"), read_status(item).outcome
    if seconds is None or outcome is None or outcome.last_transition_time is None:
        return None
    return outcome.last_transition_time + timedelta(seconds=seconds)


def _is_stored(status: CommitBenchmarkStatus) -> bool:
    collect = status.latest(StageName.COLLECT)
    return collect is not None and collect.state is StageState.SUCCEEDED


def refusal(stage: StageName, attempt: int, reason: Reason, message: str, now: datetime) -> ObservedJob:
    """The ending of an attempt that was not started: nothing was done, nothing was spent."""
    result = StageResult(
        stage=stage,
        attempt=attempt,
        succeeded=False,
        reason=reason,
        message=message[:MESSAGE_BYTES],
        started_at=now,
        finished_at=now,
    )
    return ObservedJob(stage, attempt, JobState.ENDED, result)


def _image(item: Item, status: CommitBenchmarkStatus, default: str, pull_policy: str) -> str:
    """The environment image; by the digest that arms were built in where every pod pulls it anyway."""
    if status.image and "@sha256:" in status.image and pull_policy == "Always":
        return status.image.removeprefix("docker-pullable://")
    return item.spec.environment.image or default

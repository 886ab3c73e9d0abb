"""Leader election by a Lease: one process of a release writes; losing the Lease ends it.

Nobody's wall clock is trusted: a candidate takes over when it has seen no renewal for the Lease's whole duration, and
the holder stops writing `renew_within` seconds after it sent its last successful renewal, both by their own monotonic
clocks. A holder that was paused finds its time over before its next write.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from isobench.controller.api_errors import AlreadyExists, ApiError, Conflict, NotLeading
from isobench.controller.clock import Clock
from isobench.controller.kinds import LEASES, Kind, Object
from isobench.controller.scope import lease_metadata, lease_name
from isobench.controller.settings import ControllerSettings

log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """The verbs that an election needs."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The Lease, or None."""

    async def create(self, kind: Kind, namespace: str, manifest: Object) -> Object:
        """A new Lease; raises AlreadyExists."""

    async def replace(self, kind: Kind, item: Object) -> Object:
        """The Lease as ``item`` says; raises Conflict if it has changed."""


@dataclass(frozen=True)
class Timing:
    """Seconds: how long a Lease lasts, how long its holder may write after a renewal, how often both sides try."""

    duration: float = 15.0
    renew_within: float = 10.0
    retry: float = 2.0

    @classmethod
    def of(cls, duration: float) -> "Timing":
        """Everything in proportion to the Lease's duration."""
        return cls(duration, duration * 2 / 3, duration * 2 / 15)


class Election:
    """This process's part in the election."""

    def __init__(
        self,
        api: LeaseApi,
        settings: ControllerSettings,
        clock: Clock,
        monotonic: Callable[[], float],
        timing: Timing = Timing(),
    ) -> None:
        """``clock`` is written for people to read; ``monotonic`` decides."""
        self._api = api
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._timing = timing
        self._lease: Object | None = None
        self._seen_at = 0.0
        self._write_until = float("-inf")

    @property
    def leading(self) -> bool:
        """Whether this process may write at this moment."""
        return self._monotonic() < self._write_until

    def check(self) -> None:
        """Before every write.

        Raises:
            NotLeading: the Lease is not, or not surely, ours.
        """
        if not self.leading:
            raise NotLeading(f"{self._settings.identity} does not hold Lease {lease_name(self._settings)}")

    async def acquire(self) -> None:
        """Return when this process leads."""
        while not await self._try(self._timing.renew_within):
            await asyncio.sleep(min(self._timing.retry, max(0.1, self._free_in())))
        log.info("leading", extra={"identity": self._settings.identity})

    async def hold(self) -> None:
        """Renew the Lease for ever.

        Raises:
            NotLeading: it could not be renewed in time, or somebody else has it.
        """
        while True:
            await asyncio.sleep(self._timing.retry)
            self.check()
            await self._try(max(0.0, self._write_until - self._monotonic()))
            self.check()

    async def release(self) -> None:
        """Let the others have the Lease at once; nothing may be written after this."""
        if not self.leading or self._lease is None:
            return
        self._write_until = float("-inf")
        spec = self._lease["spec"] | {"holderIdentity": ""}
        try:
            await self._api.replace(LEASES, self._lease | {"spec": spec})
        except ApiError as error:
            log.warning("the Lease is not released and will run out: %s", error)

    async def _try(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.attempt()
        except (ApiError, TimeoutError) as error:
            log.warning(
                "the Lease can't be %s: %s", "renewed" if self.leading else "taken", error or "no answer in time"
            )
            return False

    async def attempt(self) -> bool:
        """Take or renew the Lease if it is free, run out or ours; whether this process leads after it.

        Raises:
            ApiError: it can't be read or written.
        """
        if not self.leading:
            await self._look()
        if self._lease is not None and not self._ours() and self._free_in() > 0:
            return False
        sent_at = self._monotonic()
        try:
            lease = await self._write()
        except (AlreadyExists, Conflict):
            await self._look()
            if not self._ours():
                self._write_until = float("-inf")
                return False
            lease = await self._write()  # what it conflicts with is ours: its answer was lost, and it was sent again
        self._saw(lease)
        self._write_until = sent_at + self._timing.renew_within
        return True

    async def _write(self) -> Object:
        metadata = lease_metadata(self._settings)
        if self._lease is None:
            manifest = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.name,
                "metadata": metadata,
                "spec": self._spec(),
            }
            return await self._api.create(LEASES, self._settings.release_namespace, manifest)
        metadata["resourceVersion"] = self._lease["metadata"]["resourceVersion"]
        return await self._api.replace(LEASES, {"metadata": metadata, "spec": self._spec()})

    def _spec(self) -> Object:
        now = self._clock().isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = self._lease["spec"] if self._lease else {}
        spec = {
            "holderIdentity": self._settings.identity,
            "leaseDurationSeconds": round(self._timing.duration),
            "renewTime": now,
        }
        if self._ours():
            return before | spec
        return spec | {"acquireTime": now, "leaseTransitions": before.get("leaseTransitions", -1) + 1}

    async def _look(self) -> None:
        lease = await self._api.get(LEASES, self._settings.release_namespace, lease_name(self._settings))
        if lease is None:
            self._lease = None
        else:
            self._saw(lease)

    def _saw(self, lease: Object) -> None:
        known = self._lease["metadata"]["resourceVersion"] if self._lease else None
        if lease["metadata"]["resourceVersion"] != known:
            self._lease, self._seen_at = lease, self._monotonic()

    def _ours(self) -> bool:
        return self._lease is not None and self._lease["spec"].get("holderIdentity") == self._settings.identity

    def _free_in(self) -> float:
        """Seconds until the Lease may be taken from its holder."""
        if self._lease is None or not self._lease["spec"].get("holderIdentity"):
            return 0.0
        return self._seen_at + self._timing.duration - self._monotonic()

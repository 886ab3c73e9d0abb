"""The barrier around isolated pods, as far as the API server can tell: the deny-all policy, alone, and the canary."""

import asyncio
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass

from isobench.contracts.status import CommitBenchmarkStatus
from isobench.controller.api import Api
from isobench.controller.api_errors import AlreadyExists, Forbidden
from isobench.controller.jobs.policies import POLICY, denies_all, deny_all, opening
from isobench.controller.kinds import NETWORK_POLICIES, Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.conditions import CANARY_UNREACHABLE, NO_CANARY

_REMEMBERED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Seen:
    policies: list[Object]
    at: float


class Isolation:
    """Says why an isolated pod must not be started; what it can't see, the pod's own `isolate` has to prove."""

    def __init__(self, api: Api, settings: ControllerSettings) -> None:
        """Nothing is read before it is asked."""
        self._api, self._settings = api, settings
        self._seen: dict[str, _Seen] = {}
        self._looking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def trouble(self, status: CommitBenchmarkStatus, pod: Object, namespace: str) -> str | None:
        """Why ``pod``, a Job's template, can't be isolated in ``namespace``; None when nothing speaks against it."""
        silent = self._silent_canary(status)
        if silent:
            return silent
        async with self._looking[namespace]:  # of items that begin together, one makes the policy
            return await self._open_policies(pod["metadata"]["labels"], namespace)

    def _silent_canary(self, status: CommitBenchmarkStatus) -> str | None:
        if self._settings.canary_address is None:
            return None
        answers = [condition for condition in status.conditions if condition.type == "NetworkIsolated"]
        if answers and answers[0].reason not in (CANARY_UNREACHABLE, NO_CANARY):
            return None
        address = self._settings.canary_address
        return f"the canary {address} did not answer prepare, so that its silence would prove nothing: see that it runs"

    async def _open_policies(self, labels: dict[str, str], namespace: str) -> str | None:
        try:
            policies = await self._policies(namespace)
        except Forbidden:
            return None
        ours = next((policy for policy in policies if policy["metadata"]["name"] == POLICY), None)
        if ours is None or not denies_all(ours):
            problem = await self._ensure(namespace, ours)
            if problem:
                return problem
        others = opening((policy for policy in policies if policy is not ours), labels)
        if not others:
            return None
        return (
            f"the network policy {', '.join(others)} opens isolated pods again: exclude the label isobench.dev/network"
        )

    async def _policies(self, namespace: str) -> list[Object]:
        """The namespace's policies; items of a batch come together, and one look serves them all."""
        seen = self._seen.get(namespace)
        if seen is None or time.monotonic() > seen.at + _REMEMBERED_SECONDS:
            listed = await self._api.list(NETWORK_POLICIES, namespace)
            seen = self._seen[namespace] = _Seen(listed.items, time.monotonic())
        return seen.policies

    async def _ensure(self, namespace: str, ours: Object | None) -> str | None:
        if not self._settings.manage_network_policy:
            return f"the network policy {POLICY} is missing or does not deny all: apply the tenant chart's"
        self._seen.pop(namespace, None)
        if ours is not None:
            await self._api.replace(NETWORK_POLICIES, ours | {"spec": deny_all(namespace)["spec"]})
            return None
        with suppress(AlreadyExists):  # somebody else was faster
            await self._api.create(NETWORK_POLICIES, namespace, deny_all(namespace))
        return None

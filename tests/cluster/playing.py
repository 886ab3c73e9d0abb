"""A test that plays the kubelet and the Job controller on a real API server without nodes: it ends pods as it likes."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from building.items import result
from cluster.operating import NAMESPACES, administrator, an_item, eventually, new_namespace
from isobench.contracts.reasons import Reason
from isobench.contracts.status import Artifacts, Cost, StageName
from isobench.controller.api import Api
from isobench.controller.app import App, Parts
from isobench.controller.connection import Connection
from isobench.controller.item_jobs import is_finished
from isobench.controller.jobs.names import attempt_in, job_name
from isobench.controller.kinds import ITEMS, JOBS, PODS, Kind, Object
from isobench.controller.reconcilers import make_reconcilers
from isobench.controller.settings import ControllerSettings
from isobench.engine.termination import message_of

SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount")
STORE = {"store": "s3://bucket/prefix", "secretRef": {"name": "store"}}
PAID_USD = 0.25
"""What an agent costs."""
EXPORTED = '{"succeeded": true, "message": "exported"}'
FACTS = {StageName.PREPARE: {"canary": "reached"}, StageName.TIMING: {"isolation": "nothing answered"}}


@asynccontextmanager
async def item_operator(kubeconfig: Path, namespace: str, **settings) -> AsyncIterator[Parts]:
    """The operator as it is, leading in ``namespace``, until the block ends."""
    made: list[Parts] = []

    def make(parts: Parts):
        made.append(parts)
        return make_reconcilers(parts)

    chosen = {"namespaces": (namespace,), "release_namespace": namespace, "metrics_port": 0, "leader_election": False}
    app = App(ControllerSettings(**chosen | settings), Connection(kubeconfig), make)
    stop = asyncio.Event()
    run = asyncio.create_task(app.run(stop))
    try:
        yield made[0]
    finally:
        stop.set()
        await run


@dataclass
class Stage:
    """One namespace, and everything in it that the test lets happen."""

    admin: Api
    namespace: str

    async def create(self, name: str = "one", *, annotations: dict | None = None, **spec) -> Object:
        """An item."""
        manifest = an_item(name, **{"output": STORE} | spec)
        if annotations:
            manifest["metadata"]["annotations"] = annotations
        return await self.admin.create(ITEMS, self.namespace, manifest)

    async def item(self, name: str = "one") -> Object:
        """The item as it is now."""
        return await self.admin.get(ITEMS, self.namespace, name)

    async def job(self, stage: StageName, attempt: int = 1, name: str = "one") -> Object:
        """The Job of that attempt, as soon as there is one."""
        uid = (await self.item(name))["metadata"]["uid"]
        called = job_name(name, uid, stage, attempt)
        return await eventually(lambda: self.admin.get(JOBS, self.namespace, called))

    async def jobs(self) -> list[str]:
        """`<stage>-<attempt>` of every Job that there is."""
        listed = (await self.admin.list(JOBS, self.namespace)).items
        labels = [job["metadata"]["labels"] for job in listed]
        return sorted(f"{found['isobench.dev/stage']}-{found['isobench.dev/attempt']}" for found in labels)

    async def begin(self, stage: StageName, attempt: int = 1, name: str = "one", **status) -> Object:
        """A pod for that Job, as the Job controller would make it; ``status`` is the kubelet's."""
        return await self._begin(await self.job(stage, attempt, name), **status)

    async def end(
        self, stage: StageName, attempt: int = 1, name: str = "one", *, reason: Reason | None = None, **changes
    ) -> None:
        """The attempt ends with a result as the worker would write it; ``changes`` are its fields."""
        said = _said(stage, attempt, reason, **changes)
        await self.end_with(stage, attempt, name, message=said, exit_code=int(reason is not None))

    async def end_with(
        self,
        stage: StageName,
        attempt: int = 1,
        name: str = "one",
        *,
        message: str = "",
        exit_code: int = 1,
        why: str | None = None,
        **pod_status,
    ) -> None:
        """The attempt's pod and Job end so; a pod is made first unless one was begun."""
        await self._end(await self.job(stage, attempt, name), message, exit_code, why, **pod_status)

    async def run(self, job: Object) -> Object:
        """A Job that is no item's ends well; its pod, as the API server took it."""
        await self._end(job, EXPORTED)
        return await self.admin.get(PODS, self.namespace, job["metadata"]["name"])

    async def end_all(self, may: asyncio.Event) -> None:
        """Whatever runs ends well, for ever, as long as it ``may``."""
        while True:
            for job in (await self.admin.list(JOBS, self.namespace)).items:
                await may.wait()
                if not is_finished(job):
                    labels = job["metadata"]["labels"]
                    attempt = attempt_in(labels)
                    await self._end(job, _said(*attempt) if attempt else EXPORTED)
            await asyncio.sleep(0.02)

    async def _begin(self, job: Object, **status) -> Object:
        template, metadata = copy.deepcopy(job["spec"]["template"]), job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        labels = template["metadata"]["labels"] | {"batch.kubernetes.io/job-name": metadata["name"]}
        made = {"name": metadata["name"], "labels": labels, "ownerReferences": [owner | {"controller": True}]}
        pod = await self.admin.create(PODS, self.namespace, {"metadata": made, "spec": template["spec"]})
        pod = await self.admin.put_status(PODS, pod, {"phase": "Running", **status})
        await self._job_is(job, {"startTime": _now(), "active": 1, "ready": 0 if status else 1})
        return pod

    async def _end(
        self, job: Object, message: str = "", exit_code: int = 0, why: str | None = None, **pod_status
    ) -> None:
        pod = await self.admin.get(PODS, self.namespace, job["metadata"]["name"]) or await self._begin(job)
        ended = {"exitCode": exit_code, "message": message, "finishedAt": _now(), "startedAt": _now()}
        ended |= {"reason": why} if why else {}
        container = {"name": "stage", "image": "w", "imageID": "w", "ready": False, "restartCount": 0}
        status = {
            "phase": "Failed" if exit_code else "Succeeded",
            "containerStatuses": [container | {"state": {"terminated": ended}}],
        }
        await self.admin.put_status(PODS, pod, status | pod_status)
        before, after = ("FailureTarget", "Failed") if exit_code else ("SuccessCriteriaMet", "Complete")
        counted = {"failed": 1} if exit_code else {"succeeded": 1, "completionTime": _now()}
        told = {"status": "True", "lastTransitionTime": _now(), "reason": "AsTheTestSays", "message": "it says so"}
        conditions = [told | {"type": before}, told | {"type": after}]
        await self._job_is(job, {"startTime": _now()} | counted | {"conditions": conditions})

    async def pass_all(self, *stages: StageName, name: str = "one") -> None:
        """These stages, one after the other, end well."""
        for stage in stages:
            await self.end(stage, name=name)

    async def outcome(self, name: str = "one") -> Object:
        """The item, as soon as it has ended."""
        return await eventually(lambda: self._when(name, lambda status: _succeeded(status) != "Unknown"))

    async def until(self, seen, name: str = "one", seconds: float = 60.0) -> Object:
        """The item, as soon as ``seen`` is true of its status."""
        return await eventually(lambda: self._when(name, seen), seconds)

    async def _when(self, name, seen) -> Object | None:
        item = await self.item(name)
        status = item.get("status")
        return item if status and seen(status) else None

    async def _job_is(self, job: Object, status: Object) -> None:
        live = await self.admin.get(JOBS, self.namespace, job["metadata"]["name"])
        begun = {name: value for name, value in live.get("status", {}).items() if name == "startTime"}
        await self.admin.put_status(JOBS, live, status | begun)


@asynccontextmanager
async def a_stage(kubeconfig: Path) -> AsyncIterator[Stage]:
    """A namespace of one's own that takes pods, if they ask for no rights."""
    async with administrator(kubeconfig) as admin:
        namespace = await new_namespace(admin)
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await admin.patch(NAMESPACES, "", namespace, {"metadata": {"labels": labels}})
        await admin.create(SERVICE_ACCOUNTS, namespace, {"metadata": {"name": "default"}})
        yield Stage(admin, namespace)


def condition_in(status: Object, question: str = "Succeeded") -> Object:
    """The answer to that question, or nothing."""
    return next((found for found in status.get("conditions", ()) if found["type"] == question), {})


def _said(stage: StageName, attempt: int, reason: Reason | None = None, **changes) -> str:
    fields = {"facts": FACTS.get(stage, {})} | changes
    if stage is StageName.AGENT:
        fields.setdefault("cost", Cost(measured_usd=PAID_USD))
    if stage is StageName.COLLECT:
        fields.setdefault("artifacts", Artifacts(record_uri="s3://bucket/prefix/record.json"))
    return message_of(result(stage, attempt, reason, started_at=datetime.now(UTC), **fields))


def _succeeded(status: Object) -> str:
    return condition_in(status).get("status", "Unknown")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def states(item: Object) -> list[tuple[str, int, str]]:
    """Every attempt that the item's status tells of."""
    return [(stage["name"], stage["attempt"], stage["state"]) for stage in item["status"]["stages"]]


def writes(parts: Parts) -> dict[str, int]:
    """What the operator has written so far, by verb."""
    counted: dict[str, int] = {}
    for family in parts.metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "isobench_api_requests_total" and sample.value:
                counted[sample.labels["verb"]] = counted.get(sample.labels["verb"], 0) + int(sample.value)
    return {verb: count for verb, count in counted.items() if verb not in ("get", "list", "watch")}

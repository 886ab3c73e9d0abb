"""A test that plays a batch's items: a reconciler that asks as the real one asks, and ends an item when it may."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cluster.operating import administrator, eventually, new_namespace
from cluster.playing import SERVICE_ACCOUNTS
from cluster.refusals import batch
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import StageName
from isobench.controller import batches as batches_module
from isobench.controller.accounts import ACCOUNTS, Accounts
from isobench.controller.admission import Admission
from isobench.controller.api import Api
from isobench.controller.app import App, Parts
from isobench.controller.batches import BatchReconciler
from isobench.controller.budgets import has_ended
from isobench.controller.connection import Connection
from isobench.controller.kinds import BATCHES, CONFIG_MAPS, ITEMS, JOBS, PODS, Key, Object
from isobench.controller.settings import ControllerSettings

ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 3}}


@dataclass
class Player:
    """Plays every item: asks to start, prepares, asks to pay, and ends as the script says once it may."""

    parts: Parts
    admission: Admission
    script: Callable[[str], tuple[Reason, float]]
    held: set[str] = field(default_factory=set)
    """Items that don't end for the moment; `*` holds all."""
    most_running: int = 0
    most_agents: int = 0

    async def reconcile(self, key: Key) -> datetime | None:
        """One step."""
        item = self.parts.cache.items.get(key)
        if item is None:
            self.admission.gone(key)
            return None
        if has_ended(item):
            self.admission.ended(item)
            return None
        await self._step(item)
        self._count()
        return None

    def let(self, *names: str) -> None:
        """These may end now; all of them without names."""
        self.held = self.held - set(names) if names else set()
        for item in self.parts.cache.items.all():
            self.parts.wake(Key.of(ITEMS, item))

    async def _step(self, item: Object) -> None:
        now = self.parts.clock()
        stages = item.get("status", {}).get("stages", [])
        pays = item["spec"]["agent"]["enabled"] and item["spec"]["mode"] == "online"
        begins = not stages or (pays and stages[-1]["name"] == "prepare")
        waiting = self.admission.may_start(item, now) if begins else None
        if begins and stages:
            stages = [stages[0] | {"state": "Succeeded"}]
        if not item["spec"]["suspend"] and waiting is None and begins and stages:
            waiting = self.admission.may_pay(item, StageName.AGENT)
        if waiting is not None or (begins and item["spec"]["suspend"]):
            await self._write(item, {"stages": stages, "waiting": waiting.manifest() if waiting else None})
        elif begins:
            name = "agent" if stages else "prepare"
            await self._write(item, {"stages": [*stages, {"name": name, "attempt": 1, "state": "Running"}]})
            self.parts.wake(Key.of(ITEMS, item))
        elif not {"*", item["metadata"]["name"]} & self.held:
            await self._end(item, stages)

    async def _end(self, item: Object, stages: list[Object]) -> None:
        reason, dollars = self.script(item["metadata"]["name"])
        done = reason.consequence.family is Family.DONE
        answer = {"type": "Succeeded", "status": str(done), "reason": reason.value, "message": ""}
        ended = [stage | {"state": "Succeeded"} for stage in stages]
        written = await self._write(item, {"stages": ended, "conditions": [answer], "cost": {"measuredUsd": dollars}})
        self.admission.ended(written)

    async def _write(self, item: Object, status: Object) -> Object:
        status = {name: value for name, value in status.items() if value is not None}
        if status == item.get("status"):
            return item
        return await self.parts.api.put_status(ITEMS, item, status)

    def _count(self) -> None:
        live = [item for item in self.parts.cache.items.all() if item.get("status", {}).get("stages")]
        live = [item for item in live if not has_ended(item)]
        agents = [item for item in live if item["status"]["stages"][-1]["name"] == "agent"]
        self.most_running, self.most_agents = max(self.most_running, len(live)), max(self.most_agents, len(agents))


@dataclass
class Scene:
    """A namespace, its administrator, and the operator that serves it."""

    admin: Api
    namespace: str
    parts: Parts
    player: Player

    async def create(self, name: str, count: int, **spec: object) -> Object:
        """A batch of so many commits."""
        template = {"repository": {"url": "https://host.example/o/n"}, "output": {"store": "s3://bucket/prefix"}}
        template |= spec.pop("template", {})
        commits = [{"head": f"{number:040x}"} for number in range(1, count + 1)]
        manifest = batch(name, **{"commits": commits, "template": template} | spec)
        manifest["metadata"]["namespace"] = self.namespace
        return await self.admin.create(BATCHES, self.namespace, manifest)

    async def batch(self, name: str = "demo") -> Object:
        """The batch as it is now."""
        return await self.admin.get(BATCHES, self.namespace, name)

    async def status(self, name: str, true: Callable[[Object], object]) -> Object:
        """The batch's status as soon as ``true`` of it."""

        async def found() -> Object | None:
            status = (await self.batch(name)).get("status", {})
            return status if status and true(status) else None

        return await eventually(found)

    async def items(self) -> list[Object]:
        """The items, by name."""
        return sorted((await self.admin.list(ITEMS, self.namespace)).items, key=lambda item: item["metadata"]["name"])

    async def named(self, count: int) -> list[str]:
        """The items' names, as soon as there are so many."""

        async def found() -> list[str] | None:
            names = [item["metadata"]["name"] for item in await self.items()]
            return names if len(names) == count else None

        return await eventually(found)

    async def change(self, name: str, **spec: object) -> None:
        """Change the batch's spec, as a person does."""
        await self.admin.patch(BATCHES, self.namespace, name, {"spec": spec})

    async def account(self) -> Object:
        """The namespace's account, as it is stored."""
        stored = await self.admin.get(CONFIG_MAPS, self.namespace, f"isobench-account-{self.namespace}")
        return json.loads(stored["data"]["account.json"]) if stored else {}

    async def end_job(self, stage: str, attempt: int = 1, *, message: str = "", succeeded: bool = True) -> Object:
        """The batch's Job of that name ends, as the kubelet and the Job controller would have it."""

        async def found() -> Object | None:
            listed = (await self.admin.list(JOBS, self.namespace, f"isobench.dev/stage={stage}")).items
            return next((job for job in listed if f"-{stage}-{attempt}-" in job["metadata"]["name"]), None)

        job = await eventually(found)
        name = job["metadata"]["name"]
        pod = {
            "metadata": {"name": name, "labels": {"batch.kubernetes.io/job-name": name}},
            "spec": job["spec"]["template"]["spec"],
        }
        said = message or json.dumps(
            {"succeeded": succeeded, "message": f"{stage} {'done' if succeeded else 'failed'}"}
        )
        ended = {"exitCode": int(not succeeded), "message": said, "finishedAt": _now(), "startedAt": _now()}
        container = {"name": "stage", "image": "w", "imageID": "w", "ready": False, "restartCount": 0}
        made = await self.admin.create(PODS, self.namespace, pod)
        await self.admin.put_status(
            PODS, made, {"phase": "Succeeded", "containerStatuses": [container | {"state": {"terminated": ended}}]}
        )
        kinds = ("SuccessCriteriaMet", "Complete") if succeeded else ("FailureTarget", "Failed")
        conditions = [
            {"type": kind, "status": "True", "reason": "x", "message": "ended", "lastTransitionTime": _now()}
            for kind in kinds
        ]
        times = {"startTime": _now()} | ({"completionTime": _now(), "succeeded": 1} if succeeded else {"failed": 1})
        fresh = await self.admin.get(JOBS, self.namespace, name)
        await self.admin.put_status(JOBS, fresh, {"conditions": conditions, "uncountedTerminatedPods": {}} | times)
        return job


@asynccontextmanager
async def scene(kubeconfig: Path, script, held=(), **settings) -> AsyncIterator[Scene]:
    """A namespace with an operator whose items are played, leading, until the block ends."""
    async with administrator(kubeconfig) as admin:
        namespace = await new_namespace(admin)
        await admin.create(SERVICE_ACCOUNTS, namespace, {"metadata": {"name": "default"}})
        async with playing(kubeconfig, namespace, script, held, **settings) as (parts, player):
            yield Scene(admin, namespace, parts, player)


@asynccontextmanager
async def playing(kubeconfig: Path, namespace: str, script, held=(), **settings) -> AsyncIterator[tuple[Parts, Player]]:
    """An operator for ``namespace``: the second one in a namespace finds what the first one left."""
    made: list[Player] = []

    def make(parts: Parts):
        accounts = Accounts(parts)
        admission = Admission(parts, accounts)
        made.append(Player(parts, admission, script, set(held)))
        return {ITEMS.plural: made[0], BATCHES.plural: BatchReconciler(parts, admission), ACCOUNTS: accounts}

    chosen = {"namespaces": (namespace,), "release_namespace": namespace, "metrics_port": 0, "leader_election": False}
    app = App(ControllerSettings(**chosen | settings), Connection(kubeconfig), make)
    stop = asyncio.Event()
    run = asyncio.create_task(app.run(stop))
    try:
        yield made[0].parts, made[0]
    finally:
        stop.set()
        await run


def without_pauses(monkeypatch) -> None:
    """Statuses are written as soon as they change."""
    monkeypatch.setattr(batches_module, "BETWEEN_WRITES", batches_module.BETWEEN_WRITES * 0)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")

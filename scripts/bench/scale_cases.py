"""The scale benchmark's cases: Jobs alone, the floor and the operator over the same items, on equal API servers."""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import TypeVar

from scale_floor import WRITERS, Chains, Recording, as_manifest
from scale_observer import Observer, follow_all
from scale_world import NAMESPACES, SHARED, VOLUMES, OperatorProcess, fresh_cluster, item, operator, shared_claim

from building.loopback import free_port
from cluster.cluster import Cluster
from cluster.operating import administrator, eventually, install_kinds
from isobench.controller.api import Api
from isobench.controller.kinds import CLAIMS, ITEM_LABEL, ITEMS, JOBS, Object
from isobench.controller.settings import ControllerSettings

STAGES = 3
PATIENCE = 3600.0
Measured = TypeVar("Measured")
IN_FLIGHT = ControllerSettings().total_items
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Case:
    """Which limits the controller manager has, whose claim items use, how many there are, and how often it is timed."""

    limits: str
    claim: str
    items: int
    rounds: int = 1


@dataclass(frozen=True)
class Row:
    """What one client achieved in one case; the median of its rounds."""

    limits: str
    claim: str
    items: int
    what: str
    items_a_second: float
    p50_ms: float
    p99_ms: float
    of_floor: float | None = None
    of_floor_least: float | None = None
    of_floor_most: float | None = None
    reads: float | None = None
    writes: float | None = None
    cpu_seconds: float | None = None
    peak_mb: float | None = None


async def measure(case: Case) -> list[Row]:
    """Jobs alone, then rounds of the floor and the operator, each on a cluster of its own; who begins changes."""
    recording = await _on_a_cluster(case, lambda cluster, admin: _record(cluster, admin, case))
    clients = {
        "floor": lambda _, admin: _chains(admin, case, recording, jobs_alone=False),
        "operator": lambda cluster, admin: _operator(cluster, admin, case),
    }
    alone = await _on_a_cluster(case, lambda _, admin: _chains(admin, case, recording, jobs_alone=True))
    rounds: dict[str, list[Row]] = {what: [] for what in clients}
    for number in range(case.rounds):
        for what in sorted(clients, reverse=bool(number % 2)):
            rounds[what].append(await _on_a_cluster(case, clients[what]))
    floors, operators = rounds["floor"], rounds["operator"]
    parts = [one.items_a_second / floor.items_a_second for one, floor in zip(operators, floors, strict=True)]
    of_floor = {"of_floor": median(parts), "of_floor_least": min(parts), "of_floor_most": max(parts)}
    return [alone, _middle(floors), replace(_middle(operators), **of_floor)]


async def _on_a_cluster(case: Case, work: Callable[[Cluster, Api], Awaitable[Measured]]) -> Measured:
    with fresh_cluster(case.limits) as cluster:
        async with administrator(cluster.plane.kubeconfig) as admin:
            await install_kinds(admin)
            return await work(cluster, admin)


def _middle(rows: list[Row]) -> Row:
    """The rounds of one client as one: the median of each number."""
    numbers = {
        field.name: median(getattr(row, field.name) for row in rows)
        for field in fields(Row)
        if isinstance(getattr(rows[0], field.name), float)
    }
    return replace(rows[0], **numbers)


async def _record(cluster: Cluster, admin: Api, case: Case) -> Recording:
    """One item, taken through by the operator: what it wrote is what the floor repeats."""
    async with place(admin, case) as (namespace, observer):
        with operator(cluster, namespace, free_port()) as process:
            await until_ready(process)
            made = await admin.create(ITEMS, namespace, item("item-00000", case.claim))
            claims = asyncio.create_task(_first_claim(admin, namespace))
            await all_finished(observer, 1)
        claims.cancel()
        jobs = (await admin.list(JOBS, namespace, f"{ITEM_LABEL}=item-00000")).items
        jobs.sort(key=lambda job: observer.statuses["item-00000"][-1]["stages"].index(_stage_of(job, observer)))
        claim = None if case.claim == SHARED else as_manifest(claims.result())
        statuses = observer.statuses["item-00000"]
        metadata = made["metadata"]
        return Recording(metadata["name"], metadata["uid"], [as_manifest(job) for job in jobs], claim, statuses)


def _stage_of(job: Object, observer: Observer) -> Object:
    stages: list[Object] = observer.statuses["item-00000"][-1]["stages"]
    return next(stage for stage in stages if stage["name"] == job["metadata"]["labels"]["isobench.dev/stage"])


async def _first_claim(admin: Api, namespace: str) -> Object:
    """The first claim that appears in ``namespace``."""
    version = (await admin.list(CLAIMS, namespace)).resource_version
    async for event in admin.watch(CLAIMS, namespace, "", version):
        return event.item
    raise RuntimeError("no claim appeared")


async def _chains(admin: Api, case: Case, recording: Recording, *, jobs_alone: bool) -> Row:
    async with place(admin, case) as (namespace, observer):
        manifests = [item(f"item-{number:05}", case.claim, "nobody") for number in range(case.items)]
        seconds = await Chains(admin, observer, namespace, recording, IN_FLIGHT, jobs_alone).run(manifests)
        return _row(case, "Jobs alone" if jobs_alone else "floor", seconds, observer)


async def _operator(cluster: Cluster, admin: Api, case: Case) -> Row:
    async with place(admin, case) as (namespace, observer):
        with operator(cluster, namespace, free_port()) as process:
            await until_ready(process)
            await at_rest(process)
            before, used = process.requests(), process.cpu_seconds()
            begun = time.monotonic()
            await _create(admin, namespace, case)
            await all_finished(observer, case.items)
            seconds = time.monotonic() - begun
            await at_rest(process)  # what the last items leave behind goes after they have ended
            asked = {verb: count - before.get(verb, 0) for verb, count in process.requests().items()}
            spent, peak = process.cpu_seconds() - used, process.peak_mb()
        row = _row(case, "operator", seconds, observer)
        writes = sum(count for verb, count in asked.items() if verb in WRITES) / case.items
        reads = sum(count for verb, count in asked.items() if verb not in WRITES) / case.items
        measured = {"reads": reads, "writes": writes, "cpu_seconds": spent * 1000 / case.items, "peak_mb": peak}
        return replace(row, **measured)


async def _create(admin: Api, namespace: str, case: Case) -> None:
    async def create(number: int) -> None:
        await admin.create(ITEMS, namespace, item(f"item-{number:05}", case.claim))

    await in_parallel(create, case.items)


async def in_parallel(create: Callable[[int], Awaitable[None]], count: int) -> None:
    """Call ``create`` with every number below ``count``, many at a time."""
    room = asyncio.Semaphore(WRITERS)

    async def one(number: int) -> None:
        async with room:
            await create(number)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))


@asynccontextmanager
async def place(admin: Api, case: Case) -> AsyncIterator[tuple[str, Observer]]:
    """A namespace that is watched, with the shared claim if the case wants it."""
    namespace = f"scale-{secrets.token_hex(4)}"
    await admin.create(NAMESPACES, "", {"metadata": {"name": namespace}})
    if case.claim == SHARED:
        volume, claim = shared_claim(namespace)
        await admin.create(VOLUMES, "", volume)
        await admin.create(CLAIMS, namespace, claim)
        await eventually(lambda: _is_bound(admin, namespace, claim))  # until then no pod that uses it is placed
    observer = Observer(admin, namespace, STAGES)
    tasks = await follow_all(observer)
    try:
        yield namespace, observer
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _is_bound(admin: Api, namespace: str, claim: Object) -> bool:
    found = await admin.get(CLAIMS, namespace, claim["metadata"]["name"])
    return found is not None and found.get("status", {}).get("phase") == "Bound"


async def until_ready(process: OperatorProcess) -> None:
    """Return when its caches are filled."""
    await eventually(lambda: asyncio.to_thread(process.ready))


async def at_rest(process: OperatorProcess) -> None:
    """Return when it has nothing left to do: for a whole second it used no processor time."""
    used = -1.0
    while used != (used := process.cpu_seconds()):
        await asyncio.sleep(1)


async def all_finished(observer: Observer, items: int) -> None:
    """Return when so many items have ended."""
    async with asyncio.timeout(PATIENCE):
        while len(observer.finished) < items:
            await asyncio.sleep(0.02)


def _row(case: Case, what: str, seconds: float, observer: Observer) -> Row:
    overheads = observer.overheads()
    p50, p99 = (1000 * _quantile(overheads, part) for part in (0.5, 0.99))
    return Row(case.limits, case.claim, case.items, what, case.items / seconds, p50, p99)


def _quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, math.ceil(part * len(values)) - 1)] if values else math.nan

"""How a new operator starts beside many objects: when it is ready, and that it writes nothing that need not be."""

import asyncio
import time

from scale_cases import PATIENCE, WRITES, Case, all_finished, in_parallel, place, until_ready
from scale_world import OperatorProcess, fresh_cluster, item, operator

from building.loopback import free_port
from cluster.cluster import Cluster
from cluster.operating import administrator, eventually, install_kinds
from isobench.controller.api import Api
from isobench.controller.kinds import ITEMS, Object

NO_QUEUE = "nobody-admits"  # Jobs of this queue stay suspended: their items are in flight for as long as we like


async def measure_restart(objects: int) -> dict[str, float]:
    """Start the operator beside ``objects`` items: one in ten waits for a Job that runs, the others have ended."""
    with fresh_cluster("raised") as cluster:
        return await _measure(cluster, objects)


async def _measure(cluster: Cluster, objects: int) -> dict[str, float]:
    async with administrator(cluster.plane.kubeconfig) as admin:
        await install_kinds(admin)
        async with place(admin, Case("raised", "own", 1)) as (namespace, observer):
            with operator(cluster, namespace, free_port()) as process:
                await until_ready(process)
                await admin.create(ITEMS, namespace, item("ended", "own"))
                await all_finished(observer, 1)
                await _in_flight(admin, namespace, objects // 10)
            await _ended(admin, namespace, objects - objects // 10 - 1, observer.statuses["ended"][-1])
            return await _start(cluster, namespace, objects)


async def _in_flight(admin: Api, namespace: str, items: int) -> None:
    async def create(number: int) -> None:
        manifest = item(f"queued-{number:05}", "own")
        manifest["spec"]["queueName"] = NO_QUEUE
        await admin.create(ITEMS, namespace, manifest)

    async def queued() -> bool:
        found = (await admin.list(ITEMS, namespace)).items
        return sum(one.get("status", {}).get("waiting", {}).get("why") == "Queued" for one in found) == items

    await in_parallel(create, items)
    await eventually(queued, PATIENCE)


async def _ended(admin: Api, namespace: str, items: int, status: Object) -> None:
    async def create(number: int) -> None:
        made = await admin.create(ITEMS, namespace, item(f"ended-{number:05}", "own"))
        await admin.put_status(ITEMS, made, status)

    await in_parallel(create, items)


async def _start(cluster: Cluster, namespace: str, objects: int) -> dict[str, float]:
    begun = time.monotonic()
    with operator(cluster, namespace, free_port()) as process:
        await until_ready(process)
        ready = time.monotonic() - begun
        await eventually(lambda: asyncio.to_thread(_looked_at, process, objects), PATIENCE)
        return {
            "objects": objects,
            "ready_seconds": ready,
            "all_looked_at_seconds": time.monotonic() - begun,
            "writes": sum(count for verb, count in process.requests().items() if verb in WRITES),
            "cpu_seconds": process.cpu_seconds(),
            "peak_mb": process.peak_mb(),
        }


def _looked_at(process: OperatorProcess, objects: int) -> bool:
    """Whether every item has been reconciled, and nothing waits."""
    told = process.figures()
    reconciled = told.get("isobench_reconcile_duration_seconds_count", 0)
    return reconciled >= objects and told["isobench_queue_depth"] == 0

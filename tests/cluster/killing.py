"""A batch whose operator is killed again and again: what the cluster does meanwhile, and what became of the batch."""

import asyncio
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

from cluster.batch_playing import ONLINE, Scene
from cluster.operating import OperatorProcess, eventually
from cluster.playing import Stage, a_stage
from isobench.contracts.status import StageName
from isobench.controller.kinds import BATCHES, ITEMS, JOBS, Object

LONGEST_LIFE = 1.5  # seconds after it leads that an operator is killed at the latest


@dataclass
class Batch:
    """A batch of agents' items that the cluster's part is played for, as long as the test lets it go on."""

    stage: Stage
    items: int
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Until this is set, the last item's last Job does not end: the kills come before the batch is done."""

    async def play(self) -> None:
        """End every Job as soon as it is seen, for ever."""
        seen: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for job in (await self.stage.admin.list(JOBS, self.stage.namespace)).items:
                    if job["metadata"]["uid"] not in seen:
                        seen.add(job["metadata"]["uid"])
                        group.create_task(self._end(job))
                await asyncio.sleep(0.05)

    async def _end(self, job: Object) -> None:
        labels = job["metadata"]["labels"]
        item, stage = labels.get("isobench.dev/item"), labels["isobench.dev/stage"]
        if item is None:
            await Scene(self.stage.admin, self.stage.namespace, None, None).end_job(stage)
            return
        if stage == StageName.COLLECT and item.startswith(f"demo-{self.items - 1:03}"):
            await self.held.wait()
        await self.stage.end(StageName(stage), int(labels["isobench.dev/attempt"]), item)


@dataclass(frozen=True)
class Outcome:
    """What became of the batch."""

    batch: Object
    items: list[Object]
    attempts: dict[str, list[str]]
    """By item: `<stage>-<attempt>` of every Job that there was."""
    kills: int


async def kill_during_a_batch(kubeconfig: Path, items: int, kills: int, seed: int) -> Outcome:
    """Kill the operator ``kills`` times at random moments of a batch, start it again each time, and let it end."""
    moments = random.Random(seed)
    async with a_stage(kubeconfig) as stage:
        batch = Batch(stage, items)
        await _create(stage, items)
        playing = asyncio.create_task(batch.play())
        try:
            for _ in range(kills):
                await _live_and_die(kubeconfig, stage, moments.uniform(0, LONGEST_LIFE))
            batch.held.set()
            operator = OperatorProcess(kubeconfig, stage.namespace, "operator")
            try:
                await eventually(lambda: _completed(stage), seconds=120)
            finally:
                operator.end()
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        return await _outcome(stage, kills)


async def _create(stage: Stage, items: int) -> None:
    template = {"repository": {"url": "https://host.example/owner/name"}, "output": {"store": "s3://bucket/prefix"}}
    spec = {
        "commits": [{"head": f"{number:040x}"} for number in range(1, items + 1)],
        "template": template | ONLINE,
        "parallelism": 2,
        "agentParallelism": 2,
        "budgetUsd": 100,
    }
    await stage.admin.create(BATCHES, stage.namespace, {"metadata": {"name": "demo"}, "spec": spec})


async def _live_and_die(kubeconfig: Path, stage: Stage, seconds: float) -> None:
    """Start an operator and kill it so long after it has begun to write."""
    operator = OperatorProcess(kubeconfig, stage.namespace, "operator")
    try:
        await eventually(operator.leads)
        await asyncio.sleep(seconds)
        operator.signal(signal.SIGKILL)
    finally:
        operator.end()


async def _completed(stage: Stage) -> bool:
    batch = await stage.admin.get(BATCHES, stage.namespace, "demo")
    conditions = batch.get("status", {}).get("conditions", [])
    return any(one["type"] == "Succeeded" and one["reason"] == "Completed" for one in conditions)


async def _outcome(stage: Stage, kills: int) -> Outcome:
    attempts: dict[str, list[str]] = {}
    for job in (await stage.admin.list(JOBS, stage.namespace)).items:
        labels = job["metadata"]["labels"]
        told = [labels[label] for label in ("isobench.dev/stage", "isobench.dev/attempt") if label in labels]
        attempts.setdefault(labels.get("isobench.dev/item", "the batch"), []).append("-".join(told))
    batch = await stage.admin.get(BATCHES, stage.namespace, "demo")
    return Outcome(batch, (await stage.admin.list(ITEMS, stage.namespace)).items, attempts, kills)

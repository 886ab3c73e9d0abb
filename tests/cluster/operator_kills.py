"""A batch with agents and money whose operator is killed again and again: while it starts, while it works, at rest."""

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cluster.operating import eventually
from cluster.playing import PAID_USD, STORE, Stage, a_stage, condition_in
from isobench.controller.item_jobs import is_finished
from isobench.controller.kinds import BATCHES, ITEMS, JOBS, STAGE_LABEL, Object

STAGES = ["prepare", "validate", "agent", "build-agent", "timing", "collect"]
MOST_JOBS = 5
"""A life lasts until so many more Jobs have been made, at most, and a moment longer."""
AT_REST, LONGEST_REST = 0.3, 6.0
"""In this share of the lives nothing ends: the operator starts, and then waits, for so many seconds at most."""

_AGENT = {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: after how many seconds at rest, if it was, how many Jobs had been made, and which stages ran."""

    rest: float | None
    jobs: int
    running: list[str]


@dataclass
class Campaign:
    """What is left, and every Job that there ever was, by name."""

    kills: list[Kill] = field(default_factory=list)
    made: Counter[str] = field(default_factory=Counter)
    batch: Object = field(default_factory=dict)
    items: list[Object] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """What was lost, repeated or counted wrong, a sentence each."""
        found = [f"the Job {name} was made {times} times" for name, times in self.made.items() if times != 1]
        if len(self.made) != len(self.items) * len(STAGES) + 1:
            found.append(f"{len(self.made)} Jobs were made for {len(self.items)} items")
        for item in self.items:
            passed = [(stage["name"], stage["attempt"]) for stage in item["status"]["stages"]]
            if condition_in(item["status"])["reason"] != "Recorded" or passed != [(stage, 1) for stage in STAGES]:
                found.append(f"{item['metadata']['name']} passed {passed} and is {condition_in(item['status'])}")
            if item["status"]["cost"]["measuredUsd"] != PAID_USD:
                found.append(f"{item['metadata']['name']} cost {item['status']['cost']}")
        for row in self.batch["status"]["ledger"]:
            if (row["outcome"], row.get("reservedUsd", 0.0), row["spentUsd"]) != ("Recorded", 0.0, PAID_USD):
                found.append(f"the ledger says {row}")
        return found


def campaign(kubeconfig: Path, items: int, kills: int, seed: int) -> Campaign:
    """Kill so often, then let the last one end the batch."""
    return asyncio.run(_campaign(kubeconfig, items, kills, random.Random(seed)))


async def _campaign(kubeconfig: Path, items: int, kills: int, draw: random.Random) -> Campaign:
    told, may_end = Campaign(), asyncio.Event()
    async with a_stage(kubeconfig) as stage:
        helpers = [asyncio.create_task(_watch(stage, told.made)), asyncio.create_task(stage.end_all(may_end))]
        try:
            await stage.admin.create(BATCHES, stage.namespace, _batch(items))
            for _ in range(kills):
                told.kills.append(await _life(kubeconfig, stage, told.made, may_end, draw))
            may_end.set()
            process = _start(kubeconfig, stage.namespace)
            try:
                await eventually(lambda: _ended(stage), seconds=300)
            finally:
                process.kill()
                process.wait()
        finally:
            for helper in helpers:
                helper.cancel()
            ends = await asyncio.gather(*helpers, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise RuntimeError("a helper of the campaign ended before it") from end
        told.items = (await stage.admin.list(ITEMS, stage.namespace)).items
        told.batch = await stage.admin.get(BATCHES, stage.namespace, "killed") or {}
    return told


async def _life(
    kubeconfig: Path, stage: Stage, made: Counter[str], may_end: asyncio.Event, draw: random.Random
) -> Kill:
    """One operator, from its start to its kill at a moment that is drawn."""
    rest = draw.uniform(0, LONGEST_REST) if draw.random() < AT_REST else None
    if rest is None:
        may_end.set()
    else:
        may_end.clear()
    process = _start(kubeconfig, stage.namespace)
    try:
        if rest is None:
            await _until_some_job(made, draw)
        else:
            await asyncio.sleep(rest)
    finally:
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    jobs = (await stage.admin.list(JOBS, stage.namespace)).items
    running = sorted(job["metadata"]["labels"][STAGE_LABEL] for job in jobs if not is_finished(job))
    return Kill(rest, made.total(), running)


async def _until_some_job(made: Counter[str], draw: random.Random) -> None:
    enough = made.total() + draw.randint(1, MOST_JOBS)
    await eventually(lambda: made.total() >= enough)
    await asyncio.sleep(draw.uniform(0, 0.05))


def _start(kubeconfig: Path, namespace: str) -> subprocess.Popen[bytes]:
    flags = [f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", f"--release-namespace={namespace}"]
    flags += ["--metrics-port=0", "--no-leader-election", "--log-format=text"]
    return subprocess.Popen(
        [sys.executable, "-m", "isobench.controller", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _batch(items: int) -> Object:
    repository = {"url": "https://host.example/owner/name.git"}
    spec = {
        "commits": [{"head": f"{number:040x}"} for number in range(items)],
        "template": {"repository": repository, "output": STORE, "mode": "online", "agent": _AGENT},
        "parallelism": 4,
        "agentParallelism": 2,
        "budgetUsd": items,
    }
    return {"apiVersion": BATCHES.api_version, "kind": BATCHES.name, "metadata": {"name": "killed"}, "spec": spec}


async def _watch(stage: Stage, made: Counter[str]) -> None:
    version = (await stage.admin.list(JOBS, stage.namespace)).resource_version
    while True:
        async for event in stage.admin.watch(JOBS, stage.namespace, "", version):
            version = event.item["metadata"]["resourceVersion"]
            if event.type == "ADDED":
                made[event.item["metadata"]["name"]] += 1


async def _ended(stage: Stage) -> bool:
    found = await stage.admin.get(BATCHES, stage.namespace, "killed") or {}
    return bool(condition_in(found.get("status", {})).get("status", "Unknown") != "Unknown")

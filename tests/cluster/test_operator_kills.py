"""The operator killed at any instant of a batch: every item is recorded once, no stage is run twice, money adds up.

ISOBENCH_KILLS says how often it is killed; ten times unless told.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter

import pytest

from cluster.operating import eventually
from cluster.playing import PAID_USD, STORE, a_stage, condition_in
from isobench.controller.kinds import BATCHES, ITEMS, JOBS

KILLS = int(os.environ.get("ISOBENCH_KILLS", "10"))
SEED = 2026
MOST_JOBS = 5
"""Each life lasts until so many more Jobs have been made, at most."""

REPOSITORY = {"url": "https://host.example/owner/name.git"}
AGENT = {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}
STAGES = ["prepare", "validate", "agent", "build-agent", "timing", "collect"]


def batch(items):
    commits = [{"head": f"{number:040x}"} for number in range(items)]
    template = {"repository": REPOSITORY, "output": STORE, "mode": "online", "agent": AGENT}
    spec = {"commits": commits, "template": template, "parallelism": 4, "agentParallelism": 2, "budgetUsd": items}
    manifest = {"apiVersion": BATCHES.api_version, "kind": BATCHES.name, "metadata": {"name": "killed"}}
    return manifest | {"spec": spec}


def start(kubeconfig, namespace):
    flags = [f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", f"--release-namespace={namespace}"]
    flags += ["--metrics-port=0", "--no-leader-election", "--log-format=text"]
    return subprocess.Popen(
        [sys.executable, "-m", "isobench.controller", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def told(kinds):
    """What is left, and every Job that there ever was, after a batch whose operator was killed again and again."""

    async def played():
        async with a_stage(kinds.kubeconfig) as stage:
            made = Counter()
            watching = asyncio.create_task(watch(stage, made))
            ending = asyncio.create_task(stage.end_all())
            await stage.admin.create(BATCHES, stage.namespace, batch(items=2 + KILLS // 2))
            process = await kill_often(kinds.kubeconfig, stage, made)
            try:
                await eventually(lambda: ended(stage), seconds=120)
            finally:
                process.kill()
                process.wait()
                for task in (watching, ending):
                    task.cancel()
                await asyncio.gather(watching, ending, return_exceptions=True)
            items = (await stage.admin.list(ITEMS, stage.namespace)).items
            return await stage.admin.get(BATCHES, stage.namespace, "killed"), items, made

    return asyncio.run(played())


async def kill_often(kubeconfig, stage, made):
    """Start and kill, a moment after some Job was made; the last one lives."""
    draw = random.Random(SEED)
    for _ in range(KILLS):
        enough = made.total() + draw.randint(1, MOST_JOBS)
        process = start(kubeconfig, stage.namespace)
        await eventually(lambda enough=enough: made.total() >= enough)
        await asyncio.sleep(draw.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    return start(kubeconfig, stage.namespace)


async def watch(stage, made):
    """Count every Job that is made, by name."""
    version = (await stage.admin.list(JOBS, stage.namespace)).resource_version
    while True:
        async for event in stage.admin.watch(JOBS, stage.namespace, "", version):
            version = event.item["metadata"]["resourceVersion"]
            if event.type == "ADDED":
                made[event.item["metadata"]["name"]] += 1


async def ended(stage):
    found = await stage.admin.get(BATCHES, stage.namespace, "killed")
    return condition_in(found.get("status", {})).get("status", "Unknown") != "Unknown"


def test_every_item_is_recorded_and_passed_each_stage_once(told):
    _, items, _ = told
    assert len(items) == 2 + KILLS // 2
    for item in items:
        assert condition_in(item["status"])["reason"] == "Recorded"
        assert [stage["name"] for stage in item["status"]["stages"]] == STAGES
        assert {stage["attempt"] for stage in item["status"]["stages"]} == {1}


def test_no_job_was_ever_made_twice(told):
    _, items, made = told
    assert set(made.values()) == {1}
    assert len(made) == len(items) * len(STAGES) + 1, "and one exports"


def test_money_adds_up(told):
    found, items, _ = told
    ledger = found["status"]["ledger"]
    assert [row["outcome"] for row in ledger] == ["Recorded"] * len(items)
    assert [row.get("reservedUsd", 0.0) for row in ledger] == [0.0] * len(items)
    assert [row["spentUsd"] for row in ledger] == [PAID_USD] * len(items)
    assert [item["status"]["cost"]["measuredUsd"] for item in items] == [PAID_USD] * len(items)

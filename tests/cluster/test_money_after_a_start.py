"""Money at an operator's start, on a real API server: what runs is held, and what was deleted still counts."""

import asyncio
import json

import pytest

from cluster.operating import eventually
from cluster.playing import PAID_USD, a_stage, item_operator
from isobench.contracts.status import StageName
from isobench.controller.kinds import CONFIG_MAPS, ITEMS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
ONLINE = {"mode": "online", "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0}}
SHARED = {"workspace": {"claimName": "shared"}}


async def account_map(stage):
    return await stage.admin.get(CONFIG_MAPS, stage.namespace, f"isobench-account-{stage.namespace}")


async def account(stage):
    """The namespace's account as it is stored."""
    stored = await account_map(stage)
    return json.loads(stored["data"]["account.json"]) if stored else {"holds": {}, "spent": {}}


async def one_is_held(stage):
    return [float(hold["reserved_usd"]) for hold in (await account(stage))["holds"].values()]


async def nothing_is_held(stage):
    return not (await account(stage))["holds"]


def dollars(parts, **labels):
    """What the operator shows as spent."""
    samples = [sample for family in parts.metrics.registry.collect() for sample in family.samples]
    wanted = [s for s in samples if s.name == "isobench_spent_dollars" and labels.items() <= s.labels.items()]
    return sum(sample.value for sample in wanted)


def test_an_agent_that_an_older_operator_began_without_a_hold_is_held_and_counted(kinds):
    async def played():
        async with a_stage(kinds.kubeconfig) as stage:
            async with item_operator(kinds.kubeconfig, stage.namespace):
                await stage.create(**ONLINE, **SHARED)
                await stage.pass_all(PREPARE, VALIDATE)
                await stage.begin(AGENT)
                await stage.until(lambda status: status["stages"][-1]["state"] == "Running")
            stored = await account_map(stage)
            older = {"data": {"account.json": json.dumps({"holds": {}, "spent": {"": "7"}})}}
            await stage.admin.replace(CONFIG_MAPS, stored | older)
            async with item_operator(kinds.kubeconfig, stage.namespace):
                held = await eventually(lambda: one_is_held(stage))
                await stage.end(AGENT)
                await stage.pass_all(BUILD_AGENT, TIMING, COLLECT)
                await stage.outcome()
                await eventually(lambda: nothing_is_held(stage))
                return held, await account(stage)

    held, after = asyncio.run(played())
    assert held == [1.0]
    assert float(after["spent"][""]) == 7 + PAID_USD


def test_what_a_deleted_item_cost_is_shown_as_its_namespaces_cap_counts_it_after_a_restart_too(kinds):
    async def played():
        async with a_stage(kinds.kubeconfig) as stage:
            async with item_operator(kinds.kubeconfig, stage.namespace) as parts:
                await stage.create(**ONLINE, **SHARED)
                await stage.pass_all(PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT)
                await stage.outcome()
                await eventually(lambda: nothing_is_held(stage))
                shown = [dollars(parts, reason="Recorded")]
                await stage.admin.delete(ITEMS, stage.namespace, "one")
                await eventually(lambda: dollars(parts, reason="Deleted"))
                shown.append(dollars(parts))
            async with item_operator(kinds.kubeconfig, stage.namespace) as parts:
                await stage.create("another", suspend=True)
                await eventually(lambda: dollars(parts))
                return [*shown, dollars(parts), dollars(parts, reason="Deleted")]

    assert asyncio.run(played()) == [PAID_USD] * 4

"""A batch and its items as they are, on a real API server, where the test plays the kubelet: money from end to end."""

import asyncio
import json
from datetime import timedelta

import pytest

from cluster.batch_playing import ONLINE, without_pauses
from cluster.operating import eventually
from cluster.playing import PAID_USD, a_stage, condition_in, item_operator
from cluster.refusals import batch
from isobench.contracts.reasons import Reason
from isobench.contracts.status import Cost, StageName
from isobench.controller.api_errors import Unavailable
from isobench.controller.kinds import BATCHES, CONFIG_MAPS, ITEMS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
SHARED = {"workspace": {"claimName": "shared"}}
FIRST, SECOND = "demo-000-0000000", "demo-001-0000000"


@pytest.fixture
def play(kinds, monkeypatch):
    """Runs a coroutine function with a namespace of its own and the operator that serves it."""
    without_pauses(monkeypatch)

    def play(steps, **settings):
        async def played():
            async with a_stage(kinds.kubeconfig) as stage, item_operator(kinds.kubeconfig, stage.namespace, **settings):
                return await steps(stage)

        return asyncio.run(played())

    return play


async def begin(stage, count=2, item=None, **spec):
    """A batch of so many commits that an agent attempts; ``item`` is in the spec of each."""
    template = {"repository": {"url": "https://host.example/o/n"}, "output": {"store": "s3://bucket/prefix"}}
    template |= ONLINE | (item or {})
    commits = [{"head": f"{number:040x}"} for number in range(1, count + 1)]
    manifest = batch("demo", commits=commits, template=template, parallelism=count, **spec)
    manifest["metadata"]["namespace"] = stage.namespace
    await stage.admin.create(BATCHES, stage.namespace, manifest)
    await eventually(lambda: stage.item(FIRST))


async def status_of(stage, true):
    async def found():
        status = (await stage.admin.get(BATCHES, stage.namespace, "demo")).get("status", {})
        return status if status and true(status) else None

    return await eventually(found)


def waits(item_status):
    return item_status.get("waiting", {}).get("why")


def test_the_agents_job_is_made_after_its_money_is_in_the_ledger(play):
    async def steps(stage):
        await begin(stage, count=1, budgetUsd=10)
        await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
        job = await stage.job(AGENT, name=FIRST)
        reserved = await status_of(stage, lambda status: status["reservedUsd"])
        await stage.end(AGENT, name=FIRST, cost=Cost(measured_usd=1.5))
        await stage.pass_all(BUILD_AGENT, TIMING, COLLECT, name=FIRST)
        return job, reserved, await status_of(stage, lambda status: status["done"] == 1)

    job, reserved, status = play(steps)
    assert job["metadata"]["labels"]["isobench.dev/batch"] == "demo"
    assert reserved["ledger"] == [{"index": 0, "item": FIRST, "reservedUsd": 3, "spentUsd": 0}]
    assert status["ledger"] == [
        {"index": 0, "item": FIRST, "outcome": "Recorded", "reservedUsd": 0, "spentUsd": 1.5},
    ]


def test_who_does_not_fit_waits_for_the_budget_and_ends_without_an_agent_when_nothing_comes_back(play):
    async def steps(stage):
        await begin(stage, budgetUsd=5, agentParallelism=2)
        await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
        await stage.job(AGENT, name=FIRST)
        await stage.pass_all(PREPARE, VALIDATE, name=SECOND)
        waiting = await stage.until(lambda status: waits(status) == "Budget", name=SECOND)
        await stage.end(AGENT, name=FIRST, cost=Cost(measured_usd=3))
        await stage.pass_all(BUILD_AGENT, TIMING, COLLECT, name=FIRST)
        await stage.pass_all(TIMING, COLLECT, name=SECOND)
        return waiting, await stage.outcome(SECOND), await status_of(stage, lambda status: status["done"] == 2)

    waiting, ended, status = play(steps)
    assert waiting["status"]["waiting"]["message"] == (
        "the batch has $2 of its $5 left and this item may cost $3; raise spec.budgetUsd"
    )
    refused = next(stage for stage in ended["status"]["stages"] if stage["name"] == "agent")
    assert (refused["state"], refused["reason"]) == ("Failed", "BudgetExhausted")
    assert condition_in(ended["status"])["reason"] == "Recorded", "the commit itself is still a record"
    assert status["spentUsd"] == 3


def test_agents_wait_for_their_turn_and_are_woken(play):
    async def steps(stage):
        await begin(stage, agentParallelism=1)
        await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
        await stage.job(AGENT, name=FIRST)
        await stage.pass_all(PREPARE, VALIDATE, name=SECOND)
        await stage.until(lambda status: waits(status) == "AgentParallelism", name=SECOND)
        await stage.end(AGENT, name=FIRST, cost=Cost(measured_usd=1))
        return await stage.job(AGENT, name=SECOND)

    assert play(steps) is not None


def test_an_item_whose_time_is_over_at_once_goes_when_the_ledger_says_how_it_ended(play):
    async def steps(stage):
        await begin(stage, count=1, budgetUsd=10, item={"ttlSecondsAfterFinished": 0})
        await stage.pass_all(PREPARE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT, name=FIRST)

        async def gone():
            return await stage.item(FIRST) is None

        await eventually(gone)
        return (await stage.admin.get(BATCHES, stage.namespace, "demo"))["status"], await account_of(stage)

    status, account = play(steps)
    assert status["ledger"] == [
        {"index": 0, "item": FIRST, "outcome": "Recorded", "reservedUsd": 0, "spentUsd": PAID_USD}
    ]
    assert account == ([PAID_USD], [])


def test_an_item_waits_for_its_namespaces_slot_and_is_woken_when_one_is_free(play):
    async def steps(stage):
        await begin(stage)
        await stage.job(PREPARE, name=FIRST)
        waiting = await stage.until(waits, name=SECOND)
        await stage.admin.delete(ITEMS, stage.namespace, FIRST)
        return waiting["status"], await stage.job(PREPARE, name=SECOND)

    waiting, _ = play(steps, namespace_items=1)
    assert waiting["waiting"]["why"] == "NamespaceItems"
    assert waiting["waiting"]["position"] == 1
    assert waiting.get("stages", []) == []


def test_an_item_that_is_asked_for_again_is_paid_again_from_the_same_budget(play):
    async def steps(stage):
        await begin(stage, count=1, budgetUsd=10, item=SHARED)
        await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
        await stage.end(AGENT, name=FIRST, reason=Reason.AGENT_ERROR, cost=Cost(measured_usd=3))
        await stage.end(TIMING, name=FIRST, reason=Reason.TEST_FAILED)
        await stage.pass_all(COLLECT, name=FIRST)
        failed = await status_of(stage, lambda status: status["failed"] == 1)
        again = {"metadata": {"annotations": {"isobench.dev/retry": "once more"}}}
        await stage.admin.patch(ITEMS, stage.namespace, FIRST, again)
        await stage.job(AGENT, 2, FIRST)
        running = await status_of(stage, lambda status: status["reservedUsd"])
        await stage.end(AGENT, 2, FIRST, cost=Cost(measured_usd=2))
        await stage.pass_all(BUILD_AGENT, name=FIRST)
        for name in (TIMING, COLLECT):
            await stage.end(name, 2, FIRST)
        return failed, running, await status_of(stage, lambda status: status["done"] == 1)

    failed, running, status = play(steps)
    assert failed["ledger"][0]["spentUsd"] == 3
    assert (running["ledger"][0]["spentUsd"], running["ledger"][0]["reservedUsd"]) == (3, 3)
    assert status["spentUsd"] == 5, "what it spent before stays spent"


async def end_without_success(stage):
    """The only item spends $3 and ends without a record of its agent."""
    await stage.end(AGENT, name=FIRST, reason=Reason.AGENT_ERROR, cost=Cost(measured_usd=3))
    await stage.end(TIMING, name=FIRST, reason=Reason.TEST_FAILED)
    await stage.pass_all(COLLECT, name=FIRST)
    await stage.outcome(FIRST)


async def ask_again(stage):
    again = {"metadata": {"annotations": {"isobench.dev/retry": "once more"}}}
    await stage.admin.patch(ITEMS, stage.namespace, FIRST, again)


async def account_of(stage):
    stored = await stage.admin.get(CONFIG_MAPS, stage.namespace, f"isobench-account-{stage.namespace}")
    account = json.loads(stored["data"]["account.json"])
    holds = [(float(hold["before_usd"]), float(hold["reserved_usd"])) for hold in account["holds"].values()]
    return [float(spent) for spent in account["spent"].values() if float(spent)], holds


def test_what_is_asked_for_again_after_a_restart_does_not_spend_what_was_held_before(kinds, monkeypatch):
    """The operator died before the account was settled; the next one learns of the item when it is to begin again."""
    without_pauses(monkeypatch)

    async def fails(*_):
        raise Unavailable("the account can't be written now")

    async def played():
        async with a_stage(kinds.kubeconfig) as stage:
            async with item_operator(kinds.kubeconfig, stage.namespace) as parts:
                await begin(stage, count=1, budgetUsd=10, item=SHARED)
                await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
                await stage.job(AGENT, name=FIRST)
                monkeypatch.setattr(parts.api, "replace", fails)
                await end_without_success(stage)
            before = await account_of(stage)
            await ask_again(stage)
            async with item_operator(kinds.kubeconfig, stage.namespace):
                await stage.job(AGENT, 2, FIRST)
                return before, await account_of(stage)

    before, after = asyncio.run(played())
    assert before == ([], [(0, 3)])
    assert after == ([3], [(3, 3)])


def test_what_is_asked_for_again_says_that_it_waits_until_the_ledger_is_written(kinds, monkeypatch):
    without_pauses(monkeypatch)
    monkeypatch.setattr("isobench.controller.items.LATE_SETTLED", timedelta(seconds=0.5))

    async def played():
        async with (
            a_stage(kinds.kubeconfig) as stage,
            item_operator(kinds.kubeconfig, stage.namespace) as parts,
        ):
            await begin(stage, count=1, budgetUsd=10, item=SHARED)
            await stage.pass_all(PREPARE, VALIDATE, name=FIRST)
            await stage.job(AGENT, name=FIRST)
            put, late = parts.api.put_status, True

            async def is_late(kind, found, status):
                if kind is BATCHES and late:
                    raise Unavailable("the ledger can't be written now")
                return await put(kind, found, status)

            monkeypatch.setattr(parts.api, "put_status", is_late)
            await end_without_success(stage)
            await ask_again(stage)
            waits = await stage.until(lambda status: status.get("waiting"), FIRST)
            early, late = await stage.jobs(), False
            await stage.job(AGENT, 2, FIRST)
            await stage.until(lambda status: "waiting" not in status, FIRST)
            batch = await stage.admin.get(BATCHES, stage.namespace, "demo")
            return waits["status"], early, batch["status"]["ledger"], await account_of(stage)

    waits, early, (row,), account = asyncio.run(played())
    assert waits["waiting"]["why"] == "Budget"
    assert waits["waiting"]["message"] == (
        "the ledger of the batch demo still holds money for the try before, and is written first; "
        "`kubectl describe cbb demo` may say why"
    )
    assert condition_in(waits)["status"] == "False", "it looks ended until it begins again"
    assert "agent-2" not in early
    assert (row["spentUsd"], row["reservedUsd"]) == (3, 3)
    assert account == ([3], [(3, 3)])

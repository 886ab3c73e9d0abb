"""Batches on a real API server, where the test plays their items: turns, money, suspension, and the end."""

import asyncio
from datetime import timedelta

import pytest

from cluster.batch_playing import ONLINE, playing, scene, without_pauses
from cluster.operating import administrator, eventually
from isobench.contracts.reasons import Reason
from isobench.controller.api_errors import Unavailable
from isobench.controller.kinds import BATCHES, CONFIG_MAPS, EVENTS, ITEMS, JOBS

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

RECORDED = (Reason.RECORDED, 0.0)
EXPORTED = '{"succeeded": true, "message": "3 records"}'


def recorded(_name):
    return RECORDED


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    without_pauses(monkeypatch)


@pytest.fixture
def play(kinds):
    """Runs a coroutine function with a scene of its own."""

    def play(steps, script=recorded, held=(), **settings):
        async def played():
            async with scene(kinds.kubeconfig, script, held, **settings) as set_up:
                return await steps(set_up)

        return asyncio.run(played())

    return play


def reason_of(status, question="Succeeded"):
    return next((answer["reason"] for answer in status["conditions"] if answer["type"] == question), None)


def said(status, question="Succeeded"):
    return next(answer["message"] for answer in status["conditions"] if answer["type"] == question)


def test_items_are_begun_in_order_and_never_more_than_parallelism_are_unfinished(play):
    async def steps(scene):
        await scene.create("demo", 7, parallelism=2)
        first = await scene.named(2)
        scene.player.let()
        await scene.end_job("export")
        return first, await scene.status("demo", lambda status: reason_of(status) == "Completed"), scene.player

    first, status, player = play(steps, held={"*"})
    assert first == ["demo-000-0000000", "demo-001-0000000"]
    assert player.most_running == 2
    assert (status["total"], status["done"], status["failed"], status["running"]) == (7, 7, 0, 0)
    assert [row["index"] for row in status["ledger"]] == list(range(7))
    assert said(status) == "7 of 7 recorded"


def test_items_belong_to_their_batch_and_say_what_the_template_says(play):
    async def steps(scene):
        commits = [{"head": "a" * 40}, {"head": "a" * 40, "sample": 2}, {"head": "a" * 40, "model": "other"}]
        await scene.create("demo", 1, commits=commits, parallelism=3, template={"api": "pandas"})
        return await scene.batch(), await scene.named(3), await scene.items()

    made, names, items = play(steps, held={"*"})
    assert names == [f"demo-00{index}-aaaaaaa" for index in range(3)], "several samples or models are several items"
    for item in items:
        (owner,) = item["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
            made["metadata"]["uid"],
            True,
            False,
        )
        assert item["metadata"]["labels"]["isobench.dev/batch"] == "demo"
        assert (item["spec"]["api"], item["spec"]["output"]["dataset"]) == ("pandas", "demo")
        assert "finalizers" not in item["metadata"]


def test_counts_say_how_items_ended_and_one_failure_stops_no_other(play):
    def script(name):
        return (Reason.BUILD_FAILED, 0.0) if "-001-" in name else RECORDED

    async def steps(scene):
        await scene.create("demo", 4, parallelism=4)
        await scene.end_job("export", message='{"succeeded": true, "message": "3 records"}')
        return await scene.status("demo", lambda status: reason_of(status) == "Completed")

    status = play(steps, script)
    assert (status["done"], status["failed"]) == (3, 1)
    assert status["reasons"] == {"Recorded": 3, "BuildFailed": 1}
    assert said(status) == "3 of 4 recorded, 1 BuildFailed"
    assert status["datasetUri"] == "s3://bucket/prefix/demo/dataset.jsonl"
    assert said(status, "RecordStored") == "3 records"


def test_a_batch_that_fails_fast_begins_nothing_after_the_first_failure(play):
    async def steps(scene):
        await scene.create("demo", 9, failFast=True)
        await scene.end_job("export")
        return await scene.status("demo", lambda status: reason_of(status) == "StoppedAtFailure"), await scene.items()

    status, items = play(steps, lambda name: (Reason.NO_TEST, 0.0) if "-001-" in name else RECORDED)
    assert len(items) == 2
    assert said(status) == "1 of 9 recorded, 1 NoTest"


def test_a_suspended_batch_rests_with_its_items_and_goes_on(play):
    async def steps(scene):
        await scene.create("demo", 3, suspend=True)
        resting = await scene.status("demo", lambda status: True)
        none = await scene.items()
        await scene.change("demo", suspend=False)
        await scene.named(1)
        await scene.change("demo", suspend=True)

        async def suspended():
            return [item["spec"]["suspend"] for item in await scene.items()] == [True]

        await eventually(suspended)
        await scene.change("demo", suspend=False)
        scene.player.let()
        await scene.end_job("export")
        return (
            resting,
            none,
            await scene.status("demo", lambda status: reason_of(status) == "Completed"),
            await scene.items(),
        )

    resting, none, status, items = play(steps, held={"*"})
    assert (reason_of(resting), resting["waiting"]["why"], none) == ("Suspended", "Suspended", [])
    assert status["done"] == 3
    assert [item["spec"]["suspend"] for item in items] == [False] * 3


def test_an_item_that_a_person_suspended_stays_so(play):
    async def steps(scene):
        await scene.create("demo", 1)
        (name,) = await scene.named(1)
        await scene.admin.patch(ITEMS, scene.namespace, name, {"spec": {"suspend": True}})
        for suspend in (True, False):
            await scene.change("demo", suspend=suspend)
            await scene.status("demo", lambda status, now=suspend: (reason_of(status) == "Suspended") == now)
        return await scene.items()

    (item,) = play(steps, held={"*"})
    assert item["spec"]["suspend"] is True


def test_money_is_in_the_ledger_and_in_the_account_before_an_item_may_spend_it(play):
    async def steps(scene):
        await scene.create("demo", 1, budgetUsd=10, template=ONLINE)
        await scene.named(1)

        async def attempted():
            (item,) = await scene.items()
            return item.get("status", {}).get("stages", [{}])[-1].get("name") == "agent"

        await eventually(attempted)
        reserved, account = (await scene.batch())["status"], await scene.account()
        scene.player.let()
        await scene.end_job("export")
        status = await scene.status("demo", lambda status: reason_of(status) == "Completed")
        settled = await eventually(lambda: _without_holds(scene))
        return reserved, account, status, settled

    reserved, account, status, settled = play(steps, lambda _: (Reason.RECORDED, 1.25), held={"*"})
    assert (reserved["reservedUsd"], reserved["ledger"][0]["reservedUsd"]) == (3, 3)
    assert [hold["reserved_usd"] for hold in account["holds"].values()] == ["3.0"]
    assert (status["spentUsd"], status["reservedUsd"]) == (1.25, 0)
    assert list(settled["spent"].values()) == ["1.25"]
    assert said(status, "BudgetWithinCap") == "$1.25 of $10 spent or reserved"


async def _without_holds(scene):
    account = await scene.account()
    return account if account and not account["holds"] else None


def test_batches_that_share_a_budget_never_pass_it_and_all_come_to_an_end(play):
    async def steps(scene):
        await scene.create("first", 4, parallelism=4, agentParallelism=4, budgetUsd=10, template=ONLINE)
        await scene.create("second", 4, parallelism=4, agentParallelism=4, budgetRef="first", template=ONLINE)
        waiting = await eventually(lambda: _enough_waiting(scene, 5))
        scene.player.let()
        for name in ("first", "second"):
            await scene.status(name, lambda status: status["done"] + status["failed"] == 4)
        account = await eventually(lambda: _without_holds(scene))
        return waiting, account, [(await scene.batch(name))["status"] for name in ("first", "second")]

    waiting, account, statuses = play(steps, lambda _: (Reason.RECORDED, 1.0), held={"*"})
    assert len(waiting) == 5, "three of three dollars each fit into ten, five wait"
    assert {why for why, _ in waiting} == {"Budget"}
    assert "of its $10 left and this item may cost $3; raise spec.budgetUsd" in waiting[0][1]
    assert sum(map(float, account["spent"].values())) == 8
    assert sum(status["spentUsd"] for status in statuses) == 8


async def _enough_waiting(scene, count):
    waiting = [item.get("status", {}).get("waiting") for item in await scene.items()]
    found = [(one["why"], one.get("message", "")) for one in waiting if one]
    return found if len(found) == count and all("of its" in message for _, message in found) else None


def test_a_raised_budget_lets_the_next_item_pay(play):
    async def steps(scene):
        await scene.create("demo", 2, parallelism=2, agentParallelism=2, budgetUsd=4, template=ONLINE)
        await eventually(lambda: _enough_waiting(scene, 1))
        await scene.change("demo", budgetUsd=6)
        return await scene.status("demo", lambda status: status["reservedUsd"] == 6)

    assert play(steps, held={"*"})["running"] == 2


def test_a_budget_that_is_set_later_counts_what_was_spent_before_it_was(play):
    async def steps(scene):
        await scene.create("other", 1, budgetUsd=10, template=ONLINE)
        await scene.status("other", lambda status: status["done"] == 1)
        await scene.create("demo", 2, template=ONLINE)
        await scene.status("demo", lambda status: status["reservedUsd"] == 3)
        await scene.change("demo", budgetUsd=5)
        scene.player.let()
        return await eventually(lambda: _exhausted(scene))

    waits = play(steps, lambda _: (Reason.RECORDED, 2.5), held={"demo-000-0000000"})
    assert waits["message"] == "the batch has $2.5 of its $5 left and this item may cost $3; raise spec.budgetUsd"


def test_a_deleted_item_is_charged_with_what_was_held_for_it_and_not_begun_again(play):
    async def steps(scene):
        await scene.create("demo", 1, budgetUsd=10, template=ONLINE)
        await scene.status("demo", lambda status: status["reservedUsd"] == 3)
        (name,) = await scene.named(1)
        await scene.admin.delete(ITEMS, scene.namespace, name)
        await scene.end_job("export")
        status = await scene.status("demo", lambda status: reason_of(status) == "Completed")
        return status, await eventually(lambda: _without_holds(scene)), await scene.items()

    status, account, items = play(steps, held={"*"})
    assert items == []
    assert (status["spentUsd"], status["reasons"]) == (3, {"ItemDeleted": 1})
    assert list(account["spent"].values()) == ["3.0"]


def test_what_a_deleted_batch_spent_counts_against_its_namespace(play):
    async def steps(scene):
        await scene.create("first", 1, template=ONLINE)
        await scene.status("first", lambda status: status["done"] == 1)
        await eventually(lambda: _without_holds(scene))
        for kind, name in ((BATCHES, "first"), (ITEMS, "first-000-0000000")):
            await scene.admin.delete(kind, scene.namespace, name)
        await scene.create("second", 1, template=ONLINE)
        return await eventually(lambda: _exhausted(scene))

    waits = play(steps, lambda _: (Reason.RECORDED, 2.5), namespace_dollars=5.0)
    assert waits["why"] == "BudgetExhausted"
    assert "has $2.5 of its $5 left and this item may cost $3; ask who runs the operator" in waits["message"]


async def _exhausted(scene):
    waiting = [item.get("status", {}).get("waiting") for item in await scene.items()]
    return next((one for one in waiting if one and one["why"] == "BudgetExhausted"), None)


def test_agents_of_a_batch_take_turns(play):
    async def steps(scene):
        await scene.create("demo", 4, parallelism=4, agentParallelism=1, template=ONLINE)
        await scene.status("demo", lambda status: status["done"] == 4)
        return scene.player

    assert play(steps).most_agents == 1


def test_a_namespaces_cap_is_shared_in_turn_by_its_batches(play):
    async def steps(scene):
        await scene.create("long", 6, parallelism=6)
        await scene.named(6)
        await scene.create("short", 2, parallelism=2)
        await scene.named(8)
        waiting = await eventually(lambda: _all_wait(scene, 7))
        scene.player.let()
        for name, count in (("long", 6), ("short", 2)):
            await scene.status(name, lambda status, count=count: status["done"] == count)
        return waiting, scene.player

    waiting, player = play(steps, held={"*"}, namespace_items=1)
    assert player.most_running == 1
    assert {one["why"] for one in waiting.values()} == {"NamespaceItems"}
    assert waiting["short-000-0000000"]["position"] == 1, "the batch that has nothing running is next"


async def _all_wait(scene, count):
    waiting = {item["metadata"]["name"]: item.get("status", {}).get("waiting") for item in await scene.items()}
    found = {name: one for name, one in waiting.items() if one}
    return found if len(found) == count else None


def test_after_a_restart_the_batch_goes_on_where_it_was(kinds):
    async def played():
        async with scene(kinds.kubeconfig, lambda _: (Reason.RECORDED, 1.0), {"*"}) as before:
            await before.create("demo", 3, parallelism=2, agentParallelism=2, budgetUsd=6, template=ONLINE)
            await before.status("demo", lambda status: status["reservedUsd"] == 6)
            names = await before.named(2)
        again = playing(kinds.kubeconfig, before.namespace, lambda _: (Reason.RECORDED, 1.0))
        async with administrator(kinds.kubeconfig) as before.admin, again:
            status = await before.status("demo", lambda status: status["done"] == 3)
            account = await eventually(lambda: _without_holds(before))
        return names, status, account

    names, status, account = asyncio.run(played())
    assert [row["item"] for row in status["ledger"]][:2] == names
    assert status["spentUsd"] == 3
    assert [float(spent) for spent in account["spent"].values()] == [3]


def test_money_that_was_held_when_the_operator_died_is_held_once(kinds, monkeypatch):
    """The account is written, the batch's ledger is not yet: the next operator goes on from the account."""

    async def played():
        async with scene(kinds.kubeconfig, recorded, {"*"}) as before:
            put = before.parts.api.put_status

            async def dies(kind, item, status):
                if kind is BATCHES and status["reservedUsd"]:
                    raise Unavailable("the operator is about to die")
                return await put(kind, item, status)

            monkeypatch.setattr(before.parts.api, "put_status", dies)
            await before.create("demo", 2, parallelism=2, agentParallelism=2, budgetUsd=5, template=ONLINE)
            held = await eventually(lambda: _holds(before, 1))
            written = (await before.batch())["status"]["reservedUsd"]
        again = playing(kinds.kubeconfig, before.namespace, lambda _: (Reason.RECORDED, 1.0))
        async with administrator(kinds.kubeconfig) as before.admin, again:
            status = await before.status("demo", lambda status: status["done"] == 2)
            account = await eventually(lambda: _without_holds(before))
        return held, written, status, account

    held, written, status, account = asyncio.run(played())
    assert (len(held), written) == (1, 0), "two of three dollars don't fit into five"
    assert status["spentUsd"] == 2
    assert [float(spent) for spent in account["spent"].values()] == [2]


async def _holds(scene, count):
    holds = (await scene.account()).get("holds", {})
    return holds if len(holds) == count else None


def test_an_account_that_somebody_deleted_is_written_again_from_memory(play):
    async def steps(scene):
        await scene.create("demo", 3, budgetUsd=10, template=ONLINE)
        (name,) = await scene.named(1)
        await eventually(lambda: _holds(scene, 1))
        await scene.admin.delete(CONFIG_MAPS, scene.namespace, f"isobench-account-{scene.namespace}")
        scene.player.let(name)
        scene.player.let()
        await scene.status("demo", lambda status: status["done"] == 3)
        return await eventually(lambda: _without_holds(scene))

    account = play(steps, lambda _: (Reason.RECORDED, 1.5), held={"*"})
    assert [float(spent) for spent in account["spent"].values()] == [4.5]


def test_publication_comes_after_the_export_and_alone_has_the_hubs_token(play):
    publish = {"repo": "lab/set", "secretRef": {"name": "hub"}}

    async def steps(scene):
        output = {"store": "s3://bucket/prefix", "secretRef": {"name": "store"}, "endpoint": "http://s3.example"}
        await scene.create("demo", 1, publish=publish, template={"output": output})
        exporting = await scene.status("demo", lambda status: reason_of(status) == "Exporting")
        export = await scene.end_job("export")
        published = await scene.end_job("publish")
        return exporting, export, published, await scene.status("demo", lambda status: reason_of(status) == "Completed")

    exporting, export, published, status = play(steps)
    assert [attempt["name"] for attempt in exporting["closing"]] == ["export"]
    (exports,), (publishes,) = (job["spec"]["template"]["spec"]["containers"] for job in (export, published))
    assert "HF_TOKEN" not in str(exports)
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}} in publishes["env"]
    assert '"dataset":"demo"' in exports["args"][1]
    assert "http://s3.example" in exports["args"][1]
    assert exports["securityContext"]["readOnlyRootFilesystem"] is True
    assert (said(status, "RecordStored"), said(status, "Published")) == ("export done", "publish done")


def test_an_export_that_fails_is_tried_again_and_then_said(play, monkeypatch):
    monkeypatch.setattr("isobench.engine.closing.BACK_OFF", timedelta(0))

    async def steps(scene):
        await scene.create("demo", 1)
        for attempt in (1, 2, 3):
            await scene.end_job("export", attempt, succeeded=False)
        return await scene.status("demo", lambda status: reason_of(status) == "ExportFailed")

    status = play(steps)
    assert said(status) == "export failed"
    assert [attempt["state"] for attempt in status["closing"]] == ["Failed"] * 3


def test_batches_with_one_dataset_export_one_after_the_other(play):
    async def steps(scene):
        output = {"store": "s3://bucket/prefix", "dataset": "shared"}
        for name in ("one", "two"):
            await scene.create(name, 1, template={"output": output})
        statuses = {name: scene.status(name, lambda status: status["done"] == 1) for name in ("one", "two")}
        for waiting in statuses.values():
            await waiting
        first = await scene.end_job("export")
        other = next(name for name in ("one", "two") if not first["metadata"]["name"].startswith(name))
        await scene.admin.delete(JOBS, scene.namespace, first["metadata"]["name"])
        before = (await scene.batch(other))["status"]
        second = await scene.end_job("export")
        return before, other, second

    before, other, second = play(steps)
    assert second["metadata"]["name"].startswith(other)
    assert before.get("waiting", {"why": "Export"})["why"] == "Export"


def test_what_can_not_be_done_is_said_once_and_nothing_is_begun(play):
    async def steps(scene):
        await scene.create("demo", 1, commits=[{"head": "a" * 40}, {"head": "a" * 40}])
        status = await scene.status("demo", lambda status: reason_of(status) == "InvalidSpec")
        events = await eventually(lambda: listed(scene))  # it is told after the status is written
        return status, await scene.items(), events

    async def listed(scene):
        return [event["reason"] for event in (await scene.admin.list(EVENTS, scene.namespace)).items]

    status, items, events = play(steps)
    assert said(status).startswith(f"spec.commits: commit {'a' * 40} is there twice; leave one")
    assert (items, events) == ([], ["InvalidSpec"])


def test_a_batch_whose_shared_budget_is_missing_says_so(play):
    async def steps(scene):
        await scene.create("demo", 1, budgetRef="nobody", template=ONLINE)
        return await scene.status("demo", lambda status: "waiting" in status)

    waits = play(steps, held={"*"})["waiting"]
    assert waits["message"] == "the batch nobody, whose budget this one shares, is not there; create it"


def test_something_else_of_an_items_name_is_left_alone_and_said(play):
    async def steps(scene):
        other = await scene.create("other", 1)
        (item,) = await eventually(scene.items)
        stranger = {"apiVersion": item["apiVersion"], "kind": item["kind"], "spec": item["spec"]}
        stranger |= {"metadata": {"name": "demo-000-0000000", "namespace": scene.namespace}}
        await scene.admin.create(ITEMS, scene.namespace, stranger)
        await scene.create("demo", 1)

        async def taken():
            events = (await scene.admin.list(EVENTS, scene.namespace)).items
            return next((event for event in events if event["reason"] == "NameTaken"), None)

        event = await eventually(taken)
        return other, event

    _, event = play(steps, held={"*"})
    assert event["message"] == "the CommitBenchmark demo-000-0000000 is there and is not this batch's; delete it"

"""The operator beside a real API server whose answers and events are spoilt: what it knows and writes stays right."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from cluster.faulty_proxy import faulty_proxy
from cluster.operating import administrator, an_item, eventually, new_namespace, operator
from isobench.controller.api_errors import AlreadyExists, Conflict, Invalid, Unavailable
from isobench.controller.kinds import EVENTS, ITEMS, LEASES, Key

pytestmark = pytest.mark.own_cluster("an API server to spoil")


@pytest.fixture(scope="module")
def proxy(kinds, tmp_path_factory):
    with faulty_proxy(kinds, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture
def story(proxy):
    """Runs a coroutine function with an administrator, a namespace of its own and a proxy without faults."""
    proxy.refusals.clear()
    proxy.spoil.clear()

    def tell(steps):
        async def told():
            async with administrator(proxy.access.kubeconfig) as admin:
                return await steps(admin, await new_namespace(admin))

        return asyncio.run(told())

    yield tell
    assert [refusal for refusal in proxy.refusals if refusal.times] == [], "a fault was prepared and never came"


async def as_the_server(admin, running, namespace):
    """Wait until the cache holds what the API server has, at the same versions."""

    async def same():
        there = (await admin.list(ITEMS, namespace)).items
        return _versions(there) == _versions(running.parts.cache.items.all())

    await eventually(same)


def _versions(items):
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


def statuses_written(proxy, namespace):
    """How often the operator has written an item's status."""
    return sum(seen.method == "PUT" and f"{namespace}/commitbenchmarks" in seen.path for seen in proxy.seen)


async def observed(admin, namespace, name):
    """Wait until the operator has written the item's status."""

    async def written():
        item = await admin.get(ITEMS, namespace, name)
        return item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"]

    await eventually(written)


def test_an_item_is_seen_and_written_and_nothing_is_added_to_it(story, proxy):
    async def steps(admin, namespace):
        async with operator(proxy.kubeconfig, namespace) as running:
            await admin.create(ITEMS, namespace, an_item("one"))
            await observed(admin, namespace, "one")
            await as_the_server(admin, running, namespace)
        return await admin.get(ITEMS, namespace, "one")

    metadata = story(steps)["metadata"]
    assert "finalizers" not in metadata
    assert "annotations" not in metadata


def test_watches_that_are_closed_again_and_again_lose_nothing(story, proxy):
    async def steps(admin, namespace):
        async with operator(proxy.kubeconfig, namespace) as running:
            for name in "abcdef":
                await admin.create(ITEMS, namespace, an_item(name))
                proxy.end_watches()
                await observed(admin, namespace, name)
            await as_the_server(admin, running, namespace)

    story(steps)


def test_a_version_that_is_gone_is_answered_by_a_list_that_finds_the_deletions(story, proxy):
    lost = []

    def lose_deletions(line, kopf):
        if b'"DELETED"' not in line:
            return [line]
        lost.append(kopf)
        return []

    async def steps(admin, namespace):
        proxy.spoil[f"{namespace}/commitbenchmarks"] = lose_deletions
        for name in ("stays", "goes"):
            await admin.create(ITEMS, namespace, an_item(name))
        async with operator(proxy.kubeconfig, namespace) as running:
            await observed(admin, namespace, "goes")
            await eventually(lambda: proxy.watched(f"{namespace}/commitbenchmarks"))
            await admin.delete(ITEMS, namespace, "goes")
            await eventually(lambda: False in lost)
            proxy.refuse("GET", f"{namespace}/commitbenchmarks?watch=1", 410)
            proxy.end_watches()
            await as_the_server(admin, running, namespace)
            assert running.parts.cache.get(Key(ITEMS.plural, namespace, "goes")) is None

    story(steps)


@asynccontextmanager
async def watching_one_item(proxy, admin, namespace):
    """An operator that was watching when the item was created, and has told of it."""
    async with operator(proxy.kubeconfig, namespace) as running:
        await eventually(lambda: proxy.watched(f"{namespace}/commitbenchmarks"))
        await admin.create(ITEMS, namespace, an_item("one"))
        await observed(admin, namespace, "one")
        yield running


def test_an_expired_watch_says_so_in_an_event_and_is_answered_by_a_list(story, proxy):
    expired = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}).encode()
    told = []

    def expire_once(line, kopf):
        if kopf or told:
            return [line]
        told.append(line)
        return [expired]

    async def steps(admin, namespace):
        proxy.spoil[f"{namespace}/commitbenchmarks"] = expire_once
        async with watching_one_item(proxy, admin, namespace) as running:
            await as_the_server(admin, running, namespace)

    story(steps)
    assert told


def test_an_event_that_the_watch_lost_is_found_by_kopfs_watch(story, proxy):
    async def steps(admin, namespace):
        proxy.spoil[f"{namespace}/commitbenchmarks"] = lambda line, kopf: [line] if kopf else []
        async with operator(proxy.kubeconfig, namespace) as running:
            await eventually(lambda: proxy.watched(f"{namespace}/commitbenchmarks", kopf=True))
            await admin.create(ITEMS, namespace, an_item("one"))
            await observed(admin, namespace, "one")
            await admin.delete(ITEMS, namespace, "one")
            await as_the_server(admin, running, namespace)

    story(steps)


def test_events_that_come_twice_change_nothing(story, proxy):
    async def steps(admin, namespace):
        proxy.spoil[f"{namespace}/commitbenchmarks"] = lambda line, kopf: [line, line]
        async with operator(proxy.kubeconfig, namespace) as running:
            for name in ("a", "b"):
                await admin.create(ITEMS, namespace, an_item(name))
                await observed(admin, namespace, name)
            await as_the_server(admin, running, namespace)
            assert statuses_written(proxy, namespace) == 2

    story(steps)


def test_events_that_come_in_another_order_end_at_the_newest(story, proxy):
    held, swapped = [], []

    def swap(line, kopf):
        if kopf or b'"BOOKMARK"' in line:
            return [line]
        held.append(line)
        if len(held) < 2:
            return []
        swapped.append(line)
        return [held.pop(), held.pop()]

    async def steps(admin, namespace):
        proxy.spoil[f"{namespace}/commitbenchmarks"] = swap
        async with watching_one_item(proxy, admin, namespace) as running:
            for number in range(4):
                await admin.patch(ITEMS, namespace, "one", {"metadata": {"labels": {"changed": str(number)}}})
            await eventually(lambda: len(swapped) > 2)
            await as_the_server(admin, running, namespace)
            assert statuses_written(proxy, namespace) == 1

    story(steps)


def test_an_overloaded_server_is_asked_again_and_the_operator_starts(story, proxy):
    async def steps(admin, namespace):
        await admin.create(ITEMS, namespace, an_item("one"))
        proxy.refuse("GET", f"{namespace}/commitbenchmarks?limit", 429, headers={"Retry-After": "1"})
        proxy.refuse("GET", f"{namespace}/jobs", 503, times=2)
        proxy.refuse("PUT", "one/status", 429, times=2, headers={"Retry-After": "0"})
        async with operator(proxy.kubeconfig, namespace):
            await observed(admin, namespace, "one")

    story(steps)


def test_a_conflict_is_decided_again_on_the_object_as_it_is(story, proxy):
    async def steps(admin, namespace):
        await admin.create(ITEMS, namespace, an_item("one"))
        proxy.refuse("PUT", "one/status", 409)
        async with operator(proxy.kubeconfig, namespace) as running:
            await observed(admin, namespace, "one")
            assert running.recorder.called.count(Key(ITEMS.plural, namespace, "one")) >= 2

    story(steps)


@pytest.mark.parametrize("forwarded", [False, True], ids=["before it was done", "after it was done"])
def test_a_connection_that_breaks_during_a_status_write_ends_in_the_same_status(story, proxy, forwarded):
    async def steps(admin, namespace):
        await admin.create(ITEMS, namespace, an_item("one"))
        proxy.refuse("PUT", "one/status", 0, forwarded=forwarded)
        async with operator(proxy.kubeconfig, namespace) as running:
            await observed(admin, namespace, "one")
            await as_the_server(admin, running, namespace)

    story(steps)


def test_a_create_that_may_have_been_done_is_not_sent_again(story, proxy):
    async def steps(admin, namespace):
        proxy.refuse("POST", f"{namespace}/commitbenchmarks", 0, forwarded=True)
        async with administrator(proxy.kubeconfig) as through_proxy:
            with pytest.raises(Unavailable):
                await through_proxy.create(ITEMS, namespace, an_item("one"))
            with pytest.raises(AlreadyExists):
                await through_proxy.create(ITEMS, namespace, an_item("one"))

    story(steps)


def test_the_api_servers_own_refusals_are_told_apart(story):
    async def steps(admin, namespace):
        item = await admin.create(ITEMS, namespace, an_item("one"))
        await admin.put_status(ITEMS, item, {"observedGeneration": 1})
        with pytest.raises(Conflict):
            await admin.put_status(ITEMS, item, {"observedGeneration": 2})
        with pytest.raises(Invalid, match="commits"):
            await admin.create(ITEMS, namespace, an_item("bad", commits={"head": "not a commit"}))
        await admin.delete(ITEMS, namespace, "one", uid="another")
        assert await admin.get(ITEMS, namespace, "one") is not None
        await admin.delete(ITEMS, namespace, "one", uid=item["metadata"]["uid"])
        await admin.delete(ITEMS, namespace, "one")
        assert await admin.get(ITEMS, namespace, "one") is None

    story(steps)


def test_an_event_is_told_once(story):
    async def steps(admin, namespace):
        item = await admin.create(ITEMS, namespace, an_item("one"))
        for _ in range(2):
            await admin.event(item, "Recorded", "the record is stored")
        return (await admin.list(EVENTS, namespace)).items

    assert [event["message"] for event in story(steps)] == ["the record is stored"]


def test_a_new_leader_lists_before_its_first_write(story, proxy):
    async def steps(admin, namespace):
        await admin.create(ITEMS, namespace, an_item("one"))
        async with operator(proxy.kubeconfig, namespace):
            await observed(admin, namespace, "one")
        return [
            (seen.method, seen.path.rsplit("/", 1)[-1])
            for seen in proxy.seen
            if namespace in seen.path and not seen.kopf
        ]

    requests = story(steps)
    elected, wrote = requests.index(("POST", "leases")), requests.index(("PUT", "status"))
    between = requests[elected:wrote]
    assert {("GET", kind) for kind in ("commitbenchmarks", "commitbenchmarkbatches", "jobs")} <= set(between)


def test_the_lease_is_let_go_at_a_clean_end(story, proxy):
    async def steps(admin, namespace):
        async with operator(proxy.kubeconfig, namespace) as running:
            await eventually(lambda: running.app.leading)
        return await admin.get(LEASES, namespace, "isobench-isobench")

    assert story(steps)["spec"].get("holderIdentity", "") == ""


def test_the_operator_goes_on_after_the_api_server_and_its_store_were_restarted(story, proxy):
    async def steps(admin, namespace):
        async with operator(proxy.kubeconfig, namespace, lease_seconds=60) as running:
            await admin.create(ITEMS, namespace, an_item("before"))
            await observed(admin, namespace, "before")
            await asyncio.to_thread(proxy.access.restart_with_its_store)
            await admin.create(ITEMS, namespace, an_item("after"))
            await observed(admin, namespace, "after")
            await as_the_server(admin, running, namespace)

    story(steps)

"""A store is kept equal to the API server: by a watch, and by a list beside it that finds what the watch has missed."""

import asyncio
from contextlib import suppress

import pytest

from isobench.controller import reflector
from isobench.controller.api import Listing, WatchEvent
from isobench.controller.api_errors import Gone, Unavailable
from isobench.controller.cache import Store
from isobench.controller.kinds import BATCHES, Key
from isobench.controller.reflector import Reflector


def batch(name, version):
    metadata = {"namespace": "team", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}}


class ApiServer:
    """What it lists, a page or several, and says is put into queues by a test; an error there is raised."""

    def __init__(self):
        self.lists, self.events = asyncio.Queue(), asyncio.Queue()
        self.watched_from = []

    async def pages(self, *_):
        told = _or_raise(await self.lists.get())
        for page in told if type(told) is tuple else (told,):
            yield await page if isinstance(page, asyncio.Future) else page

    async def watch(self, kind, namespace, selector, version):
        self.watched_from.append(version)
        while True:
            yield _or_raise(await self.events.get())


def _or_raise(told):
    if isinstance(told, Exception):
        raise told
    return told


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(reflector, "_FIRST_DELAY", 0.001)
    monkeypatch.setattr(reflector, "PAGE_PAUSE_SECONDS", 0.001)


def story(steps):
    """What ``steps`` gives, beside a reflector of batches."""

    async def told():
        api, store, changed = ApiServer(), Store(BATCHES), asyncio.Queue()
        store.listen(lambda key, before, after: changed.put_nowait((key.name, after and after["metadata"])))
        run = asyncio.create_task(Reflector(api, store).run())
        try:
            return await asyncio.wait_for(steps(api, store, changed), 10)
        finally:
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run

    return asyncio.run(told())


def test_what_is_listed_and_what_changes_after_it_is_kept():
    async def steps(api, store, changed):
        await api.lists.put(Listing([batch("a", 3)], "5"))
        await changed.get()
        await api.events.put(WatchEvent("ADDED", batch("b", 6)))
        await changed.get()
        await api.events.put(WatchEvent("DELETED", batch("a", 7)))
        await changed.get()
        return sorted(item["metadata"]["name"] for item in store.all()), api.watched_from

    assert story(steps) == (["b"], ["5"])


def test_while_a_list_is_compared_the_watch_goes_on(monkeypatch):
    monkeypatch.setattr(reflector, "RELIST_SECONDS", 0.001)

    async def steps(api, store, changed):
        await api.lists.put(Listing([batch("a", 3), batch("lost", 4)], "5"))
        await changed.get(), await changed.get()
        await api.events.put(WatchEvent("ADDED", batch("b", 8)))
        arrived = await changed.get()
        await api.lists.put(Listing([batch("a", 3)], "7"))
        return arrived[0], (await changed.get())[0], sorted(item["metadata"]["name"] for item in store.all())

    assert story(steps) == ("b", "lost", ["a", "b"]), "b came after the list began, and stays"


def test_a_comparison_reads_page_by_page_and_the_watch_goes_on_in_between(monkeypatch):
    monkeypatch.setattr(reflector, "RELIST_SECONDS", 0.001)
    monkeypatch.setattr(reflector, "PAGE_PAUSE_SECONDS", 3600)

    async def steps(api, store, changed):
        await api.lists.put(())
        await api.lists.put((Listing([batch("a", 3)], "5"), Listing([batch("b", 4)], "5")))
        first = (await changed.get())[0]
        await api.events.put(WatchEvent("ADDED", batch("c", 8)))
        return first, (await changed.get())[0], store.get(Key(BATCHES.plural, "team", "b"))

    assert story(steps) == ("a", "c", None)


def test_what_a_later_list_lacks_does_not_come_back_by_a_slower_one():
    async def steps(api, store, changed):
        reading, second = Reflector(api, store), asyncio.get_running_loop().create_future()
        await api.lists.put(Listing([batch("a", 2)], "1"))
        await changed.get()
        await api.lists.put((Listing([batch("a", 3)], "5"), second))
        slow = asyncio.create_task(reading.relist(0.001))
        await changed.get()
        await api.lists.put(Listing([batch("a", 3)], "7"))
        await reading.relist()
        second.set_result(Listing([batch("gone", 4)], "5"))
        await slow
        return [item["metadata"]["name"] for item in store.all()]

    assert story(steps) == ["a"]


def test_a_comparison_that_fails_leaves_the_watch_alone(monkeypatch):
    monkeypatch.setattr(reflector, "RELIST_SECONDS", 0.001)

    async def steps(api, store, changed):
        await api.lists.put(Listing([], "5"))
        await api.lists.put(Unavailable("away"))
        await api.events.put(WatchEvent("ADDED", batch("a", 6)))
        return (await changed.get())[0], store.get(Key(BATCHES.plural, "team", "a")) is not None, api.watched_from

    assert story(steps) == ("a", True, ["5"])


def test_when_the_history_is_gone_everything_is_listed_anew():
    async def steps(api, store, changed):
        await api.lists.put(Listing([batch("a", 3)], "5"))
        await changed.get()
        await api.events.put(Gone("too old"))
        await api.lists.put(Listing([batch("b", 8)], "9"))
        names = {(await changed.get())[0], (await changed.get())[0]}
        await api.events.put(WatchEvent("ADDED", batch("c", 10)))
        return names, (await changed.get())[0], api.watched_from

    assert story(steps) == ({"a", "b"}, "c", ["5", "9"])

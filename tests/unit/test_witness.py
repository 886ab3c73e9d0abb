"""What kopf's watch saw and ours has not is read from the API server: a few objects at once, and none that is gone."""

import asyncio

import pytest

from building.objects import item
from isobench.controller import witness
from isobench.controller.cache import Cache
from isobench.controller.kinds import ITEMS, Key
from isobench.controller.witness import AT_ONCE, Witness


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(witness, "LOST_AFTER", 0.0)


class World:
    """An API server that answers when the test says so."""

    def __init__(self):
        self.cache, self.asked, self.answers = Cache(), [], asyncio.Event()
        self.witness = Witness(self.cache, self.read)

    async def read(self, key):
        self.asked.append(key)
        await self.answers.wait()

    async def settle(self):
        """Until nothing happens any more."""
        for _ in range(50):
            await asyncio.sleep(0)


def story(steps):
    async def told():
        world = World()
        await steps(world)
        return world

    return asyncio.run(told())


def key(name="one"):
    return Key(ITEMS.plural, "team-a", name)


def test_what_is_not_in_the_cache_is_read():
    async def steps(world):
        world.witness.saw(key(), "7", deleted=False)
        await world.settle()

    assert story(steps).asked == [key()]


def test_what_is_there_or_newer_is_not_read():
    async def steps(world):
        world.cache.learn(ITEMS, item("one"))
        world.witness.saw(key(), "7", deleted=False)
        await world.settle()

    assert story(steps).asked == []


def test_a_deletion_that_is_known_is_not_asked_about_and_one_that_is_not_is():
    async def steps(world):
        world.cache.learn(ITEMS, item("one"))
        world.witness.saw(key("one"), "9", deleted=True)
        world.witness.saw(key("two"), "9", deleted=True)
        await world.settle()

    assert story(steps).asked == [key("one")]


def test_however_many_are_missing_only_some_are_read_at_once():
    async def steps(world):
        for number in range(3 * AT_ONCE):
            world.witness.saw(key(str(number)), "7", deleted=False)
        await world.settle()
        assert len(world.asked) == AT_ONCE
        world.answers.set()
        await world.settle()

    assert len(story(steps).asked) == 3 * AT_ONCE

"""Shared claims are swept once for all items that went together, and never of an item that there is."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace

import pytest

from building.items import NOON
from building.objects import item
from isobench.controller.api import Listing
from isobench.controller.api_errors import Unavailable
from isobench.controller.item_sweep import AFTER, Sweeper
from isobench.controller.kinds import ITEMS, JOBS, Key
from isobench.controller.settings import ControllerSettings

SHARED = {"claimName": "shared"}


@dataclass
class Server:
    """The two requests of a sweep."""

    items: list = field(default_factory=list)
    created: list = field(default_factory=list)

    async def list(self, kind, namespace, selector=""):
        assert (kind, namespace) == (ITEMS, "team-a")
        return Listing(self.items, "1")

    async def create(self, kind, namespace, manifest):
        assert kind is JOBS
        self.created.append(manifest)


@pytest.fixture
def world():
    server = Server()
    now = SimpleNamespace(time=NOON)
    parts = SimpleNamespace(api=server, clock=lambda: now.time, settings=ControllerSettings())
    return server, now, Sweeper(parts)


def key(name):
    return Key(ITEMS.plural, "team-a", name)


async def away(*_):
    raise Unavailable("restarting")


def gone(sweeper, name):
    return asyncio.run(sweeper.gone(key(name)))


def test_items_that_go_together_are_swept_together_some_time_later(world):
    server, now, sweeper = world
    for name in ("one", "two"):
        sweeper.seen(key(name), item(name, workspace=SHARED))
    due = gone(sweeper, "one")
    now.time += timedelta(seconds=1)
    assert gone(sweeper, "two") == due
    assert AFTER <= due - now.time <= 2 * AFTER
    assert server.created == []
    now.time = due
    assert gone(sweeper, "one") is None
    assert gone(sweeper, "two") is None
    assert len(server.created) == 1


def test_what_there_is_is_kept_whoever_serves_it(world):
    server, now, sweeper = world
    server.items = [item("other", workspace=SHARED, controllerName="another")]
    sweeper.seen(key("one"), item("one", workspace=SHARED))
    now.time = gone(sweeper, "one")
    gone(sweeper, "one")
    (job,) = server.created
    (container,) = job["spec"]["template"]["spec"]["containers"]
    asked = json.loads(container["args"][1])
    assert asked["keep"] == [server.items[0]["metadata"]["uid"][:8]]
    assert asked["namespace"] == "team-a"
    assert "ownerReferences" not in job["metadata"]
    assert {"name": "workspace", "mountPath": "/workspace"} in container["volumeMounts"]


def test_a_sweep_that_could_not_be_asked_for_is_asked_for_again(world):
    server, now, sweeper = world
    for name in ("one", "two"):
        sweeper.seen(key(name), item(name, workspace=SHARED))
        now.time = gone(sweeper, name)
    create, server.create = server.create, away
    for name in ("one", "two"):
        with pytest.raises(Unavailable):
            gone(sweeper, name)
    server.create = create
    assert [gone(sweeper, "one"), gone(sweeper, "two")] == [None, None]
    assert server.created


def test_an_item_with_a_claim_of_its_own_leaves_nothing_to_sweep(world):
    server, _, sweeper = world
    sweeper.seen(key("one"), item("one"))
    assert gone(sweeper, "one") is None
    assert gone(sweeper, "never seen") is None
    assert server.created == []


def test_an_item_made_anew_under_the_same_name_is_not_swept_for_the_one_before(world):
    server, now, sweeper = world
    sweeper.seen(key("one"), item("one", workspace=SHARED))
    due = gone(sweeper, "one")
    sweeper.seen(key("one"), item("one", workspace=SHARED))
    now.time = due
    assert gone(sweeper, "one") > due
    assert server.created == []

"""What is done to the cluster for an item that nobody understands any more."""

import asyncio
from types import SimpleNamespace

from building.items import NOON
from building.objects import ITEM_UID, condition, item, job
from isobench.controller.cache import Cache
from isobench.controller.item_actions import Actions
from isobench.controller.kinds import ITEMS, JOBS
from isobench.controller.settings import ControllerSettings


class ApiServer:
    """Counts what is deleted."""

    def __init__(self):
        self.deleted = []

    async def delete(self, kind, namespace, name, *, uid):
        self.deleted.append((kind, namespace, name, uid))


def test_jobs_of_a_refused_item_end_and_those_that_have_ended_stay_readable():
    cache, api = Cache(), ApiServer()
    for uid, found in (
        ("ended", job("prepare", conditions=[condition("Complete")])),
        ("runs", job("agent")),
        ("goes", job("timing")),
    ):
        found["metadata"] |= {"uid": uid, "resourceVersion": "8"}
        found["metadata"]["ownerReferences"] = [{"kind": ITEMS.name, "uid": ITEM_UID}]
        if uid == "goes":
            found["metadata"]["deletionTimestamp"] = NOON.isoformat()
        cache.learn(JOBS, found)
    parts = SimpleNamespace(api=api, cache=cache, clock=lambda: NOON, settings=ControllerSettings())
    asyncio.run(Actions(parts, None).stop(item()))
    assert api.deleted == [(JOBS, "team-a", job("agent")["metadata"]["name"], "runs")]

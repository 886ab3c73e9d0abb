"""Where an attempt's ending is read: from the pod that the cache remembers, if that one has said its last word."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from building.items import NOON, result
from building.objects import CREATED, ITEM_UID, condition, ended, item, job, pod
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.controller.cache import Cache
from isobench.controller.item import Item
from isobench.controller.item_jobs import next_look
from isobench.controller.item_observation import observe
from isobench.controller.kinds import ITEMS, JOBS
from isobench.controller.settings import settings_from
from isobench.engine.facts import JobState
from isobench.engine.termination import message_of

PREPARE = StageName.PREPARE
STATUS = CommitBenchmarkStatus.parse({"stages": [{"name": "prepare", "attempt": 1, "state": "Creating"}]}, "status")
SAID = pod(ended(message=message_of(result(PREPARE))), phase="Succeeded")
RUNS = pod(phase="Running")


class ApiServer:
    """The API server's pods, counted in how often they are asked for."""

    def __init__(self, *pods):
        self.pods, self.asked = pods, 0

    async def list(self, *_):
        self.asked += 1
        return SimpleNamespace(items=list(self.pods))


def a_cache(found):
    """What the operator knows: the item's only Job."""
    cache = Cache()
    found["metadata"] |= {"resourceVersion": "8", "ownerReferences": [{"kind": ITEMS.name, "uid": ITEM_UID}]}
    cache.learn(JOBS, found)
    return cache


def seen_of(api, *remembered, started=CREATED):
    """The result of a finished Job whose item's pods are ``remembered``."""
    cache = a_cache(job(conditions=[condition("Complete")], startTime=started))
    for one in remembered:
        cache.pods.put(one)
    asked = Item.read(item())
    (observed,) = asyncio.run(observe(api, cache, asked, STATUS, NOON, settings_from([]))).jobs
    return observed.result


def test_a_remembered_pod_that_has_ended_is_believed():
    api = ApiServer()
    assert seen_of(api, SAID) == result(PREPARE)
    assert api.asked == 0


@pytest.mark.parametrize(
    ("remembered", "started"),
    [((), CREATED), ((RUNS,), CREATED), ((SAID,), "2026-01-01T12:00:01Z")],
    ids=["forgotten", "not at its end", "of a Job that was suspended since"],
)
def test_else_the_api_server_is_asked(remembered, started):
    api = ApiServer(SAID)
    assert seen_of(api, *remembered, started=started) == result(PREPARE)
    assert api.asked == 1


@pytest.mark.parametrize(
    ("age", "status", "told", "asked"),
    [
        (599, {}, None, 0),
        (601, {}, "has not taken up the Job", 0),
        (19, {"startTime": CREATED}, None, 0),
        (21, {"startTime": CREATED}, "has no pod: `kubectl describe job", 0),
        (21, {"startTime": CREATED, "active": 1}, None, 1),
        (21, {"startTime": CREATED, "terminating": 1}, None, 1),
    ],
    ids=["has its turn", "is passed over", "has its time", "may have none", "has forgotten one", "has one that goes"],
)
def test_a_job_without_a_known_pod_is_told_of_in_time_and_asked_about_only_if_it_has_one(age, status, told, asked):
    cache, api = a_cache(job(**status)), ApiServer(RUNS)
    now = datetime.fromisoformat(CREATED) + timedelta(seconds=age)
    (seen,) = asyncio.run(observe(api, cache, Item.read(item()), STATUS, now, settings_from([]))).jobs
    assert (seen.waiting.why if seen.waiting else None) == (told and "NoPod")
    assert (told or "") in (seen.waiting.message if seen.waiting else "")
    assert api.asked == asked


def test_what_a_queue_holds_back_is_said_and_has_no_deadline():
    cache, api = a_cache(job() | {"spec": {"suspend": True}}), ApiServer()
    a_month_later = datetime.fromisoformat(CREATED) + timedelta(days=30)
    asked = Item.read(item(queueName="gpus"))
    seen = asyncio.run(observe(api, cache, asked, STATUS, a_month_later, settings_from([])))
    (queued,) = seen.jobs
    assert (queued.state, queued.waiting.why) == (JobState.RUNNING, "Queued")
    assert "the queue gpus" in queued.waiting.message
    assert (seen.look_at, api.asked) == (None, 0)


@pytest.mark.parametrize(
    ("queued", "works_for", "looks_after"),
    [(0, 60, 20), (8 * 3600, 60, 20), (0, 160, 40), (0, 7 * 24 * 3600, 600)],
    ids=["at first", "a queue's hours do not count", "the more seldom the longer it takes", "ten minutes at most"],
)
def test_what_hinders_a_pod_is_looked_at_by_the_time_since_its_job_began(queued, works_for, looks_after):
    began = datetime.fromisoformat(CREATED) + timedelta(seconds=queued)
    now = began + timedelta(seconds=works_for)
    found = job(startTime=began.isoformat())
    assert next_look(found, now, hindered=True) == now + timedelta(seconds=looks_after)


def test_a_pod_that_its_node_should_have_ended_is_looked_at_when_it_is_given_up():
    began = datetime.fromisoformat(CREATED)
    deleted = began + timedelta(hours=2)
    going = pod(phase="Running")
    going["metadata"]["deletionTimestamp"] = deleted.isoformat()
    cache, api = a_cache(job(startTime=CREATED, active=1)), ApiServer(going)

    def at(moment):
        return asyncio.run(observe(api, cache, Item.read(item()), STATUS, moment, settings_from([])))

    assert at(deleted).look_at == deleted + timedelta(minutes=1)
    (lost,) = at(deleted + timedelta(minutes=1)).jobs
    assert lost.failure.reason is Reason.STAGE_LOST

"""Two operators of one release beside a real API server: one writes, and when it dies or sleeps the other goes on."""

import asyncio
import signal
from contextlib import contextmanager

import pytest

from cluster.operating import OperatorProcess, administrator, an_item, eventually, new_namespace
from isobench.controller.kinds import ITEMS
from isobench.controller.settings import ControllerSettings

pytestmark = pytest.mark.own_cluster("an API server to spoil")

SOON = "5"  # seconds until a silent leader is followed
BY_DEFAULT = str(ControllerSettings().lease_seconds)
TAKEOVER_SECONDS = 20.0


@contextmanager
def operators(kubeconfig, namespace, *identities, **flags):
    """Started one after the other; killed at the end if they still run."""
    processes = [
        OperatorProcess(kubeconfig, namespace, identity, module="cluster.writing_operator", **flags)
        for identity in identities
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.end()


class History:
    """Who wrote the item, write by write, followed from its creation on."""

    def __init__(self, admin, item):
        self._admin, self._metadata = admin, item["metadata"]
        self._told = []

    async def follow(self):
        """Take down every write, for ever."""
        namespace, version = self._metadata["namespace"], self._metadata["resourceVersion"]
        async for event in self._admin.watch(ITEMS, namespace, "", version):
            if event.type == "MODIFIED":
                self._told.append((int(event.item["metadata"]["resourceVersion"]), _writer(event.item)))

    async def has(self, identity, seconds=60.0):
        """Wait until ``identity`` has written."""
        await eventually(lambda: any(who == identity for _, who in self._told), seconds)

    async def writers(self):
        """Who has written up to now."""
        item = await self._admin.get(ITEMS, self._metadata["namespace"], self._metadata["name"])
        await eventually(lambda: self._told[-1][0] >= int(item["metadata"]["resourceVersion"]))
        return [who for _, who in self._told]


def _writer(item):
    return item["status"]["waiting"]["why"]


def story(kinds, steps):
    async def told():
        async with administrator(kinds.kubeconfig) as admin:
            namespace = await new_namespace(admin)
            history = History(admin, await admin.create(ITEMS, namespace, an_item("one")))
            following = asyncio.create_task(history.follow())
            try:
                return await steps(namespace, history)
            finally:
                following.cancel()

    return asyncio.run(told())


def followed_by(first, second, told):
    """Whether all of ``first``'s writes come before all of ``second``'s."""
    begins = told.index(second)
    return set(told[:begins]) == {first} and set(told[begins:]) == {second}


def test_a_killed_leader_is_followed_by_the_other(kinds):
    async def steps(namespace, history):
        with operators(kinds.kubeconfig, namespace, "first", lease_seconds=SOON) as [first]:
            await history.has("first")
            with operators(kinds.kubeconfig, namespace, "second", lease_seconds=SOON):
                first.signal(signal.SIGKILL)
                await history.has("second")
                return await history.writers()

    assert followed_by("first", "second", story(kinds, steps))


def test_by_default_a_killed_leader_is_followed_within_twenty_seconds(kinds):
    async def steps(namespace, history):
        with operators(kinds.kubeconfig, namespace, "first", lease_seconds=BY_DEFAULT) as [first]:
            await history.has("first")
            with operators(kinds.kubeconfig, namespace, "second", lease_seconds=BY_DEFAULT) as [second]:
                await second.ready()
                first.signal(signal.SIGKILL)
                await history.has("second", TAKEOVER_SECONDS)
                return await history.writers()

    assert followed_by("first", "second", story(kinds, steps))


def test_a_paused_leader_writes_nothing_when_it_wakes_and_ends(kinds):
    async def steps(namespace, history):
        with operators(kinds.kubeconfig, namespace, "first", lease_seconds=SOON) as [first]:
            await history.has("first")
            with operators(kinds.kubeconfig, namespace, "second", lease_seconds=SOON):
                first.signal(signal.SIGSTOP)
                await history.has("second")
                first.signal(signal.SIGCONT)
                status, said = await first.ended()
                return await history.writers(), status, said

    told, status, said = story(kinds, steps)
    assert followed_by("first", "second", told)
    assert status == 1
    assert "does not hold Lease isobench-isobench" in said
    assert "Traceback" not in said


def test_a_leader_that_is_told_to_end_lets_the_other_go_on_at_once(kinds):
    async def steps(namespace, history):
        with operators(kinds.kubeconfig, namespace, "first") as [first]:
            await history.has("first")
            with operators(kinds.kubeconfig, namespace, "second"):
                first.signal(signal.SIGTERM)
                status, _ = await first.ended()
                await history.has("second")
                return await history.writers(), status

    told, status = story(kinds, steps)
    assert followed_by("first", "second", told)
    assert status == 0


def test_another_release_over_the_same_namespace_refuses_to_start(kinds):
    async def steps(namespace, history):
        elsewhere = {"release": "nightly", "release_namespace": "default"}
        with operators(kinds.kubeconfig, namespace, "first"):
            await history.has("first")
            with operators(kinds.kubeconfig, namespace, "other", **elsewhere) as [other]:
                return namespace, *await other.ended()

    namespace, status, said = story(kinds, steps)
    assert status == 1
    assert f"release {namespace}/isobench already serves controllerName 'isobench' in {namespace}" in said
    assert "Traceback" not in said

"""Two operators of one release beside a real API server: one writes, and when it dies or sleeps the other goes on."""

import asyncio
import signal
from contextlib import contextmanager

import pytest

from cluster.operating import OperatorProcess, administrator, an_item, eventually, install_kinds, new_namespace
from isobench.controller.kinds import ITEMS


@pytest.fixture(scope="module")
def installed(api):
    async def install():
        async with administrator(api.kubeconfig) as admin:
            await install_kinds(admin)

    asyncio.run(install())
    return api


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


async def writer(admin, namespace):
    """Who wrote the item last."""
    item = await admin.get(ITEMS, namespace, "one")
    return item.get("status", {}).get("waiting", {}).get("why")


async def writes(admin, namespace, version):
    """Who wrote the item since ``version``, write by write."""
    told = []
    async for event in admin.watch(ITEMS, namespace, "", version, seconds=1):
        if event.type == "MODIFIED":
            told.append(event.item["status"]["waiting"]["why"])
    return told


def story(installed, steps):
    async def told():
        async with administrator(installed.kubeconfig) as admin:
            namespace = await new_namespace(admin)
            item = await admin.create(ITEMS, namespace, an_item("one"))
            return await steps(admin, namespace, item["metadata"]["resourceVersion"])

    return asyncio.run(told())


def followed_by(first, second, told):
    """Whether all of ``first``'s writes come before all of ``second``'s."""
    begins = told.index(second)
    return set(told[:begins]) == {first} and set(told[begins:]) == {second}


def test_a_killed_leader_is_followed_by_the_other(installed):
    async def steps(admin, namespace, version):
        with operators(installed.kubeconfig, namespace, "first") as [first]:
            await eventually(lambda: _is(admin, namespace, "first"))
            with operators(installed.kubeconfig, namespace, "second"):
                first.signal(signal.SIGKILL)
                await eventually(lambda: _is(admin, namespace, "second"))
                return await writes(admin, namespace, version)

    assert followed_by("first", "second", story(installed, steps))


def test_a_paused_leader_writes_nothing_when_it_wakes_and_ends(installed):
    async def steps(admin, namespace, version):
        with operators(installed.kubeconfig, namespace, "first") as [first]:
            await eventually(lambda: _is(admin, namespace, "first"))
            with operators(installed.kubeconfig, namespace, "second"):
                first.signal(signal.SIGSTOP)
                await eventually(lambda: _is(admin, namespace, "second"))
                first.signal(signal.SIGCONT)
                status, said = await first.ended()
                return await writes(admin, namespace, version), status, said

    told, status, said = story(installed, steps)
    assert followed_by("first", "second", told)
    assert status == 1
    assert "does not hold Lease isobench-isobench" in said
    assert "Traceback" not in said


def test_a_leader_that_is_told_to_end_lets_the_other_go_on_at_once(installed):
    async def steps(admin, namespace, version):
        with operators(installed.kubeconfig, namespace, "first", lease_seconds="3600") as [first]:
            await eventually(lambda: _is(admin, namespace, "first"))
            with operators(installed.kubeconfig, namespace, "second"):
                first.signal(signal.SIGTERM)
                status, _ = await first.ended()
                await eventually(lambda: _is(admin, namespace, "second"))
                return await writes(admin, namespace, version), status

    told, status = story(installed, steps)
    assert followed_by("first", "second", told)
    assert status == 0


def test_another_release_over_the_same_namespace_refuses_to_start(installed):
    async def steps(admin, namespace, _):
        elsewhere = await new_namespace(admin)
        with operators(installed.kubeconfig, namespace, "first"):
            await eventually(lambda: _is(admin, namespace, "first"))
            with operators(
                installed.kubeconfig, namespace, "other", release="nightly", release_namespace=elsewhere
            ) as [other]:
                return namespace, *await other.ended()

    namespace, status, said = story(installed, steps)
    assert status == 1
    assert f"release {namespace}/isobench already serves controllerName 'isobench' in {namespace}" in said
    assert "Traceback" not in said


async def _is(admin, namespace, identity):
    return await writer(admin, namespace) == identity

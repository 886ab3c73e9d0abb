"""A node that vanishes under an item, on a second real node: the item ends with the reason, and nothing waits for ever.

Its volume was on that node, so nothing of it can go on elsewhere: the scheduler says so, and the item says it too.
"""

import asyncio
import contextlib

import pytest

from cluster.cluster import NODE, SECOND_NODE
from cluster.operating import administrator, eventually
from cluster.playing import Stage, condition_in, item_operator
from cluster.second_node import second_node
from cluster.test_one_item import MINUTE, ended, running, world  # noqa: F401 - a fixture, too

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")


@pytest.fixture
def only_the_second(kubectl):
    """A context in which pods are placed on the second node alone."""

    @contextlib.contextmanager
    def placed():
        kubectl("cordon", NODE)
        try:
            yield
        finally:
            kubectl("uncordon", NODE)

    return placed


@pytest.fixture
def stranded(world, only_the_second):  # noqa: F811
    """The item in the end, and the node of its first pod."""
    kubeconfig, namespace = world.cluster.plane.kubeconfig, world.namespace

    async def placed(stage):
        with only_the_second():
            await stage.create("stranded", **world.asked(environment={"setupCommands": ["sleep 3600"]}))
            (pod,) = await eventually(lambda: running(stage, "prepare", "stranded"), 5 * MINUTE)
            return pod["spec"]["nodeName"]

    async def played(node):
        own = {"controller_name": namespace, "pull_seconds": 1}
        async with administrator(kubeconfig) as admin:
            stage = Stage(admin, namespace)
            async with item_operator(kubeconfig, namespace, **own):
                was_on = await placed(stage)
            node.vanish()
            # Only now may a pod not wait for a node: the first one had to find it, however busy the machine.
            async with item_operator(kubeconfig, namespace, **own, pending_seconds=5):
                return await ended(stage, "stranded"), was_on

    with second_node(world.cluster) as node:
        return asyncio.run(played(node))


@pytest.mark.timeout(1200)
def test_the_stage_is_done_once_more_and_the_item_ends_with_what_the_scheduler_says(stranded):
    item, node = stranded
    first, second, *_ = item["status"]["stages"]
    assert node == SECOND_NODE
    assert (first["name"], first["state"], first["reason"]) == ("prepare", "Lost", "StageLost")
    assert (second["name"], second["attempt"]) == ("prepare", 2)
    assert second["message"].startswith("no node took its pod within")
    assert "0/1 nodes are available" in second["message"], "the scheduler's words, whatever it names first"
    assert condition_in(item["status"])["status"] == "False"

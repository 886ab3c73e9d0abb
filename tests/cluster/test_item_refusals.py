"""What an item is refused on a real API server, in a sentence: a spec, a network policy, a silent canary."""

import pytest

from cluster.playing import condition_in
from isobench.contracts.status import StageName
from isobench.controller.kinds import NETWORK_POLICIES

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName


def test_what_the_schema_can_not_say_ends_the_item_in_a_sentence(play_item):
    async def steps(stage, _):
        await stage.create(timing={"cores": 2, "resources": {"limits": {"cpu": "1500m"}}})
        await stage.pass_all(PREPARE)
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play_item(steps)
    outcome = condition_in(item["status"])
    assert outcome["reason"] == "InvalidSpec"
    assert "whole number" in outcome["message"]
    assert jobs == ["collect-1", "prepare-1"]


def test_an_amount_that_the_api_server_does_not_take_ends_the_item_in_its_words(play_item):
    async def steps(stage, _):
        await stage.create(environment={"resources": {"limits": {"Not A Name": "1"}}})
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome()

    outcome = condition_in(play_item(steps)["status"])
    assert outcome["reason"] == "InvalidSpec"
    assert "Not A Name" in outcome["message"]


def test_the_deny_all_policy_is_there_before_anything_is_timed_and_is_put_right_when_changed(play_item, monkeypatch):
    monkeypatch.setattr("isobench.controller.item_isolation._REMEMBERED_SECONDS", -1)

    async def steps(stage, _):
        found = []
        for name in ("one", "two"):
            await stage.create(name)
            await stage.end(PREPARE, name=name)
            await stage.job(TIMING, name=name)
            found.append(await stage.admin.get(NETWORK_POLICIES, stage.namespace, "isobench-timing"))
            opened = {"spec": {"egress": [{}]}}
            await stage.admin.patch(NETWORK_POLICIES, stage.namespace, "isobench-timing", opened)
        return found

    first, second = play_item(steps)
    assert first["spec"] == second["spec"]
    assert set(first["spec"]) == {"podSelector", "policyTypes"}, "no rule allows anything"


def test_another_policy_that_opens_isolated_pods_is_named_and_nothing_is_timed(play_item):
    async def steps(stage, _):
        spec = {"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}
        await stage.admin.create(NETWORK_POLICIES, stage.namespace, {"metadata": {"name": "allow"}, "spec": spec})
        await stage.create()
        await stage.pass_all(PREPARE)
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play_item(steps)
    assert condition_in(item["status"])["reason"] == "NetworkNotIsolated"
    isolated = condition_in(item["status"], "NetworkIsolated")
    assert isolated["status"] == "False"
    assert "allow" in isolated["message"]
    assert jobs == ["collect-1", "prepare-1"]


def test_a_canary_that_never_answered_proves_nothing_and_nothing_is_timed(play_item):
    async def steps(stage, _):
        await stage.create()
        await stage.end(PREPARE, facts={"canary": "unreachable"})
        await stage.end(COLLECT, artifacts=None)
        return await stage.outcome(), await stage.jobs()

    item, jobs = play_item(steps, canary_address="127.0.0.1:9")
    assert condition_in(item["status"])["reason"] == "NetworkNotIsolated"
    assert "canary" in condition_in(item["status"])["message"]
    assert jobs == ["collect-1", "prepare-1"]

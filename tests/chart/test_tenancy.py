"""Two teams and one real operator: a team's caps hold for that team alone, and nobody waits for another's."""

import asyncio

import pytest

from building.chart import installed
from building.operator_process import account_kubeconfig, running
from cluster.operating import administrator
from cluster.playing import Stage
from isobench.contracts.status import StageName
from isobench.controller.kinds import ITEMS

TEAMS = [
    {"namespace": "team-a", "create": True, "caps": {"dollars": 0.5, "runningItems": 1}},
    {"namespace": "team-b", "create": True, "caps": {"dollars": 50, "runningItems": 20}},
]
ONLINE = {
    "mode": "online",
    "agent": {"enabled": True, "kind": "command", "command": ["true"], "model": "large", "budgetUsd": 1.0},
}
PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName


@pytest.fixture(scope="module")
def teams(chart, api, kubectl, tmp_path_factory):
    """Plays a scenario with both teams' namespaces while the operator runs."""
    folder = tmp_path_factory.mktemp("tenancy")
    with installed(chart, api.kubeconfig, kubectl, {"scope": "tenants", "tenants": TEAMS}):
        account = account_kubeconfig(folder, kubectl)
        for team in ("team-a", "team-b"):
            kubectl("create", "serviceaccount", "default", "--namespace", team, check=False)  # may be there
        yield _playing(folder, api.kubeconfig, account, kubectl)


def _playing(folder, admins, account, kubectl):
    def play(scenario):
        async def played():
            async with administrator(admins) as admin:
                await scenario(Stage(admin, "team-a"), Stage(admin, "team-b"))
                for team in ("team-a", "team-b"):
                    for item in (await admin.list(ITEMS, team)).items:
                        await admin.delete(ITEMS, team, item["metadata"]["name"])

        with running(folder, account, kubectl, "operator"):
            asyncio.run(played())

    return play


def waits(*reasons):
    """Whether a status waits for one of these reasons."""
    return lambda status: (status.get("waiting") or {}).get("why") in reasons


def test_a_team_over_its_number_of_items_waits_and_another_does_not(teams):
    async def scenario(a, b):
        await a.create("first")
        await a.job(PREPARE, name="first")
        await a.create("second")
        waiting = await a.until(waits("NamespaceItems"), "second")
        assert "1" in waiting["status"]["waiting"]["message"]
        for name in ("one", "two", "three"):
            await b.create(name)
        for name in ("one", "two", "three"):
            await b.job(PREPARE, name=name)
        assert [job for job in await a.jobs() if job.startswith("prepare")] == ["prepare-1"]

    teams(scenario)


def test_a_team_over_its_dollars_pays_nothing_and_another_does(teams):
    async def scenario(a, b):
        for team in (a, b):
            await team.create("paid", **ONLINE)
            await team.pass_all(PREPARE, VALIDATE, name="paid")
        await b.job(AGENT, name="paid")
        stopped = await a.until(
            lambda status: waits("NamespaceBudget", "BudgetExhausted")(status) or _refused(status), "paid"
        )
        assert stopped["status"].get("cost", {}).get("measuredUsd", 0) == 0
        assert not [job for job in await a.jobs() if job.startswith("agent")]

    teams(scenario)


def _refused(status):
    return any(stage.get("reason") == "BudgetExhausted" for stage in status["stages"])

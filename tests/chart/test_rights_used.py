"""Least privilege, as the API server's audit log has it: a day of an operator uses every verb of every rule it has.

The operator runs as the chart starts it, with its service account's token, and the test plays the nodes. What the log
does not show to be used must not be granted; and each right that is taken away makes a request of that day fail.
"""

import asyncio

import pytest

from building.chart import installed
from building.operator_process import ACCOUNT, NAMESPACE, account_kubeconfig, running
from building.rights import CLUSTER_ROLES, REVIEWS, ROLES, asked, granted, without
from cluster.api_server import api_server
from cluster.kubectl import kubectl as run_kubectl
from cluster.operating import administrator, eventually
from cluster.playing import Stage
from cluster.refusals import batch
from isobench.contracts.status import StageName
from isobench.controller.item import Item
from isobench.controller.jobs.names import claim_name, job_name
from isobench.controller.jobs.policies import POLICY
from isobench.controller.kinds import BATCHES, CLAIMS, CONFIG_MAPS, EVENTS, ITEMS, JOBS, NETWORK_POLICIES

TEAM, ELSEWHERE = "team-a", "elsewhere"
ACCOUNTS_GROUP = f"system:serviceaccounts:{NAMESPACE}"
GROUPS = ["system:serviceaccounts", ACCOUNTS_GROUP, "system:authenticated"]
PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName
SHARED = {"workspace": {"claimName": "shared"}}
ONLINE = SHARED | {
    "mode": "online",
    "agent": {"enabled": True, "kind": "command", "command": ["true"], "budgetUsd": 1.0},
}
LOOKS_FOR_OTHER_RELEASES = ("coordination.k8s.io", "leases", "list", "")


@pytest.fixture(scope="module")
def audited():
    """An API server that writes down what the release's service accounts ask for."""
    with api_server(audited=ACCOUNTS_GROUP) as access:
        yield access


@pytest.fixture(scope="module", params=["cluster", "tenants"])
def day(request, audited, chart, tmp_path_factory):
    """What was granted in that scope, what was asked for in a day, and what nobody missed once it was taken away."""

    def kubectl(*arguments, **options):
        return run_kubectl(audited.kubeconfig, *arguments, **options)

    folder = tmp_path_factory.mktemp("day")
    audited.plane.audit_log.write_text("")
    tenants = [{"namespace": TEAM, "create": True, "caps": {"dollars": 50, "runningItems": 20}}]
    with installed(chart, audited.kubeconfig, kubectl, {"scope": request.param, "tenants": tenants}):
        for namespace in (TEAM, ELSEWHERE):
            kubectl("create", "namespace", namespace, check=False)
            kubectl("create", "serviceaccount", "default", "--namespace", namespace, check=False)
        account = account_kubeconfig(folder, kubectl)
        with running(folder, account, kubectl, "one"):
            asyncio.run(a_day(audited, request.param))
        yield request.param, *asyncio.run(looked_at(audited, request.param))
    kubectl("delete", "commitbenchmarkbatches,commitbenchmarks", "--all", "--all-namespaces", check=False)


async def a_day(audited, scope):
    """Everything that the operator can do is done at least once."""
    async with administrator(audited.kubeconfig) as admin:
        stage = Stage(admin, TEAM)
        if scope == "cluster":
            await spoil_the_policy(admin)
            await one_is_timed(Stage(admin, ELSEWHERE))
        await one_is_recorded_and_expires(stage)
        await names_are_taken(stage)
        await a_batch_pays_and_rests(stage)
        await an_agent_never_begins(stage)
        await eventually(lambda: versions_collide(stage, audited))


async def spoil_the_policy(admin):
    policy = await admin.get(NETWORK_POLICIES, TEAM, POLICY)
    await admin.replace(NETWORK_POLICIES, policy | {"spec": policy["spec"] | {"egress": [{}]}})


async def one_is_timed(stage):
    await stage.create("timed", **SHARED)
    await stage.pass_all(PREPARE, name="timed")
    await stage.job(TIMING, name="timed")


async def one_is_recorded_and_expires(stage):
    await stage.create("recorded", ttlSecondsAfterFinished=0)
    await stage.pass_all(PREPARE, TIMING, COLLECT, name="recorded")

    async def gone():
        return await stage.item("recorded") is None

    await eventually(gone)


async def names_are_taken(stage):
    """A Job and a claim of others have the names of ours, and a Job of ours belongs to no attempt."""
    container = {"name": "c", "image": "i"}
    job = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    item = await stage.create("taken-job", suspend=True, **SHARED)
    name = job_name("taken-job", item["metadata"]["uid"], PREPARE, 1)
    await stage.admin.create(JOBS, TEAM, {"metadata": {"name": name}, "spec": job})
    other = await stage.create("taken-claim", suspend=True)
    volume = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await stage.admin.create(CLAIMS, TEAM, {"metadata": {"name": claim_name(Item.read(other))}, "spec": volume})
    for taken in ("taken-job", "taken-claim"):
        await stage.admin.patch(ITEMS, TEAM, taken, {"spec": {"suspend": False}})
        await stage.until(lambda status: any(one["state"] == "Failed" for one in status["stages"]), taken)
    await stage.create("stray", **SHARED)
    ours = (await stage.job(PREPARE, name="stray"))["metadata"]
    labels = ours["labels"] | {"isobench.dev/attempt": "7"}
    stray = {"name": "stray", "labels": labels, "ownerReferences": ours["ownerReferences"]}
    await stage.admin.create(JOBS, TEAM, {"metadata": stray, "spec": job})

    async def gone():
        return await stage.admin.get(JOBS, TEAM, "stray") is None

    await eventually(gone)
    assert (await stage.admin.list(EVENTS, TEAM)).items


async def a_batch_pays_and_rests(stage):
    """Two items ask for money one after the other, and rest with their batch."""
    template = ONLINE | {"repository": {"url": "https://host.example/o/n"}, "output": {"store": "s3://bucket/prefix"}}
    commits = [{"head": f"{number:040x}"} for number in (1, 2)]
    await stage.admin.create(BATCHES, TEAM, batch("demo", commits=commits, template=template, parallelism=2))
    names = [f"demo-00{number}-0000000" for number in (0, 1)]
    for name in names:
        await eventually(lambda name=name: stage.item(name))
        await stage.pass_all(PREPARE, VALIDATE, name=name)

    async def both_are_held():
        account = await stage.admin.get(CONFIG_MAPS, NAMESPACE, f"isobench-account-{TEAM}")
        return account and all(f'"item":"{name}"' in account["data"]["account.json"] for name in names)

    await eventually(both_are_held)
    await stage.admin.patch(BATCHES, TEAM, "demo", {"spec": {"suspend": True}})

    async def rests():
        return (await stage.item(names[0]))["spec"]["suspend"]

    await eventually(rests)


async def an_agent_never_begins(stage):
    """Its pod is ended, and watched to its end."""
    await stage.create("unpaid", **ONLINE)
    await stage.pass_all(PREPARE, VALIDATE, name="unpaid")
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "llm" not found'}}
    agent = {"name": "agent", "image": "a", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
    await stage.end_with(AGENT, name="unpaid", containerStatuses=[agent])
    await stage.until(lambda status: status["stages"][-1]["name"] == TIMING, "unpaid")


async def versions_collide(stage, audited):
    """A batch and an item are changed in the moment in which the operator writes of them: it reads them again."""
    number = str(len(audited.plane.audit_log.read_bytes()))
    commits = [{"head": "a" * 40}]
    template = {"repository": {"url": "https://host.example/o/n"}, "output": {"store": "s3://bucket/prefix"}}
    made = batch(f"rests-{number}", commits=commits, template=template, suspend=True)
    await asyncio.gather(stage.admin.create(BATCHES, TEAM, made), stage.create(f"rests-{number}", suspend=True))
    for change in range(10):
        touched = {"metadata": {"annotations": {"touched": str(change)}}}
        await asyncio.gather(*(stage.admin.patch(kind, TEAM, f"rests-{number}", touched) for kind in (BATCHES, ITEMS)))
    read = {(one.right.resource, one.right.verb) for one in asked(audited.plane.audit_log)}
    return {(BATCHES.plural, "get"), (ITEMS.plural, "get")} <= read


async def looked_at(audited, scope):
    """The rights that were granted, the requests, and the rights without which each request is still allowed."""
    places = [(ROLES, NAMESPACE, f"{ACCOUNT}-home")]
    name = "isobench-isobench-operator"
    places.append((CLUSTER_ROLES, "", name) if scope == "cluster" else (ROLES, TEAM, name))
    requests = list(asked(audited.plane.audit_log))
    async with administrator(audited.kubeconfig) as admin:
        roles = [(kind, await admin.get(kind, namespace, name)) for kind, namespace, name in places]
        rights = set().union(*(granted(role) for _, role in roles))
        unmissed = [right for kind, role in roles for right in await _unmissed(admin, kind, role, requests)]
    return rights, requests, unmissed


async def _unmissed(admin, kind, role, requests):
    """Rights of ``role`` without which no request that they allowed is refused."""
    found, live = [], role
    used = {request.right: request for request in requests if request.allowed}
    for right in sorted(granted(role) & used.keys()):
        live = await admin.replace(kind, without(live | {"rules": role["rules"]}, right))
        try:
            await eventually(lambda right=right: _is_refused(admin, used[right]), seconds=10)
        except TimeoutError:
            found.append(right)
    await admin.replace(kind, live | {"rules": role["rules"]})
    return found


async def _is_refused(admin, request):
    user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    answer = await admin.create(REVIEWS, "", request.review(user, GROUPS))
    return not answer["status"]["allowed"]


def test_every_verb_of_every_rule_was_used(day):
    _, rights, requests, _ = day
    used = {request.right for request in requests if request.allowed}
    assert sorted(rights - used) == []


def test_nothing_was_refused_but_the_first_look_for_other_releases_without_a_cluster_role(day):
    scope, _, requests, _ = day
    refused = {(*request.right[1:], request.namespace) for request in requests if not request.allowed}
    assert refused == ({LOOKS_FOR_OTHER_RELEASES} if scope == "tenants" else set())


def test_each_right_that_is_taken_away_is_missed(day):
    _, rights, _, unmissed = day
    assert rights
    assert unmissed == []

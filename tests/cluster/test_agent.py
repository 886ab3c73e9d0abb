"""OpenHands on the real cluster: the agent's image, the metering gateway beside it, a scripted provider on the network.

Three attempts at one commit run at the same time; what became of them is looked at afterwards.
"""

import asyncio
import json
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from building.attempts import SEEDED, TARGET
from building.swift_history import write_history
from cluster.conftest import BUCKET, STORE_SECRET, a_namespace
from cluster.image_build import AGENT
from cluster.keeper import Program
from cluster.model_server import COMPLETION_TOKENS, KEY, PROMPT_TOKENS, TURNS
from cluster.operating import ROOT, administrator, eventually
from cluster.playing import Stage, condition_in, item_operator
from isobench.controller.jobs.containers import Pod, worker
from isobench.controller.jobs.resources import SUPERVISOR
from isobench.controller.settings import ControllerSettings

pytestmark = pytest.mark.own_cluster("the harness's node, network or servers")

PORT = 8089
PROVIDER = "model-server"
SECRET = "model-key"
CANARY_PORT = 8080
CAP_USD = 0.12
TURN_USD = PROMPT_TOKENS * 2e-6 + COMPLETION_TOKENS * 8e-6
QUICK = {"warmup": 0, "minPairs": 8, "maxPairs": 8}
MINUTES = 20
PATIENT = pytest.mark.timeout(1500)
"""Each may be the one that makes the attempts, and a loaded node takes a minute to import the SDK."""


@pytest.fixture(scope="module")
def attempts(cluster, kubectl, s3, tmp_path_factory):
    """By model: the item as it is in the end, its record, and the journal's files in the store."""
    cluster.load_images()
    cluster.load_images(AGENT)
    kubectl("apply", "--filename", str(ROOT / "crds"))
    history = write_history(tmp_path_factory.mktemp("swift") / "swift", plain=0)
    name = f"{secrets.token_hex(4)}/fast/swift.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", history.path, cluster.git_folder / name], check=True)
    environment = {"PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'operator'}"}
    command = [sys.executable, "-m", "cluster.model_server", cluster.profile.address, str(PORT)]
    cluster.keeper.start(Program(PROVIDER, command, environment))
    try:
        with a_namespace(cluster) as namespace:
            asked = spec_of(cluster, namespace, history.merged, f"{cluster.git_url}/{name}")
            items = asyncio.run(played(cluster, kubectl, namespace, asked, configured(cluster, tmp_path_factory)))
            yield {model: (item, *stored(s3, item)) for model, item in items.items()}
    finally:
        cluster.keeper.stop(PROVIDER)
        shutil.rmtree(cluster.git_folder / name.partition("/")[0])


def spec_of(cluster, namespace, head, url):
    """What all of the items ask for."""
    store = {"store": f"s3://{BUCKET}/{namespace}", "endpoint": cluster.s3_endpoint}
    return {
        "repository": {"url": url},
        "commits": {"head": head},
        "mode": "online",
        "test": {"inline": SEEDED},
        "timing": QUICK,
        "output": store | {"secretRef": {"name": STORE_SECRET}},
        "controllerName": namespace,
    }


def agent_of(model):
    caps = {"budgetUsd": CAP_USD, "maxIterations": 10, "timeoutMinutes": 10}
    return {"enabled": True, "model": model, "secretRef": {"name": SECRET}, "requireHumanSpeedup": False, **caps}


def configured(cluster, tmp_path_factory):
    """The providers that the operator knows: one, with a price for each model."""
    folder = tmp_path_factory.mktemp("providers")
    prices = "".join(f'[pricing."{model}"]\ninput = 2.0\noutput = 8.0\n' for model in TURNS)
    address = f"http://{cluster.profile.address}:{PORT}/v1"
    llm = f'[llm]\nprovider = "scripted"\nbase_url = "{address}"\napi_key_env = "SCRIPTED_KEY"\n'
    (folder / "main_scripted.toml").write_text(llm + prices)
    return folder


async def played(cluster, kubectl, namespace, asked, configurations):
    """Every item, from its creation to its end."""
    secret = {"metadata": {"name": SECRET}, "stringData": {"SCRIPTED_KEY": KEY}}
    cluster.client.call("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    settings = {
        "canary_address": canary(kubectl, namespace),
        "api_server_address": f"{cluster.profile.address}:6443",
        "controller_name": namespace,
        "configurations": Path(configurations),
    }
    kubeconfig = cluster.plane.kubeconfig
    async with administrator(kubeconfig) as admin, item_operator(kubeconfig, namespace, **settings):
        stage = Stage(admin, namespace)
        for model in TURNS:
            await stage.create(model, **asked, agent=agent_of(model))
        ended = await asyncio.gather(*(ended_item(stage, model) for model in TURNS))
    return dict(zip(TURNS, ended, strict=True))


async def ended_item(stage, name):
    async def seen():
        item = await stage.item(name)
        return item if condition_in(item.get("status", {})).get("status", "Unknown") != "Unknown" else None

    return await eventually(seen, 60.0 * MINUTES)


def canary(kubectl, namespace):
    """Somebody who answers whoever may connect, as the chart installs it."""
    settings = ControllerSettings()
    container = worker("stage", "canary", json.dumps({"port": CANARY_PORT}), settings, SUPERVISOR)
    pod = Pod([container], {"app": "canary"}, seconds=3600).manifest(settings)
    manifest = {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": {"name": "canary"}}
    kubectl("apply", "-n", namespace, "-f-", input=json.dumps(manifest))
    kubectl("wait", "-n", namespace, "pod/canary", "--for=condition=Ready", "--timeout=120s")
    return f"{kubectl('get', '-n', namespace, 'pod/canary', '-o', 'jsonpath={.status.podIP}')}:{CANARY_PORT}"


def stored(s3, item):
    """The record, and every file of the item by name."""
    prefix = item["status"]["artifacts"]["journalUri"].removeprefix(f"s3://{BUCKET}/").rpartition("/")[0]
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    files = {
        entry["Key"].removeprefix(f"{prefix}/"): s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        for entry in listed
    }
    return json.loads(files["record.json"]), files


def agents_stage(item):
    return next(stage for stage in item["status"]["stages"] if stage["name"] == "agent")


@PATIENT
def test_one_attempt_succeeds_and_is_timed_beside_the_human_change(attempts):
    item, record, files = attempts["diligent"]
    assert item["status"]["result"]["agentOutcome"] == "succeeded", files["journal.json"].decode()
    assert (record["agent_success"], record["agent_iterations"]) == (True, 2)
    assert ["base", "agent"] in [compared["arms"] for compared in record["measurement"]["comparisons"]]
    assert TARGET in files["model_patch.diff"].decode()
    steps = [json.loads(line) for line in files["agent/1/steps.jsonl"].splitlines()]
    assert [step["tool"] for step in steps] == ["terminal", "finish"]


@PATIENT
@pytest.mark.parametrize(
    ("model", "reason", "told"),
    [("idle", "AgentError", "no_change: "), ("lavish", "BudgetExhausted", "budget_exhausted: ")],
)
def test_the_others_end_as_they_should_and_their_items_are_recorded(attempts, model, reason, told):
    item, record, _ = attempts[model]
    stage = agents_stage(item)
    assert (stage["reason"], stage["message"].startswith(told)) == (reason, True), stage
    assert (record["agent_success"], record["agent_error"].startswith(told)) == (False, True)
    assert condition_in(item["status"])["reason"] == "Recorded"


@PATIENT
@pytest.mark.parametrize(("model", "turns"), [("diligent", 2), ("idle", 1)])
def test_the_cost_is_the_same_number_everywhere(attempts, model, turns):
    item, record, files = attempts[model]
    measured = item["status"]["cost"]["measuredUsd"]
    assert measured == pytest.approx(turns * TURN_USD)
    assert record["measurement"]["cost"]["measured_usd"] == measured
    assert json.loads(files["journal.json"])["cost"]["measured_usd"] == measured


@PATIENT
def test_the_cap_held_and_the_key_is_in_nothing(attempts):
    for item, _, files in attempts.values():
        assert item["status"]["cost"]["measuredUsd"] <= CAP_USD
        assert [name for name, content in files.items() if KEY.encode() in content] == []
        assert KEY not in json.dumps(item)

"""A real operator with the chart's flags and rights, at work on a real API server, scraped by a real Prometheus."""

import asyncio
import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from building.chart import MONITORING, installed
from building.operator_process import account_kubeconfig, running
from building.prometheus import scraping
from cluster.operating import administrator, eventually
from cluster.playing import Stage
from generate_dashboards import DASHBOARDS
from isobench.contracts.reasons import Reason
from isobench.contracts.status import Cost, ResultSummary, StageName

TEAM = "team-a"
ONLINE = {
    "mode": "online",
    "agent": {"enabled": True, "kind": "command", "command": ["true"], "model": "large", "budgetUsd": 1.0},
}
RESULT = ResultSummary(speedup=2, ci_low=1.9, ci_high=2.1, verdict="faster", noisy=True, pairs=20)
COST = Cost(estimate_usd=0.5, measured_usd=0.25, prompt_tokens=1000, completion_tokens=50)
TROUBLE = {"IsobenchIsolationFailures", "IsobenchStorageFailing"}
PATIENCE_SECONDS = 120
PREPARE, GENERATE, VALIDATE, AGENT, BUILD_AGENT, TIMING, COLLECT = StageName


def asked(query):
    """The query as Grafana sends it for all namespaces over the last hour."""
    return query.expression.replace("$namespace", ".*").replace("$__range", "1h")


QUERIES = {
    f"{name}: {panel.title} {place}": asked(query)
    for name, board in DASHBOARDS.items()
    for panel in board.panels
    for place, query in enumerate(panel.queries)
}


async def one_round(stage, number):
    """One item with an agent that is recorded, one whose build fails."""
    recorded, broken = f"recorded-{number}", f"broken-{number}"
    await stage.create(recorded, **ONLINE)
    await stage.create(broken)
    await stage.end(PREPARE, name=broken, reason=Reason.BUILD_FAILED, message="no compiler")
    await stage.end(COLLECT, name=broken)
    await stage.pass_all(PREPARE, VALIDATE, name=recorded)
    await stage.end(AGENT, name=recorded, cost=COST)
    await stage.pass_all(BUILD_AGENT, name=recorded)
    await stage.end(TIMING, name=recorded, result=RESULT, facts={"isolation": "nothing answered"})
    await stage.pass_all(COLLECT, name=recorded)
    await stage.outcome(recorded)
    await stage.outcome(broken)


async def trouble(stage):
    """One item whose pod is not isolated and whose record can't be stored."""
    await stage.create("trouble")
    await stage.pass_all(PREPARE, name="trouble")
    await stage.end(TIMING, name="trouble", reason=Reason.NETWORK_NOT_ISOLATED, message="the canary answered")
    await stage.end(COLLECT, name="trouble", reason=Reason.STORE_UNAVAILABLE, message="no such bucket")


def alerts(prometheus):
    """The alerts that fire."""
    return {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"}


def without_data(prometheus):
    """The panels whose query gives no number yet."""
    return [name for name, query in QUERIES.items() if not numbers(prometheus.query(query))]


def over_time(prometheus):
    """Every query's series over the run, by dashboard and panel: what scripts/picture_dashboards.py draws."""
    now = time.time()
    span = {"start": str(now - 60), "end": str(now), "step": "2"}
    return {
        name: {
            panel.title: [
                prometheus.ask("query_range", query=asked(query), **span)["result"] for query in panel.queries
            ]
            for panel in board.panels
        }
        for name, board in DASHBOARDS.items()
    }


def numbers(series):
    return [float(sample["value"][1]) for sample in series if sample["value"][1] != "NaN"]


@pytest.fixture(scope="module")
def observed(chart, api, kubectl, tmp_path_factory):
    """The panels without data after a run, and what was asked of Prometheus and of the objects then."""
    folder = tmp_path_factory.mktemp("observed")
    tenants = [{"namespace": TEAM, "create": True, "caps": {"dollars": 50, "runningItems": 20}}]
    with installed(chart, api.kubeconfig, kubectl, {"tenants": tenants}):
        kubectl("create", "serviceaccount", "default", "--namespace", TEAM, check=False)  # may be there
        account = account_kubeconfig(folder, kubectl)
        (rules,) = chart.objects(kinds=MONITORING).of("PrometheusRule")
        yield asyncio.run(_observed(folder, api.kubeconfig, account, kubectl, rules["spec"]))


async def _observed(folder, admins, account, kubectl, rules):
    async with administrator(admins) as admin:
        stage = Stage(admin, TEAM)
        with (
            running(folder, account, kubectl, "first") as first,
            scraping(folder, [first.address], rules) as prometheus,
        ):
            await eventually(lambda: _answers(first.address))
            await stage.create("waits", suspend=True)
            await stage.create("runs")
            await stage.begin(PREPARE, name="runs")  # without a pod it would soon count as one that waits
            number, deadline = 0, time.monotonic() + PATIENCE_SECONDS
            while (lacking := await asyncio.to_thread(without_data, prometheus)) and time.monotonic() < deadline:
                number += 1
                await one_round(stage, number)
            before = await asyncio.to_thread(alerts, prometheus)
            await trouble(stage)
            await eventually(lambda: _fire(prometheus, TROUBLE))
            found = {"lacking": lacking, "fired_in_health": before}
            if kept := os.environ.get("ISOBENCH_SERIES"):
                Path(kept).write_text(json.dumps(await asyncio.to_thread(over_time, prometheus)))
            found["text"] = await asyncio.to_thread(_text, first.address)
        with running(folder, account, kubectl, "second") as second:
            await eventually(lambda: _answers(second.address) and b"isobench_spent_dollars{" in _text(second.address))
            found["after_restart"] = await asyncio.to_thread(_text, second.address)
    items = json.loads(kubectl("get", "cb", "--namespace", TEAM, "--output", "json"))["items"]
    found["objects"] = sum(item.get("status", {}).get("cost", {}).get("measuredUsd", 0) for item in items)
    found["rounds"] = number
    return found


async def _fire(prometheus, wanted):
    return wanted <= await asyncio.to_thread(alerts, prometheus)


def _text(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return answer.read()


def _answers(address):
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def series(text, name):
    """The lines of one metric."""
    return sorted(line for line in text.decode().splitlines() if line.startswith(name + "{"))


def test_every_panel_has_data(observed):
    assert observed["lacking"] == []


def test_dollars_are_what_the_objects_say(observed):
    assert observed["objects"] == pytest.approx(0.25 * observed["rounds"])
    assert f'model="large",namespace="{TEAM}",reason="Recorded"}} {observed["objects"]}' in observed["text"].decode()


def test_a_restarted_operator_says_the_same_of_money(observed):
    for name in (
        "isobench_spent_dollars",
        "isobench_reserved_dollars",
        "isobench_cap_dollars",
        "isobench_prompt_tokens",
    ):
        assert series(observed["after_restart"], name) == series(observed["text"], name) != []


def test_alerts_fire_for_real_when_isolation_and_storage_fail_and_not_before(observed):
    assert observed["fired_in_health"] == set()
    requests = series(observed["text"], "isobench_isolation_failures_total")
    assert requests == [f'isobench_isolation_failures_total{{namespace="{TEAM}"}} 1.0']


def test_nothing_was_forbidden_to_it(observed):
    requests = series(observed["text"], "isobench_api_requests_total")
    assert requests
    assert [line for line in requests if 'code="403"' in line] == []


def test_promtool_has_nothing_to_say(observed, promtool):
    done = subprocess.run([promtool, "check", "metrics"], input=observed["text"], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

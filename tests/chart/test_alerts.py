"""Every alert fires on the series it is for and stays silent on healthy ones, by promtool's own rule tests."""

import subprocess

import pytest
import yaml

from building.chart import MONITORING

NS = 'namespace="team-a"'
# By alert: series that make it fire, series of health that do not, and when both are asked.
CASES = {
    "IsobenchOperatorAbsent": ({}, {'isobench_build_info{version="1"}': "1+0x20"}, "10m"),
    "IsobenchNoLeader": (
        {'isobench_leader{instance="a"}': "0+0x20"},
        {'isobench_leader{instance="a"}': "1+0x20"},
        "5m",
    ),
    "IsobenchQueueAge": (
        {"isobench_queue_oldest_age_seconds": "300+0x20"},
        {"isobench_queue_oldest_age_seconds": "3+0x20"},
        "10m",
    ),
    "IsobenchStuckItem": (
        {f'isobench_stage_oldest_age_seconds{{{NS},stage="timing"}}': "30000+60x20"},
        {f'isobench_stage_oldest_age_seconds{{{NS},stage="timing"}}': "600+60x20"},
        "10m",
    ),
    "IsobenchBudgetBurn": (
        {
            f'isobench_spent_dollars{{{NS},model="m",reason="Recorded"}}': "40+0x20",
            f'isobench_reserved_dollars{{{NS},model="m"}}': "6+0x20",
            f"isobench_cap_dollars{{{NS}}}": "50+0x20",
        },
        {
            f'isobench_spent_dollars{{{NS},model="m",reason="Recorded"}}': "20+0x20",
            f'isobench_reserved_dollars{{{NS},model="m"}}': "6+0x20",
            f"isobench_cap_dollars{{{NS}}}": "50+0x20",
        },
        "10m",
    ),
    "IsobenchInfrastructureFailures": (
        {
            f'isobench_items_ended_total{{{NS},outcome="infrastructure",reason="StageLost"}}': "0+1x90",
            f'isobench_items_ended_total{{{NS},outcome="done",reason="Recorded"}}': "0+2x90",
        },
        {
            f'isobench_items_ended_total{{{NS},outcome="infrastructure",reason="StageLost"}}': "0+0x90",
            f'isobench_items_ended_total{{{NS},outcome="done",reason="Recorded"}}': "0+2x90",
        },
        "80m",
    ),
    "IsobenchIsolationFailures": (
        {f"isobench_isolation_failures_total{{{NS}}}": "0 0 0 1 1 1 1 1 1 1 1"},
        {f"isobench_isolation_failures_total{{{NS}}}": "0+0x20"},
        "8m",
    ),
    "IsobenchNoisyMeasurements": (
        {
            f"isobench_noisy_timings_total{{{NS}}}": "0+1x500",
            f'isobench_timings_total{{{NS},verdict="faster"}}': "0+2x500",
        },
        {
            f"isobench_noisy_timings_total{{{NS}}}": "0+0x500",
            f'isobench_timings_total{{{NS},verdict="faster"}}': "0+2x500",
        },
        "450m",
    ),
    "IsobenchStorageFailing": (
        {f'isobench_stage_failures_total{{{NS},stage="collect",reason="StoreUnavailable"}}': "0 0 0 1 1 1 1 1 1 1 1"},
        {f'isobench_stage_failures_total{{{NS},stage="collect",reason="BuildFailed"}}': "0 0 0 1 1 1 1 1 1 1 1"},
        "8m",
    ),
}


@pytest.fixture(scope="module")
def rules(chart):
    """The rules as the chart makes them."""
    (rule,) = chart.objects(kinds=MONITORING).of("PrometheusRule")
    return rule["spec"]


def by_promtool(promtool, folder, rules, tests):
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    return subprocess.run(
        [promtool, "test", "rules", folder / "tests.yaml"], capture_output=True, text=True, check=False
    )


def case(alert, series, at, expected):
    values = [{"series": name, "values": given} for name, given in series.items()]
    asked = {"eval_time": at, "alertname": alert, "exp_alerts": expected}
    return {"interval": "1m", "input_series": values, "alert_rule_test": [asked]}


def expectation(rule, labels, value):
    """What promtool wants to see of a firing alert: its labels and its texts."""
    return {"exp_labels": labels | rule["labels"], "exp_annotations": rule["annotations"] | value}


def test_there_is_a_case_for_every_alert(rules):
    assert [rule["alert"] for rule in rules["groups"][0]["rules"]] == list(CASES)


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_on_trouble_and_is_silent_in_health(promtool, tmp_path, rules, alert):
    trouble, health, at = CASES[alert]
    silent = by_promtool(promtool, tmp_path, rules, [case(alert, health, at, [])])
    assert silent.returncode == 0, silent.stdout + silent.stderr
    fires = by_promtool(promtool, tmp_path, rules, [case(alert, trouble, at, [])])
    assert fires.returncode != 0
    assert f'alertname="{alert}"' in fires.stderr


def test_an_alert_says_which_team_in_words(promtool, tmp_path, rules):
    (rule,) = [rule for rule in rules["groups"][0]["rules"] if rule["alert"] == "IsobenchBudgetBurn"]
    said = {"summary": "team-a has committed 92% of its cap."}
    expected = expectation(rule, {"namespace": "team-a"}, said)
    done = by_promtool(
        promtool, tmp_path, rules, [case("IsobenchBudgetBurn", CASES["IsobenchBudgetBurn"][0], "10m", [expected])]
    )
    assert done.returncode == 0, done.stdout + done.stderr

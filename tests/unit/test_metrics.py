"""Metrics: what happened is counted with bounded labels, and what the objects say is read from them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from isobench.contracts.reasons import Reason
from isobench.contracts.status import ResultSummary, StageName
from isobench.controller.caps import Caps
from isobench.controller.metrics import Metrics
from isobench.controller.object_metrics import MODELS_AT_MOST, ObjectCollector
from isobench.engine.account import Account, Hold

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
ALLOWED_LABELS = {
    "namespace",
    "stage",
    "outcome",
    "reason",
    "model",
    "verdict",
    "kind",
    "verb",
    "code",
    "version",
    "le",
}


def item(name, *, namespace="team-a", model=None, spent=0.0, reason=None, stage=None, owner=None, waiting=None):
    metadata = {"namespace": namespace, "name": name, "uid": f"uid-{name}"}
    if owner:
        metadata["ownerReferences"] = [{"kind": "CommitBenchmarkBatch", "name": owner}]
    answer = "Unknown" if reason is None else "True" if reason == "Recorded" else "False"
    stages = [{"name": stage, "state": "Running", "startedAt": "2025-06-01T11:00:00Z"}] if stage else []
    status = {
        "cost": {"measuredUsd": spent, "promptTokens": 100, "completionTokens": 10},
        "conditions": [{"type": "Succeeded", "status": answer, "reason": reason or "prepare"}],
        "stages": stages,
    }
    if waiting:
        status["waiting"] = {"why": waiting}
    agent = {"enabled": model is not None, "model": model, "budgetUsd": 2.0}
    return {"metadata": metadata, "spec": {"agent": agent, "test": {}}, "status": status}


def batch(name, *rows, model="large", namespace="team-a"):
    commits = [{"head": "a" * 40} for _ in rows]
    template = {"agent": {"enabled": True, "model": model}}
    ledger = [{"index": index, **row} for index, row in enumerate(rows)]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"commits": commits, "template": template},
        "status": {"ledger": ledger},
    }


@pytest.fixture
def metrics():
    return Metrics("1.2.3")


def watching(metrics, items=(), batches=(), caps=None, leading=True, accounts=None):
    metrics.watch(
        ObjectCollector(
            lambda: items,
            lambda: batches,
            lambda namespace: Caps(dollars=(caps or {}).get(namespace)),
            lambda: accounts or {},
            clock=lambda: NOW,
            leading=lambda: leading,
            seen=metrics.namespace_seen,
        )
    )
    return metrics


def of_objects(metrics):
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith("isobench_")]


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_an_ended_item_is_counted_by_the_reasons_family(metrics):
    metrics.item_ended("team-a", Reason.BUILD_FAILED, None)
    ended = value(metrics, "isobench_items_ended_total", namespace="team-a", outcome="build", reason="BuildFailed")
    assert ended == 1


def test_a_measurement_is_counted_with_its_quality(metrics):
    result = ResultSummary(speedup=2.0, ci_low=1.9, ci_high=2.1, verdict="faster", noisy=True, pairs=20)
    metrics.item_ended("team-a", Reason.RECORDED, result)
    assert value(metrics, "isobench_timings_total", namespace="team-a", verdict="faster") == 1
    assert value(metrics, "isobench_noisy_timings_total", namespace="team-a") == 1
    width = value(metrics, "isobench_timing_interval_width_ratio_sum", verdict="faster")
    assert width == pytest.approx(0.05)
    assert value(metrics, "isobench_timing_pairs_sum") == 20


def test_a_stage_that_ended_is_observed_once_with_its_overhead(metrics):
    metrics.stage_ended("team-a", StageName.TIMING, None, duration_seconds=90, overhead_seconds=3)
    labels = {"namespace": "team-a", "stage": "timing", "reason": "Succeeded"}
    assert value(metrics, "isobench_stage_duration_seconds_sum", **labels) == 90
    assert value(metrics, "isobench_stage_overhead_seconds_sum", stage="timing") == 3


def test_a_failure_of_isolation_is_counted_from_zero(metrics):
    metrics.namespace_seen("team-a")
    assert value(metrics, "isobench_isolation_failures_total", namespace="team-a") == 0
    metrics.stage_ended(
        "team-a", StageName.TIMING, Reason.NETWORK_NOT_ISOLATED, duration_seconds=9, overhead_seconds=None
    )
    assert value(metrics, "isobench_isolation_failures_total", namespace="team-a") == 1
    failures = {"namespace": "team-a", "stage": "timing", "reason": "NetworkNotIsolated"}
    assert value(metrics, "isobench_stage_failures_total", **failures) == 1


def test_money_is_what_the_objects_say(metrics):
    items = [
        item("one", model="large", spent=0.5, reason="Recorded"),
        item("two", model="large", spent=0.25),
        item("three", namespace="team-b", model="small", spent=1.5, reason="AgentError"),
    ]
    watching(metrics, items, caps={"team-a": 20.0})
    large = {"namespace": "team-a", "model": "large"}
    assert value(metrics, "isobench_spent_dollars", reason="Recorded", **large) == 0.5
    assert value(metrics, "isobench_spent_dollars", reason="Unfinished", **large) == 0.25
    assert value(metrics, "isobench_prompt_tokens", **large) == 200
    assert value(metrics, "isobench_cap_dollars", namespace="team-a") == 20


def test_a_restarted_operator_says_the_same_of_the_same_objects():
    items, batches = [item("one", model="large", spent=0.5)], [batch("b", {"item": "gone", "spentUsd": 0.75})]
    before, after = (of_objects(watching(Metrics("1"), items, batches)) for _ in range(2))
    assert before == after
    assert 'isobench_spent_dollars{model="large",namespace="team-a",reason="Unfinished"} 1.25' in before


def test_what_an_item_cost_stays_counted_by_its_batch_when_the_item_is_gone(metrics):
    rows = {"item": "there", "spentUsd": 0.5}, {"item": "gone", "spentUsd": 0.75, "outcome": "Recorded"}
    items = [item("there", model="large", spent=0.5, reason="Recorded", owner="b")]
    watching(metrics, items, [batch("b", *rows)])
    spent = value(metrics, "isobench_spent_dollars", namespace="team-a", model="large", reason="Recorded")
    assert spent == 1.25


def spent_in(metrics, namespace="team-a"):
    """The dollars of a namespace, as the dashboards add them up."""
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    found = [s for s in samples if s.name == "isobench_spent_dollars" and s.labels["namespace"] == namespace]
    return sum(sample.value for sample in found)


def held(name, reserved, before=0):
    return {f"uid-{name}": Hold(item=name, budget="b", reserved_usd=Decimal(reserved), before_usd=Decimal(before))}


def test_what_a_deleted_batch_cost_is_shown_as_its_namespaces_cap_counts_it(metrics):
    items = [item("one", model="large", spent=0.5, reason="Recorded")]
    account = Account(spent={"b": Decimal("0.5"), "": Decimal("4.25")})
    watching(metrics, items, accounts={"team-a": account}, caps={"team-a": 20.0})
    deleted = {"namespace": "team-a", "model": "other", "reason": "Deleted"}
    assert value(metrics, "isobench_spent_dollars", **deleted) == 4.25
    assert spent_in(metrics) == account.charged_usd()


def test_what_a_namespace_without_any_object_has_spent_is_shown_with_its_cap(metrics):
    watching(metrics, accounts={"team-a": Account(spent={"": Decimal(3)})}, caps={"team-a": 20.0})
    assert spent_in(metrics) == 3
    assert value(metrics, "isobench_cap_dollars", namespace="team-a") == 20


def test_what_an_item_spends_before_its_account_is_settled_is_not_taken_for_a_deleted_ones(metrics):
    items = [item("retried", model="large", spent=2.5, stage="agent"), item("ended", spent=1.0, reason="Recorded")]
    account = Account(holds=held("retried", 3, before=2) | held("ended", 3), spent={"b": Decimal(2)})
    watching(metrics, items, accounts={"team-a": account})
    assert spent_in(metrics) == 3.5


def test_an_account_that_knows_less_than_the_objects_takes_nothing_from_them(metrics):
    items = [item("one", model="large", spent=5.0, reason="Recorded")]
    watching(metrics, items, accounts={"team-a": Account(spent={"b": Decimal(1)})})
    assert spent_in(metrics) == 5


def test_reserved_is_the_ledgers_and_for_a_lone_item_what_its_paid_stage_may_cost(metrics):
    rows = {"item": "one", "reservedUsd": 3.0}, {"item": "two"}
    lone = item("lone", model="large", stage="agent")
    watching(metrics, [lone, item("one", model="large", stage="agent", owner="b")], [batch("b", *rows)])
    assert value(metrics, "isobench_reserved_dollars", namespace="team-a", model="large") == 5.0


def test_items_are_shown_by_stage_by_what_they_wait_for_and_by_how_they_ended(metrics):
    items = [
        item("one", stage="timing"),
        item("two", waiting="Budget"),
        item("three", reason="BuildFailed"),
        item("four", reason="FromTheFuture"),
    ]
    watching(metrics, items)
    assert value(metrics, "isobench_items_unfinished", namespace="team-a", stage="timing") == 1
    assert value(metrics, "isobench_items_unfinished", namespace="team-a", stage="none") == 1
    assert value(metrics, "isobench_items_waiting", namespace="team-a", reason="Budget") == 1
    ended = {"namespace": "team-a", "outcome": "build", "reason": "BuildFailed"}
    assert value(metrics, "isobench_items_finished", **ended) == 1
    newer = {"namespace": "team-a", "outcome": "unknown", "reason": "FromTheFuture"}
    assert value(metrics, "isobench_items_finished", **newer) == 1
    oldest = value(metrics, "isobench_stage_oldest_age_seconds", namespace="team-a", stage="timing")
    assert oldest == timedelta(hours=1).total_seconds()


def test_a_standby_shows_nothing_of_the_objects(metrics):
    watching(metrics, [item("one", model="large", spent=0.5)], leading=False)
    assert b"isobench_spent_dollars" not in metrics.exposition()


def test_models_that_tenants_name_are_bounded_and_the_sum_stays(metrics):
    items = [item(f"i{n}", model=f"model-{n}", spent=1.0 + n) for n in range(MODELS_AT_MOST + 10)]
    watching(metrics, items)
    spent = [s for family in metrics.registry.collect() for s in family.samples if s.name == "isobench_spent_dollars"]
    assert len(spent) == MODELS_AT_MOST + 1
    assert sum(sample.value for sample in spent) == sum(1.0 + n for n in range(MODELS_AT_MOST + 10))


def test_every_label_is_bounded(metrics):
    watching(metrics, [item("one", model="large", spent=0.5)], [batch("b", {"item": "gone"})], caps={"team-a": 1.0})
    metrics.item_ended("team-a", Reason.RECORDED, ResultSummary(verdict="same", pairs=8))
    metrics.stage_ended("team-a", StageName.TIMING, Reason.TEST_FAILED, duration_seconds=1, overhead_seconds=1)
    metrics.reconciled("commitbenchmarks", 0.01)
    metrics.reconcile_failed("commitbenchmarks")
    metrics.api_request("create", 201)
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    assert labels <= ALLOWED_LABELS

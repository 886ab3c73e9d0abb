"""What the operator shows is clean for promtool: names, types, units and help."""

import subprocess
from datetime import UTC, datetime
from decimal import Decimal

from isobench.contracts.reasons import Reason
from isobench.contracts.status import ResultSummary, StageName
from isobench.controller.caps import Caps
from isobench.controller.metrics import Metrics
from isobench.controller.object_metrics import ObjectCollector


def test_promtool_has_nothing_to_say(promtool):
    metrics = Metrics("1.2.3")
    metadata = {"namespace": "team-a", "name": "one", "uid": "1"}
    item = {"metadata": metadata, "spec": {}, "status": {"waiting": {"why": "Budget"}}}
    metrics.watch(
        ObjectCollector(
            lambda: [item],
            list,
            lambda _: Caps(dollars=Decimal(50)),
            dict,
            clock=lambda: datetime(2025, 6, 1, tzinfo=UTC),
            leading=lambda: True,
            seen=metrics.namespace_seen,
        )
    )
    metrics.watch_queue(lambda: 1, lambda: 0.5)
    metrics.leads()
    metrics.reconciled("commitbenchmarks", 0.01)
    metrics.reconcile_failed("commitbenchmarks")
    metrics.api_request("create", 201)
    metrics.stage_ended("team-a", StageName.TIMING, None, duration_seconds=60, overhead_seconds=2)
    result = ResultSummary(speedup=2, ci_low=1.9, ci_high=2.1, verdict="faster", pairs=20)
    metrics.item_ended("team-a", Reason.RECORDED, result)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

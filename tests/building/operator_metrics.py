"""An operator's metrics as they look at work, served over HTTP: each scrape sees one more round of everything."""

import http.server
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from building.loopback import serving
from isobench.contracts.reasons import Reason
from isobench.contracts.status import ResultSummary, StageName
from isobench.controller.caps import Caps
from isobench.controller.metrics import CONTENT_TYPE, Metrics
from isobench.controller.object_metrics import ObjectCollector

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


class Work:
    """Two teams at work: every `round` ends items, spends dollars, and leaves some waiting."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.metrics = Metrics("1.2.3")
        self.rounds = 0
        self.metrics.watch(
            ObjectCollector(
                self.items,
                list,
                lambda _: Caps(dollars=Decimal(50)),
                dict,
                clock=lambda: NOW,
                leading=lambda: True,
                seen=self.metrics.namespace_seen,
            )
        )
        self.metrics.watch_queue(lambda: 3, lambda: 0.2)
        self.metrics.leads()

    def items(self) -> list[dict[str, Any]]:
        """The objects that there are now."""
        return [item for namespace in ("team-a", "team-b") for item in self._of(namespace)]

    def round(self) -> None:
        """Everything that can happen happens once."""
        self.rounds += 1
        metrics = self.metrics
        for namespace in ("team-a", "team-b"):
            for stage in StageName:
                metrics.stage_ended(namespace, stage, None, duration_seconds=60, overhead_seconds=2)
            result = ResultSummary(speedup=1.5, ci_low=1.45, ci_high=1.55, verdict="faster", noisy=True, pairs=20)
            metrics.item_ended(namespace, Reason.RECORDED, result)
            metrics.item_ended(namespace, Reason.BUILD_FAILED, None)
            metrics.stage_ended(
                namespace, StageName.PREPARE, Reason.BUILD_FAILED, duration_seconds=9, overhead_seconds=1
            )
        metrics.reconciled("commitbenchmarks", 0.01)
        metrics.reconcile_failed("commitbenchmarks")
        metrics.api_request("create", 201)

    def _of(self, namespace: str) -> Iterator[dict[str, Any]]:
        def item(name: str, **status: Any) -> dict[str, Any]:
            spec = {"agent": {"enabled": True, "model": "large", "budgetUsd": 1.0}}
            metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}"}
            return {"metadata": metadata, "spec": spec, "status": status}

        ended = [{"type": "Succeeded", "status": "True", "reason": "Recorded"}]
        cost = {"measuredUsd": 0.01 * self.rounds, "promptTokens": 100 * self.rounds, "completionTokens": 9}
        yield item("recorded", conditions=ended, cost=cost)
        yield item("waiting", waiting={"why": "Budget"})
        yield item("timing", stages=[{"name": "timing", "state": "Running", "startedAt": "2025-06-01T11:59:00Z"}])


@contextmanager
def served(work: Work) -> Iterator[str]:
    """The host:port at which ``work`` is scraped."""

    class Scrape(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            work.round()
            text = work.metrics.exposition()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None: ...

    with serving(Scrape) as address:
        yield address

"""What the operator counts while it works: every metric of an event, with its name, unit, labels and buckets.

What the objects themselves say (money, items by state) is never counted here: `object_metrics` reads it from the cache
when Prometheus asks, so that a restart can't make it lie. Labels are bounded: namespace, kind, stage, outcome, reason,
verdict, verb or code; never a commit, an item or a pod.
"""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import ResultSummary, StageName

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RECONCILE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STAGE_BUCKETS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
OVERHEAD_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
WIDTH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
PAIR_BUCKETS = (8, 10, 15, 20, 30, 45, 60, 90, 120, 160)

SUCCEEDED = "Succeeded"
# What alerts ask for is there from a namespace's first item on, at 0: `increase` can't see a series begin at 1.
_WATCHED_ENDINGS = (
    Reason.RECORDED,
    *(reason for reason in Reason if reason.consequence.family is Family.INFRASTRUCTURE),
)
_WATCHED_FAILURES = (
    (StageName.COLLECT, Reason.STORE_UNAVAILABLE),
    (StageName.TIMING, Reason.NETWORK_NOT_ISOLATED),
    (StageName.VALIDATE, Reason.NETWORK_NOT_ISOLATED),
)


class Metrics:
    """The operator's own registry, and one method for each thing that can happen."""

    def __init__(self, version: str) -> None:
        """``version`` is the operator's."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._known: set[str] = set()
        self._operator(version)
        self._work()
        self._measurement()

    def _operator(self, version: str) -> None:
        registry = self.registry
        ProcessCollector(registry=registry)
        build = Gauge("isobench_build_info", "The operator's version; always 1.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._leader = Gauge("isobench_leader", "1 while this replica leads, else 0.", registry=registry)
        self._queue_depth = Gauge("isobench_queue_depth", "Objects that wait to be reconciled.", registry=registry)
        self._queue_age = Gauge(
            "isobench_queue_oldest_age_seconds", "How long the oldest of them has waited.", registry=registry
        )
        self._reconcile = Histogram(
            "isobench_reconcile_duration_seconds",
            "Time of one reconcile.",
            ["kind"],
            buckets=RECONCILE_BUCKETS,
            registry=registry,
        )
        self._errors = Counter(
            "isobench_reconcile_errors", "Reconciles that raised and will be tried again.", ["kind"], registry=registry
        )
        self._requests = Counter(
            "isobench_api_requests", "Requests to the API server.", ["verb", "code"], registry=registry
        )

    def _work(self) -> None:
        registry = self.registry
        self._ended = Counter(
            "isobench_items_ended",
            "Items that ended; the outcome is the reason's family.",
            ["namespace", "outcome", "reason"],
            registry=registry,
        )
        self._stage = Histogram(
            "isobench_stage_duration_seconds",
            "Time from a stage's claim to its end, by reason (Succeeded if there is none).",
            ["namespace", "stage", "reason"],
            buckets=STAGE_BUCKETS,
            registry=registry,
        )
        self._overhead = Histogram(
            "isobench_stage_overhead_seconds",
            "Time from a stage's claim to the start of its own work.",
            ["stage"],
            buckets=OVERHEAD_BUCKETS,
            registry=registry,
        )
        self._failures = Counter(
            "isobench_stage_failures",
            "Attempts at a stage that did not succeed.",
            ["namespace", "stage", "reason"],
            registry=registry,
        )
        self._isolation = Counter(
            "isobench_isolation_failures",
            "Stages refused because their network was not proved to be closed.",
            ["namespace"],
            registry=registry,
        )

    def _measurement(self) -> None:
        registry = self.registry
        self._timings = Counter(
            "isobench_timings", "Timed items by verdict.", ["namespace", "verdict"], registry=registry
        )
        self._noisy = Counter(
            "isobench_noisy_timings",
            "Timed items whose control's interval excludes 1.",
            ["namespace"],
            registry=registry,
        )
        self._width = Histogram(
            "isobench_timing_interval_width_ratio",
            "Half-width of the 99% interval of the speed-up, relative to it.",
            ["verdict"],
            buckets=WIDTH_BUCKETS,
            registry=registry,
        )
        self._pairs = Histogram(
            "isobench_timing_pairs", "Paired samples behind an interval.", buckets=PAIR_BUCKETS, registry=registry
        )

    def watch_queue(self, depth: Callable[[], float], oldest_age: Callable[[], float]) -> None:
        """Ask these for the queue's state whenever Prometheus asks."""
        self._queue_depth.set_function(depth)
        self._queue_age.set_function(oldest_age)

    def watch(self, collector: Collector) -> None:
        """Show what ``collector`` reads when Prometheus asks."""
        self.registry.register(collector)

    def leads(self) -> None:
        """This replica became the leader; one that no longer is ends."""
        self._leader.set(1)

    def reconciled(self, kind: str, seconds: float) -> None:
        """One reconcile of an object of ``kind`` (its plural) took so long, whether or not it raised."""
        self._reconcile.labels(kind).observe(seconds)

    def reconcile_failed(self, kind: str) -> None:
        """One reconcile raised."""
        self._errors.labels(kind).inc()

    def api_request(self, verb: str, code: int | str) -> None:
        """The API server answered a request (``verb`` get, list, watch, create, delete, patch, update) with ``code``.

        Without an answer ``code`` is a word: `timeout`, `closed`.
        """
        self._requests.labels(verb, str(code)).inc()

    def namespace_seen(self, namespace: str) -> None:
        """Items of ``namespace`` are looked after: its counters start at 0."""
        if namespace in self._known:
            return
        self._known.add(namespace)
        for reason in _WATCHED_ENDINGS:
            self._ended.labels(namespace, reason.consequence.family.value, reason.value)
        for stage, reason in _WATCHED_FAILURES:
            self._failures.labels(namespace, stage.value, reason.value)
        self._isolation.labels(namespace)
        self._noisy.labels(namespace)

    def stage_ended(
        self,
        namespace: str,
        stage: StageName,
        reason: Reason | None,
        *,
        duration_seconds: float,
        overhead_seconds: float | None,
    ) -> None:
        """One attempt at a stage ended; no ``reason``: it succeeded. To be called once its end is in the status."""
        self.namespace_seen(namespace)
        name = SUCCEEDED if reason is None else reason.value
        self._stage.labels(namespace, stage.value, name).observe(duration_seconds)
        if overhead_seconds is not None:
            self._overhead.labels(stage.value).observe(overhead_seconds)
        if reason is None:
            return
        self._failures.labels(namespace, stage.value, reason.value).inc()
        if reason is Reason.NETWORK_NOT_ISOLATED:
            self._isolation.labels(namespace).inc()

    def item_ended(self, namespace: str, reason: Reason, result: ResultSummary | None) -> None:
        """One item ended, with its measurement if there is one. To be called once its end is in the status."""
        self.namespace_seen(namespace)
        self._ended.labels(namespace, reason.consequence.family.value, reason.value).inc()
        if result is None or result.verdict is None:
            return
        self._timings.labels(namespace, result.verdict).inc()
        if result.noisy:
            self._noisy.labels(namespace).inc()
        if result.speedup and result.ci_low is not None and result.ci_high is not None:
            self._width.labels(result.verdict).observe((result.ci_high - result.ci_low) / 2 / result.speedup)
        if result.pairs is not None:
            self._pairs.observe(result.pairs)

    def exposition(self) -> bytes:
        """Everything, as Prometheus's text format (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

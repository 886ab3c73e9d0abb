"""The dashboard Throughput: how much gets done, where items are and why they wait or fail, how good the numbers are."""

from dashboards.panels import COUNT, SECONDS, SHARE, Dashboard, Look, Panel, Query

_HERE = 'namespace=~"$namespace"'


def _quantile(share: float, histogram: str, by: str, where: str = "", over: str = "1h") -> str:
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({histogram}_bucket{{{where}}}[{over}])))"


def _counted(metric: str, by: str, where: str = _HERE) -> str:
    return f"sum by ({by}) (max by (namespace, {by}) ({metric}{{{where}}}))"


def _lines(title: str, said: str, unit: str, *queries: Query, width: int = 12) -> Panel:
    return Panel(title, said, unit, Look.LINES, width, queries)


def _bars(title: str, said: str, unit: str, *queries: Query, width: int = 12) -> Panel:
    return Panel(title, said, unit, Look.BARS, width, queries)


_WORK = (
    _lines(
        "Items an hour",
        "Items that ended, by whose matter the ending is.",
        COUNT,
        Query(f"sum by (outcome) (rate(isobench_items_ended_total{{{_HERE}}}[1h])) * 3600", "{{outcome}}"),
    ),
    _bars(
        "Funnel",
        "Where the items are that there are.",
        COUNT,
        Query(_counted("isobench_items_unfinished", "stage"), "in {{stage}}"),
        Query(_counted("isobench_items_finished", "outcome"), "ended: {{outcome}}"),
    ),
    _lines(
        "Waiting, and why",
        "Items that nothing is done for.",
        COUNT,
        Query(_counted("isobench_items_waiting", "reason"), "{{reason}}"),
    ),
    _bars(
        "Failures by reason",
        "Items that ended without a record, in the time shown.",
        COUNT,
        Query(
            f'sum by (reason) (increase(isobench_items_ended_total{{{_HERE}, outcome!="done"}}[$__range]))',
            "{{reason}}",
        ),
    ),
)
_STAGES = (
    _lines(
        "Stage durations",
        "From a stage's claim to its end: median and 95th percentile.",
        SECONDS,
        Query(_quantile(0.5, "isobench_stage_duration_seconds", "stage", _HERE), "{{stage}} p50"),
        Query(_quantile(0.95, "isobench_stage_duration_seconds", "stage", _HERE), "{{stage}} p95"),
    ),
    _lines(
        "Overhead",
        "From a stage's claim to the start of its own work: scheduling, images, start-up.",
        SECONDS,
        Query(_quantile(0.5, "isobench_stage_overhead_seconds", "stage"), "{{stage}} p50"),
        Query(_quantile(0.99, "isobench_stage_overhead_seconds", "stage"), "{{stage}} p99"),
    ),
    _lines(
        "Oldest attempt",
        "Age of the oldest attempt at a stage that has not ended.",
        SECONDS,
        Query(f"max by (stage) (isobench_stage_oldest_age_seconds{{{_HERE}}})", "{{stage}}"),
    ),
    _lines(
        "Failed attempts by stage",
        "Attempts, not items: infrastructure is tried twice.",
        COUNT,
        Query(f"sum by (stage) (increase(isobench_stage_failures_total{{{_HERE}}}[1h]))", "{{stage}}"),
    ),
)
_QUALITY = (
    _lines(
        "Verdicts an hour",
        "Timed items by verdict.",
        COUNT,
        Query(f"sum by (verdict) (rate(isobench_timings_total{{{_HERE}}}[1h])) * 3600", "{{verdict}}"),
    ),
    _lines(
        "Width of intervals",
        "Half-width of the 99% interval, relative to the speed-up: median.",
        SHARE,
        Query(_quantile(0.5, "isobench_timing_interval_width_ratio", "verdict", over="6h"), "{{verdict}}"),
    ),
    _lines(
        "Noisy share",
        "Timings whose control's interval excludes 1.",
        SHARE,
        Query(
            f"sum(increase(isobench_noisy_timings_total{{{_HERE}}}[6h]))"
            f" / sum(increase(isobench_timings_total{{{_HERE}}}[6h]))",
            "noisy",
        ),
        width=8,
    ),
    _lines(
        "Pairs",
        "Paired samples behind an interval: median.",
        COUNT,
        Query(_quantile(0.5, "isobench_timing_pairs", "", over="6h"), "pairs"),
        width=8,
    ),
    _lines(
        "Isolation failures",
        "Stages refused because their network was not proved to be closed.",
        COUNT,
        Query(f"sum by (namespace) (increase(isobench_isolation_failures_total{{{_HERE}}}[1h]))", "{{namespace}}"),
        width=8,
    ),
)
_OPERATOR = (
    Panel("Leaders", "One, always.", COUNT, Look.NUMBER, 4, (Query("sum(isobench_leader)"),)),
    Panel(
        "Version",
        "Of the operator.",
        COUNT,
        Look.NUMBER,
        4,
        (Query("count by (version) (isobench_build_info)", "{{version}}"),),
    ),
    _lines(
        "Queue",
        "Objects that wait to be reconciled, and how long the oldest has.",
        COUNT,
        Query("sum(isobench_queue_depth)", "depth"),
        Query("max(isobench_queue_oldest_age_seconds)", "age of the oldest, s"),
        width=16,
    ),
    _lines(
        "Reconcile",
        "Time of one reconcile: 99th percentile.",
        SECONDS,
        Query(_quantile(0.99, "isobench_reconcile_duration_seconds", "kind", over="10m"), "{{kind}}"),
        width=8,
    ),
    _lines(
        "Requests to the API server",
        "By verb and answer, a second.",
        COUNT,
        Query("sum by (verb, code) (rate(isobench_api_requests_total[10m]))", "{{verb}} {{code}}"),
        width=8,
    ),
    _lines(
        "Memory",
        "Of each replica's process.",
        "bytes",
        Query("process_resident_memory_bytes and on (instance, job) isobench_build_info", "{{instance}}"),
        width=8,
    ),
)
THROUGHPUT = Dashboard(
    uid="isobench-throughput",
    title="isobench: Throughput",
    said="How much isobench gets done, and what keeps it from doing more.",
    rows=(("Work", _WORK), ("Stages", _STAGES), ("Quality of measurements", _QUALITY), ("Operator", _OPERATOR)),
)

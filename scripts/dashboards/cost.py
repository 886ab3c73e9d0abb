"""The dashboard Cost: what is spent, by whom and for what, and when the cap is reached."""

from dashboards.panels import COUNT, DOLLARS, SHARE, Dashboard, Look, Panel, Query

# `max` first: during a change of leader two replicas may show the same objects for one scrape.
_SPENT = 'max by (namespace, model, reason) (isobench_spent_dollars{namespace=~"$namespace"})'
_SPENT_BY_ITEMS = _SPENT.replace('namespace=~"$namespace"', 'namespace=~"$namespace", reason!="Deleted"')
_RESERVED = 'max by (namespace, model) (isobench_reserved_dollars{namespace=~"$namespace"})'
_CAP = 'max by (namespace) (isobench_cap_dollars{namespace=~"$namespace"})'
_SPENT_BY_TEAM = f"sum by (namespace) ({_SPENT})"
_COMMITTED_BY_TEAM = f"({_SPENT_BY_TEAM} + sum by (namespace) ({_RESERVED}))"
_RECORDS = 'sum(max by (namespace, reason) (isobench_items_finished{namespace=~"$namespace", outcome="done"}))'


def _tokens(which: str) -> str:
    return f'sum by (model) (max by (namespace, model) (isobench_{which}_tokens{{namespace=~"$namespace"}}))'


_NOW = (
    Panel("Spent", "Charged for model calls, at list prices.", DOLLARS, Look.NUMBER, 6, (Query(f"sum({_SPENT})"),)),
    Panel("Reserved", "Granted and not settled.", DOLLARS, Look.NUMBER, 6, (Query(f"sum({_RESERVED})"),)),
    Panel(
        "Cap left",
        "Of namespaces that have a cap: what is neither spent nor reserved.",
        DOLLARS,
        Look.NUMBER,
        6,
        (Query(f"sum({_CAP} - {_COMMITTED_BY_TEAM})"),),
    ),
    Panel(
        "Cost per record",
        "What the items there are have cost, failures included, by their records.",
        DOLLARS,
        Look.NUMBER,
        6,
        (Query(f"sum({_SPENT_BY_ITEMS}) / {_RECORDS}"),),
    ),
)
_TEAMS = (
    Panel("Spend by team", "One team a namespace.", DOLLARS, Look.LINES, 12, (Query(_SPENT_BY_TEAM, "{{namespace}}"),)),
    Panel(
        "Burn rate by team",
        "Dollars an hour, over the last hour.",
        DOLLARS,
        Look.LINES,
        12,
        (Query(f"clamp_min(deriv({_SPENT_BY_TEAM}[1h:]), 0) * 3600", "{{namespace}}"),),
    ),
    Panel(
        "Share of the cap",
        "Spent and reserved.",
        SHARE,
        Look.LINES,
        12,
        (Query(f"{_COMMITTED_BY_TEAM} / {_CAP}", "{{namespace}}"),),
    ),
    Panel(
        "Forecast: share of the cap spent in 24 h",
        "If the next 24 h go on as the last 6 h; the cap itself stops paid stages at 100%.",
        SHARE,
        Look.LINES,
        12,
        (Query(f"predict_linear({_SPENT_BY_TEAM}[6h:], 86400) / {_CAP}", "{{namespace}}"),),
    ),
)
_WHAT_FOR = (
    Panel(
        "Spend by model",
        "An item with an agent counts as the agent's model.",
        DOLLARS,
        Look.LINES,
        12,
        (Query(f"sum by (model) ({_SPENT})", "{{model}}"),),
    ),
    Panel(
        "Most expensive reasons",
        "What came of the items that the money went to.",
        DOLLARS,
        Look.BARS,
        12,
        (Query(f"topk(10, sum by (reason) ({_SPENT}))", "{{reason}}"),),
    ),
    Panel(
        "Tokens by model",
        "Metered, of the items there are.",
        COUNT,
        Look.LINES,
        24,
        (Query(_tokens("prompt"), "{{model}} prompt"), Query(_tokens("completion"), "{{model}} completion")),
    ),
)
COST = Dashboard(
    uid="isobench-cost",
    title="isobench: Cost",
    said="What isobench's items cost, read from the objects themselves.",
    rows=(("Now", _NOW), ("By team", _TEAMS), ("What for", _WHAT_FOR)),
)

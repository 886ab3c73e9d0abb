"""Panels and dashboards in the words that `cost` and `throughput` use, made with Grafana's own SDK."""

import itertools
import json
from dataclasses import dataclass
from enum import Enum

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BarGaugeDisplayMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.units import Dollars, PercentUnit, Seconds, Short

DOLLARS, SHARE, SECONDS, COUNT = Dollars, PercentUnit, Seconds, Short
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


class Look(Enum):
    """How a panel shows its series: a number now, bars now, or lines over time."""

    NUMBER = "number"
    BARS = "bars"
    LINES = "lines"


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One question and the queries that answer it; ``width`` is in 24ths of a row."""

    title: str
    said: str
    unit: str
    look: Look
    width: int
    queries: tuple[Query, ...]


@dataclass(frozen=True)
class Dashboard:
    """Rows of panels under a title; ``uid`` is its address in Grafana."""

    uid: str
    title: str
    said: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, from top to bottom."""
        return tuple(panel for _, panels in self.rows for panel in panels)

    def text(self) -> str:
        """The dashboard as Grafana imports it."""
        return json.dumps(_built(self), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _built(board: Dashboard) -> object:
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.said)
        .tags(["isobench"])
        .refresh("1m")
        .time("now-24h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("namespace")
            .label("Namespace")
            .datasource(_SOURCE)
            .query("label_values(isobench_items_ended_total, namespace)")
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    number = itertools.count(1)
    for title, panels in board.rows:
        made = made.with_row(dashboard.Row(title).id(next(number)))
        for panel in panels:
            made = made.with_panel(_panel(panel).id(next(number)))
    return made.build()


def _panel(panel: Panel) -> stat.Panel | bargauge.Panel | timeseries.Panel:
    made: stat.Panel | bargauge.Panel | timeseries.Panel
    latest = common.ReduceDataOptions().calcs(["lastNotNull"])
    match panel.look:
        case Look.NUMBER:
            made = stat.Panel().reduce_options(latest).height(4)
        case Look.BARS:
            bars = bargauge.Panel().reduce_options(latest).display_mode(BarGaugeDisplayMode.BASIC)
            made = bars.orientation(VizOrientation.HORIZONTAL).height(8)
        case Look.LINES:
            made = timeseries.Panel().legend(common.VizLegendOptions().show_legend(True)).fill_opacity(10).height(8)
    made = made.title(panel.title).description(panel.said).unit(panel.unit).span(panel.width).datasource(_SOURCE)
    for place, query in enumerate(panel.queries):
        made = made.with_target(_target(query, chr(ord("A") + place), over_time=panel.look is Look.LINES))
    return made


def _target(query: Query, ref: str, *, over_time: bool) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).legend_format(query.legend or "__auto").ref_id(ref)
    return made.range() if over_time else made.instant()

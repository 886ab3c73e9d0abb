"""Draws what the dashboards' queries returned, with matplotlib: a look at them without a Grafana.

ISOBENCH_SERIES=series.json .venv/bin/pytest tests/chart/test_operator_observed.py writes the series of a real run.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dashboards.panels import Dashboard
from generate_dashboards import DASHBOARDS

COLUMNS = 3
Series = list[dict[str, Any]]


def main() -> None:
    """Read the series, write one picture a dashboard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path, help="Series by dashboard and panel.")
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    mpl.rcParams.update({"font.size": 7, "svg.hashsalt": "isobench"})
    found = json.loads(asked.series.read_text("utf-8"))
    for name, board in DASHBOARDS.items():
        picture(board, found[name]).savefig(asked.folder / f"dashboard-{name}.png", dpi=110)


def picture(board: Dashboard, found: dict[str, list[Series]]) -> Figure:
    """Every panel of ``board`` with its series; ``found`` is by the panel's title, a list for each query."""
    panels = board.panels
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(12, 2.3 * rows), layout="constrained")
    figure.suptitle(f"{board.title} (drawn by matplotlib from a test's run, not by Grafana)")
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        axes.set_title(f"{panel.title} [{panel.unit}]", loc="left")
        for query, series in zip(panel.queries, found[panel.title], strict=True):
            _draw(axes, query.legend, series)
        axes.legend(fontsize=5, loc="upper left")
        axes.grid(alpha=0.3)
    return figure


def _draw(axes: Axes, legend: str, series: Series) -> None:
    for one in series:
        points = [(datetime.fromtimestamp(at, UTC), float(value)) for at, value in one["values"]]
        axes.plot([at for at, _ in points], [value for _, value in points], marker=".", label=_name(legend, one))


def _name(legend: str, one: dict[str, Any]) -> str:
    named = legend
    for label, value in one["metric"].items():
        named = named.replace("{{" + label + "}}", value)
    return named or "value"


if __name__ == "__main__":
    main()

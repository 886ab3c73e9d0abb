"""Every query of every dashboard, on a real Prometheus that scrapes an operator's metrics at work, gives data."""

import time
from urllib.error import URLError

import pytest

from building.operator_metrics import Work, served
from building.prometheus import scraping
from generate_dashboards import DASHBOARDS

PATIENCE_SECONDS = 120
QUERIES = [
    (f"{name}: {panel.title} {place}", query.expression)
    for name, board in DASHBOARDS.items()
    for panel in board.panels
    for place, query in enumerate(panel.queries)
]


def asked(expression):
    """The query as Grafana sends it for all namespaces over the last hour."""
    return expression.replace("$namespace", ".*").replace("$__range", "1h")


def answered(prometheus, expression):
    """The series of ``expression``, as soon as there are any and all are numbers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            series = prometheus.query(expression)
            if series and all(sample["value"][1] != "NaN" for sample in series):
                return series
        except URLError:
            pass
        time.sleep(0.2)
    return []


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    with served(Work()) as address, scraping(tmp_path_factory.mktemp("prometheus"), [address]) as server:
        assert answered(server, "isobench_items_ended_total")
        yield server


@pytest.mark.parametrize("expression", [query for _, query in QUERIES], ids=[name for name, _ in QUERIES])
def test_a_query_gives_data(prometheus, expression):
    assert answered(prometheus, asked(expression)), f"no data for {expression}"


def test_money_is_scraped_as_the_objects_say_it(prometheus):
    (left,) = answered(prometheus, asked(DASHBOARDS["cost"].panels[2].queries[0].expression))
    assert 0 < float(left["value"][1]) < 100

"""What the chart's tests use: a real helm, and a real promtool and Prometheus."""

import pytest

from building.chart import Chart, helm_program
from building.prometheus import program


@pytest.fixture(scope="session")
def chart():
    """The chart, through a real helm."""
    return Chart(helm_program())


@pytest.fixture(scope="session")
def promtool():
    """The path of promtool."""
    return program("promtool")

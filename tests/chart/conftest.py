"""What the chart's tests use: a real helm, a real API server without nodes, promtool and Prometheus."""

import functools

import pytest

from building.chart import Chart, helm_program
from building.prometheus import program
from cluster.api_server import api_server
from cluster.kubectl import kubectl as run_kubectl


@pytest.fixture(scope="session")
def chart():
    """The chart, through a real helm."""
    return Chart(helm_program())


@pytest.fixture(scope="session")
def promtool():
    """The path of promtool."""
    return program("promtool")


@pytest.fixture(scope="session")
def api():
    """A real API server; each file of tests leaves it without a release."""
    with api_server() as access:
        yield access


@pytest.fixture(scope="session")
def kubectl(api):
    """Runs kubectl as the administrator and returns what it prints."""
    return functools.partial(run_kubectl, api.kubeconfig)

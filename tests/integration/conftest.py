"""A person whose packages come from a folder: environments are built as anybody's, and no registry is asked."""

import os

import pytest

from building.projects import write_pip
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv


@pytest.fixture
def links(tmp_path):
    """The folder of packages."""
    write_pip(tmp_path / "links")
    return tmp_path / "links"


@pytest.fixture
def person(links):
    """The person's environment variables."""
    return {"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_FIND_LINKS": str(links), "PIP_NO_INDEX": "1"}


@pytest.fixture
def builder(tmp_path, person):
    return EnvironmentBuilder(tmp_path / "work", find_uv(), person)

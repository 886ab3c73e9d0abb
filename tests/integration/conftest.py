"""A person at work: a command line in a folder of their own, and packages that come from a folder, not a registry."""

import os

import pytest

from building.command_line import CommandLine
from building.projects import write_pip
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv


@pytest.fixture
def isobench(tmp_path, monkeypatch, capsys):
    """The command line in an empty folder, beside which the test may put a project."""
    (tmp_path / "here").mkdir()
    return CommandLine(tmp_path / "here", monkeypatch, capsys)


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

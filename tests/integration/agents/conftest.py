"""A project with a history for all tests, and an item of it for each."""

import pytest

from building.attempts import AttemptBench, Pair
from building.swift_history import write_history


@pytest.fixture(scope="session")
def swift(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("history") / "swift", plain=1)


@pytest.fixture
def bench(tmp_path, swift):
    return AttemptBench(tmp_path, Pair.of_swift(swift))

"""One item that passed through all of its pods, for the tests that only look at what it left."""

import pytest

from building.pods import Passed, asked, pods_of, status_after
from building.swift_history import SwiftHistory, write_history
from isobench.contracts.status import StageName


@pytest.fixture(scope="session")
def swift(tmp_path_factory) -> SwiftHistory:
    return write_history(tmp_path_factory.mktemp("source") / "swift", plain=0)


@pytest.fixture(scope="session")
def passed(swift, tmp_path_factory):
    """Only looked at."""
    store = tmp_path_factory.mktemp("store")
    with pods_of(asked(swift, store)) as pods:
        prepared = pods.prepare()
        pods.cut_off()
        timed = pods.time()
        collected = pods.collect(status_after(StageName.PREPARE, StageName.TIMING))
        yield Passed(pods, store, prepared, timed, collected)

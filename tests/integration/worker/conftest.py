"""Items for the tests of pods: one that passed through all of them, to be looked at only, and prepared ones."""

import pytest

from building.items import prepared, spec
from building.pods import Passed, asked, pods_of, status_after
from building.swift_history import SwiftHistory, write_history
from isobench.adapters.files import write_model
from isobench.contracts.status import StageName


@pytest.fixture(scope="session")
def swift(tmp_path_factory) -> SwiftHistory:
    return write_history(tmp_path_factory.mktemp("source") / "swift", plain=0)


@pytest.fixture(scope="session")
def passed(swift, tmp_path_factory):
    """Only looked at."""
    store = tmp_path_factory.mktemp("store")
    with pods_of(asked(swift, store)) as pods:
        preparing = pods.prepare()
        pods.cut_off()
        timed = pods.time()
        collected = pods.collect(status_after(StageName.PREPARE, StageName.TIMING))
        yield Passed(pods, store, preparing, timed, collected)


@pytest.fixture
def pods():
    """An item that was prepared, as far as its pods can see."""
    with pods_of(spec()) as pods:
        pods.item.mkdir()
        write_model(pods.item / "prepared.json", prepared(canary=pods.canary_address))
        yield pods

"""Agents on one machine take turns: as many at once as asked for, and never more."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from isobench.local.turns import Turns

ITEMS = 6


@pytest.mark.parametrize("agents", [1, 2, 3])
def test_as_many_run_at_once_as_asked_for_and_never_more(agents):
    turns, company = Turns(agents), threading.Barrier(agents)
    running: list[int] = []
    seen: list[int] = []

    def attempt(number):
        with turns.one():
            running.append(number)
            company.wait()  # for ever, unless so many are here at once
            seen.append(len(running))
            company.wait()
            running.remove(number)

    with ThreadPoolExecutor(ITEMS) as pool:
        list(pool.map(attempt, range(ITEMS)))
    assert seen == [agents] * ITEMS

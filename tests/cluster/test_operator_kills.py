"""The operator killed at any moment of a batch: every item is recorded once, no stage is run twice, money adds up.

`make soak` does the same fifty times and writes docs/soak-operator.md.
"""

import pytest

from cluster.operator_kills import campaign

pytestmark = pytest.mark.own_cluster("an API server without a kubelet")

KILLS, ITEMS, SEED = 10, 12, 2026


@pytest.fixture(scope="module")
def told(kinds):
    """What is left after a batch whose operator was killed again and again."""
    return campaign(kinds.kubeconfig, ITEMS, KILLS, SEED)


def test_nothing_is_lost_repeated_or_counted_wrong(told):
    assert told.wrong() == []


def test_every_item_is_there_and_the_operator_was_killed_as_often_as_was_said(told):
    assert (len(told.items), len(told.kills)) == (ITEMS, KILLS)


def test_it_was_killed_at_rest_and_at_work(told):
    assert {kill.rest is None for kill in told.kills} == {True, False}

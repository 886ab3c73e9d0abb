"""A batch's ledger: rows follow from what was written and from the children, and nothing is charged twice or lost."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from building.items import NOON, batch, heads
from isobench.contracts.reasons import Reason
from isobench.contracts.status import LedgerRow
from isobench.engine import ledger
from isobench.engine.ledger import Child

OUTCOMES = [None, Reason.RECORDED, Reason.BUILD_FAILED]
fates = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([*OUTCOMES[1:], "deleted"])), max_size=4)


def child(index, outcome=None, spent=0.0):
    return Child(index, f"demo-{index}", outcome, float(spent))


def row(index, outcome=None, reserved=0.0, spent=0.0):
    return LedgerRow(index=index, item=f"demo-{index}", outcome=outcome, reserved_usd=reserved, spent_usd=spent)


def asked(count=10, **changes):
    return batch(heads(count), **changes).spec


@settings(derandomize=True, max_examples=100)
@given(st.lists(fates, max_size=12), st.integers(1, 10))
def test_parallelism_holds_and_no_commit_is_begun_twice(histories, parallelism):
    spec, rows, living, begun = asked(parallelism=parallelism), [], {}, []
    for happened in histories:
        for index, fate in happened:
            if index in living and fate == "deleted":
                del living[index]
            elif index in living:
                living[index] = child(index, fate)
        rows = ledger.observed(rows, living.values())
        assert ledger.observed(rows, living.values()) == rows, "the same facts, the same rows"
        more = ledger.to_begin(spec, rows)
        assert not set(more) & set(begun)
        begun += more
        living |= {index: child(index) for index in more}
        rows = ledger.observed(rows, living.values())
        assert sum(one.outcome is None for one in rows) <= parallelism


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.sampled_from(OUTCOMES[1:]), min_size=1, max_size=10), st.integers(1, 4))
def test_every_batch_comes_to_an_end(outcomes, parallelism):
    spec, rows = asked(len(outcomes), parallelism=parallelism), []
    for _ in range(1 + len(outcomes)):
        started = [child(index) for index in ledger.to_begin(spec, rows)]
        rows = ledger.observed(rows, [*(child(one.index, one.outcome) for one in rows), *started])
        rows = ledger.observed(rows, [child(one.index, outcomes[one.index]) for one in rows])
    assert ledger.finished(spec, rows)
    assert ledger.counts(rows).ended == len(outcomes)


def test_items_are_begun_in_order_so_many_at_once():
    spec = asked(5, parallelism=2)
    assert ledger.to_begin(spec, []) == [0, 1]
    assert ledger.to_begin(spec, [row(0), row(1)]) == []
    assert ledger.to_begin(spec, [row(0, Reason.RECORDED), row(1)]) == [2]
    assert ledger.to_begin(spec, [row(index, Reason.RECORDED) for index in range(4)]) == [4]


def test_an_item_that_was_deleted_before_its_row_was_entered_is_begun_again():
    spec = asked(3, parallelism=3)
    rows = ledger.observed([], [child(0, Reason.RECORDED), child(2, Reason.RECORDED)])
    assert not ledger.finished(spec, rows)
    assert ledger.to_begin(spec, rows) == [1]
    assert ledger.finished(spec, ledger.observed(rows, [child(1, Reason.RECORDED)]))


def test_nothing_is_begun_while_suspended():
    assert ledger.to_begin(asked(5, suspend=True), []) == []


def test_a_child_that_ended_is_settled_at_what_it_spent():
    (settled,) = ledger.observed([row(0, reserved=3)], [child(0, Reason.RECORDED, 1.25)])
    assert (settled.outcome, settled.reserved_usd, settled.spent_usd) == (Reason.RECORDED, 0, 1.25)


def test_a_child_that_disappeared_is_settled_at_its_reservation_and_not_begun_again():
    rows = ledger.observed([row(0, reserved=3, spent=0.5)], [])
    assert (rows[0].outcome, rows[0].reserved_usd, rows[0].spent_usd) == (Reason.ITEM_DELETED, 0, 3.5)
    assert ledger.observed(rows, []) == rows
    assert ledger.to_begin(asked(1), rows) == []


def test_a_child_that_ended_and_was_swept_away_keeps_its_row():
    ended = [row(0, Reason.RECORDED, spent=1)]
    assert ledger.observed(ended, []) == ended


def test_a_child_that_is_asked_for_again_is_open_again_and_keeps_what_it_spent():
    (reopened,) = ledger.observed([row(0, Reason.BUILD_FAILED, spent=1)], [child(0)])
    assert (reopened.outcome, reopened.spent_usd) == (None, 1)


def test_a_grant_is_entered_once_and_only_for_what_is_open():
    rows = [row(0), row(1, reserved=2), row(2, Reason.RECORDED), row(3)]
    held = {"demo-0": 3.0, "demo-1": 5.0, "demo-2": 3.0}
    assert [one.reserved_usd for one in ledger.granted(rows, held)] == [3, 2, 0, 0]


def test_after_a_failure_a_batch_that_fails_fast_begins_nothing_and_ends():
    spec = asked(5, failFast=True, parallelism=2)
    failed = [row(0, Reason.BUILD_FAILED), row(1)]
    assert ledger.to_begin(spec, failed) == []
    assert not ledger.finished(spec, failed)
    assert ledger.finished(spec, [row(0, Reason.BUILD_FAILED), row(1, Reason.RECORDED)])
    assert not ledger.stopped(spec, [row(0, Reason.ALREADY_RECORDED)]), "there is nothing to do is no failure"


def test_counts_say_how_items_ended():
    rows = [row(0, Reason.RECORDED, spent=0.1), row(1, Reason.NO_TEST), row(2, Reason.NO_TEST), row(3, reserved=2)]
    told = ledger.counts(rows)
    assert (told.running, told.done, told.failed) == (1, 1, 2)
    assert told.reasons == {"NoTest": 2, "Recorded": 1}
    assert (told.reserved_usd, told.spent_usd) == (2, 0.1)


@pytest.mark.parametrize(("total", "ended", "minutes"), [(10, 5, 61), (10, 0, None), (10, 10, None)])
def test_the_end_is_expected_at_the_pace_so_far(total, ended, minutes):
    expected = ledger.finished_by(total, ended, NOON - timedelta(hours=1), NOON)
    assert expected == (None if minutes is None else NOON + timedelta(minutes=minutes))

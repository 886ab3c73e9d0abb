"""What a published split holds after a publish: newer records replace older ones, nothing else is touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.base import InvalidInput
from isobench.engine.merging import (
    RowChange,
    Source,
    differing_fields,
    merge,
    present,
    require_records,
)


def row(head_commit, repo="pallets/jinja", **fields):
    return {"repo": repo, "instance_id": f"id-{head_commit}", "head_commit": head_commit, **fields}


keys = st.tuples(st.sampled_from(["a/a", "b/b"]), st.sampled_from("123"))
patches = st.sampled_from(["old", "new"])
new_rows = st.lists(st.builds(lambda key, patch: row(key[1], key[0], patch=patch), keys, patches), max_size=6)
foreign_rows = st.lists(st.just({"text": "a row of somebody else"}), max_size=2)


def test_a_record_that_is_not_published_is_added_at_the_end():
    merged = merge([row("1")], [row("2")])
    assert merged.sources == (Source(0, None), Source(None, 0))
    assert merged.changes == (RowChange("id-2", "pallets/jinja", "2", "added"),)


def test_a_newer_record_takes_the_place_of_the_older():
    merged = merge([row("1", patch="old"), row("2")], [row("1", patch="new")])
    assert merged.sources == (Source(0, 0), Source(1, None))
    assert merged.count("replaced") == 1


def test_a_record_that_is_published_already_changes_nothing():
    merged = merge([row("1", patch="p")], [row("1", patch="p")])
    assert merged.sources == (Source(0, None),)
    assert merged.count("unchanged") == 1


def test_the_same_commit_of_another_repository_is_another_record():
    assert merge([row("1", "a/a")], [row("1", "b/b")]).count("added") == 1


def test_a_column_of_somebody_else_makes_no_difference():
    assert merge([row("1", label=5)], [row("1")]).count("unchanged") == 1


def test_of_two_new_records_with_one_key_the_later_counts():
    assert merge([], [row("1", patch="first"), row("1", patch="second")]).sources == (Source(None, 1),)


def test_rows_without_a_key_stay_however_many_there_are():
    published = [{"text": "x"}, {"text": "x"}, {"repo": None, "head_commit": None}]
    assert merge(published, [row("1")]).sources == (*(Source(i, None) for i in range(3)), Source(None, 0))


def test_published_duplicates_of_a_record_become_the_one_new_record():
    assert merge([row("1"), row("2"), row("1")], [row("1")]).sources == (Source(0, 0), Source(1, None))


@given(new_rows, foreign_rows, new_rows)
def test_no_published_key_and_no_foreign_row_is_ever_lost(published, foreign, new):
    before = published + foreign
    merged = merge(before, new)
    after = [before[s.published] if s.new is None else new[s.new] for s in merged.sources]
    assert {(r["repo"], r["head_commit"]) for r in before + new if "repo" in r} == {
        (r["repo"], r["head_commit"]) for r in after if "repo" in r
    }
    assert [r for r in after if "text" in r] == foreign


@given(new_rows, new_rows)
def test_after_merging_every_new_record_stands_once_as_it_was_last_given(published, new):
    merged = merge(published, new)
    after = [published[s.published] if s.new is None else new[s.new] for s in merged.sources]
    for given_row in {(r["repo"], r["head_commit"]): r for r in new}.values():
        key = given_row["repo"], given_row["head_commit"]
        assert [r for r in after if (r["repo"], r["head_commit"]) == key] == [given_row]


@given(new_rows, new_rows)
def test_merging_twice_changes_nothing_the_second_time(published, new):
    merged = merge(published, new)
    after = [published[s.published] if s.new is None else new[s.new] for s in merged.sources]
    assert merge(after, new).count("unchanged") == len(merged.changes)


def test_absent_null_and_empty_objects_are_one_thing_and_lists_keep_their_length():
    value = {"a": None, "b": {}, "c": {"d": {"e": None}}, "f": [None, {}, {"g": 0}], "h": [], "i": False}
    assert present(value) == {"f": [None, None, {"g": 0}], "h": [], "i": False}


def test_differing_fields_are_named():
    assert differing_fields(row("1", patch="a", notes=None), row("1", patch="b")) == ["patch"]


def test_a_key_that_no_record_has_is_a_difference_too():
    assert differing_fields(row("1", nonsense=1), row("1")) == ["nonsense"]


def test_too_few_records_are_refused_with_both_numbers():
    with pytest.raises(InvalidInput, match=r"publish\.min_records: 3 is more than the 2 records there are"):
        require_records(2, 3)


def test_enough_records_are_enough():
    require_records(3, 3)
    assert merge([], []).changes == ()

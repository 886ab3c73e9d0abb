"""The columns of a published split: every field of a record has one, and none changes what it holds."""

import pytest

from isobench.adapters.hub.columns import ADDITIONS, FEATURES, NotPublishable, record_table
from isobench.contracts.record import Record


def row(**fields):
    known = dict.fromkeys(FEATURES) | {"repo": "a/b", "head_commit": "1", "instance_id": "a__b-1", "test_functions": []}
    return known | fields


def test_every_field_of_a_record_has_a_column_in_the_order_of_the_file():
    assert [*FEATURES, *ADDITIONS, "measurement"] == list(Record.model_fields)


def test_additions_have_a_column_only_where_a_record_has_them():
    assert record_table([row()]).column_names == list(FEATURES)
    assert record_table([row(), row(agent_success=False)]).column_names == [*FEATURES, "agent_success"]


def test_a_measurement_is_the_union_of_what_the_rows_hold():
    first, second = {"speedup": 1, "notes": []}, {"speedup": 0.1 + 0.2, "machine": {"load": [1, 2.5]}}
    stored = record_table([row(measurement=first), row(), row(measurement=second)]).column("measurement")
    assert stored.to_pylist() == [first | {"machine": None}, None, second | {"notes": None}]


@pytest.mark.parametrize(
    "measurement", [{"a": [1, "two"]}, {"a": 2**64}, {"a": [1, [2]]}, "text", {"a": 2**53 + 1, "b": []}]
)
def test_values_that_share_no_column_are_refused(measurement):
    with pytest.raises(NotPublishable, match="mend the dataset's file"):
        record_table([row(measurement=measurement), row(measurement={"a": 0.5, "b": {}})])


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"api_manifest_paths": {"elsewhere": "x"}}, "api_manifest_paths"),
        ({"duration_changes": [{"base": [1.0], "warm": [1.0]}]}, "duration_changes"),
        ({"human_performance": 2**53 + 1}, "9007199254740993"),
    ],
)
def test_nothing_of_a_record_is_left_out_in_silence(fields, name):
    with pytest.raises(NotPublishable, match=name):
        record_table([row(**fields)])

"""The columns of a published split: what type each field of a record has there, and old and new rows as one table."""

from collections.abc import Sequence
from typing import get_args

import pyarrow as pa
from datasets import Dataset, DatasetInfo, Features, List, Value
from datasets.features.features import generate_from_arrow_type

from isobench.contracts.record import Arm
from isobench.engine.merging import RECORD_FIELDS, Merge, Row, differing_fields, present

_TEXT, _TEXTS, _NUMBER, _TIMES = Value("string"), List(Value("string")), Value("float64"), List(Value("float64"))
_SUMMARY = {name: Value("int64") for name in ("modules_scanned", "symbols_collected", "errors")}
FEATURES = Features(
    {
        **dict.fromkeys(("repo", "instance_id", "created_at", "base_commit", "head_commit"), _TEXT),
        **dict.fromkeys(("patch", "test_patch"), _TEXT),
        "efficiency_test": _TEXTS,
        "duration_changes": List({"base": _TIMES, "head": _TIMES, "main": _TIMES}),
        "human_performance": _NUMBER,
        "version": _TEXT,
        "patch_functions": _TEXT,
        "test_functions": _TEXTS,
        **dict.fromkeys(("api", "gt_commit_message"), _TEXT),
        **dict.fromkeys(("setup_commands", "install_commands"), _TEXTS),
        "notes": _TEXT,
        "api_manifest_paths": dict.fromkeys(get_args(Arm), _TEXT),
        "api_manifest_summaries": dict.fromkeys(get_args(Arm), _SUMMARY),
        "test_failed": _TEXT,
    }
)
"""Columns that every published row has."""
ADDITIONS = Features(
    {
        "agent_branch": _TEXT,
        "agent_success": Value("bool"),
        "agent_error": _TEXT,
        "agent_cost_estimate": _NUMBER,
        "agent_iterations": Value("int64"),
        "agent_journal_path": _TEXT,
    }
)
"""Columns that are there once a record has them."""


class NotPublishable(Exception):
    """Why nothing was published, as one sentence."""


def record_table(rows: Sequence[Row]) -> pa.Table:
    """``rows`` in the columns of FEATURES, the ADDITIONS that occur, and `measurement` where it occurs.

    `measurement` has no fixed feature: machine, isolation and cost grow with what can be observed, so its structure
    is the union of what the rows hold, and grows in the split. The `Json` feature would keep the very text, but it is
    read back through a parser that misses the last digit of every fourth float; a structure is exact, and stays nested
    for every reader.

    Raises:
        NotPublishable: a row would not read back as it is, but for what is absent (see `present`).
    """
    features = FEATURES | {name: feature for name, feature in ADDITIONS.items() if _occurs(name, rows)}
    try:
        if _occurs("measurement", rows):
            structure = pa.infer_type([present(row.get("measurement")) for row in rows])
            features["measurement"] = generate_from_arrow_type(structure)
        table = pa.Table.from_pylist([present(row) for row in rows], schema=Features(features).arrow_schema)
    except (pa.ArrowException, OverflowError) as mismatch:
        raise NotPublishable(
            f"the records do not fit into columns of one type each ({one_line(mismatch)}); mend the dataset's file"
        ) from mismatch
    for row, stored in zip(rows, table.to_pylist(), strict=True):
        if fields := differing_fields(row, stored):
            raise NotPublishable(
                f"{', '.join(fields)} of {row['instance_id']} would be published otherwise than the record has it; "
                "mend the dataset's file"
            )
    return table.replace_schema_metadata(None)


def merged_split(published: pa.Table, features: Features, new: pa.Table, merged: Merge) -> Dataset:
    """The split's rows after the merge; a replaced row keeps its values in columns that no record has.

    Raises:
        NotPublishable: a published column's type has nothing in common with the records'.
    """
    try:
        both = pa.concat_tables([published, new], promote_options="permissive")
    except pa.ArrowException as clash:
        raise NotPublishable(
            f"the published split has another type than the records ({one_line(clash)}); publish to another repository"
        ) from clash
    offset = published.num_rows
    published_rows = [source.published for source in merged.sources]
    record_rows = [source.published if source.new is None else offset + source.new for source in merged.sources]
    table = pa.table(
        {
            name: both[name].take(pa.array(record_rows if name in RECORD_FIELDS else published_rows, pa.int64()))
            for name in both.column_names
        }
    )
    foreign = {name: feature for name, feature in features.items() if name not in RECORD_FIELDS}
    known = Features.from_arrow_schema(table.schema)
    return Dataset(table, info=DatasetInfo(features=Features(known | foreign)))


def _occurs(name: str, rows: Sequence[Row]) -> bool:
    return any(present(row.get(name)) is not None for row in rows)


def one_line(message: object) -> str:
    """The start of what a library says, fit for the middle of a sentence."""
    return " ".join(str(message).split())[:200].rstrip(".") or type(message).__name__

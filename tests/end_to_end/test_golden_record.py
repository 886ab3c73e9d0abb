"""The record's values are those that git itself and the record's description give; only durations are measured."""

import platform
import re
import statistics
from datetime import UTC, datetime

import pytest

from building.bench import strict_json
from building.repositories import git_at
from building.swift_history import MERGED_BY, REPO, TEST

pytestmark = pytest.mark.slow

FIELDS = [
    *("repo", "instance_id", "created_at", "base_commit", "head_commit", "patch", "test_patch", "efficiency_test"),
    *("duration_changes", "human_performance", "version", "patch_functions", "test_functions", "api"),
    *("gt_commit_message", "setup_commands", "install_commands", "notes"),
    *("api_manifest_paths", "api_manifest_summaries", "test_failed"),
]
"""The keys of an offline record, in the file's order."""

OLD = ("faster", "slower", "failing")
SUMMARY = {"modules_scanned": 1, "symbols_collected": 2, "errors": 0}
MEASURED = {"duration_changes", "human_performance", "test_failed"}
VERSION = re.compile(rf"python==3\.\d+\.\d+;arch={platform.machine()};image=local;install_sha=[0-9a-f]+")


def record_of(finished, batch, outcome):
    (row,) = [row for row in finished.bench.rows(batch) if row["head_commit"] == finished.commits[outcome]]
    return row


def expected(swift, head):
    """What plain git says of the commit, and what the description says of the rest."""

    def git(*arguments):
        return git_at(swift.path, *arguments).strip()

    merges = git("log", "--merges", "--ancestry-path", "--reverse", "--format=%s", f"{head}^..main").splitlines()
    numbers = [re.search(r"#(\d+)", merge)[1] for merge in merges[:10] if "Merge pull request" in merge]
    owner_and_name = "/".join(git("remote", "get-url", "origin").removesuffix(".git").split("/")[-2:])
    return {
        "repo": owner_and_name,
        "instance_id": owner_and_name.replace("/", "__") + (f"-PR-{numbers[0]}" if numbers else f"-{head[:7]}"),
        "created_at": datetime.fromtimestamp(int(git("log", "-1", "--format=%ct", head)), UTC).isoformat(),
        "base_commit": git("rev-parse", f"{head}^"),
        "head_commit": git("rev-parse", head),
        "patch": git("diff", "-p", f"{head}^", head),
        "test_patch": "",
        "efficiency_test": [TEST],
        "patch_functions": None,
        "test_functions": [],
        "api": "swift.total",
        "gt_commit_message": git("log", "-1", "--format=%B", head),
        "setup_commands": None,
        "install_commands": None,
        "notes": None,
        "api_manifest_summaries": dict.fromkeys(("base", "head", "main"), SUMMARY),
    }


@pytest.mark.parametrize("outcome", OLD)
def test_by_the_old_protocol_a_record_has_the_old_keys_and_gits_values(finished, outcome):
    record = record_of(finished, "single", outcome)

    assert list(record) == FIELDS
    wanted = expected(finished.swift, finished.commits[outcome])
    assert {key: record[key] for key in wanted} == wanted
    assert VERSION.fullmatch(record["version"])


def test_a_pull_requests_commit_is_named_by_its_number_and_another_by_its_hash(finished):
    assert record_of(finished, "single", "faster")["instance_id"] == f"fast__swift-PR-{MERGED_BY}"
    slower = finished.commits["slower"]
    assert record_of(finished, "single", "slower")["instance_id"] == f"fast__swift-{slower[:7]}"
    assert {row["repo"] for row in finished.bench.rows("single")} == {REPO}


@pytest.mark.parametrize("outcome", ["faster", "slower"])
def test_by_the_old_protocol_each_arm_is_run_once(finished, outcome):
    record = record_of(finished, "single", outcome)
    (durations,) = record["duration_changes"]

    assert list(durations) == ["base", "head", "main"]
    assert [len(times) for times in durations.values()] == [1, 1, 1]
    assert record["human_performance"] == durations["base"][0] / durations["head"][0]
    assert record["test_failed"] == "No"


def test_by_the_old_protocol_a_failed_arm_is_an_empty_list(finished):
    record = record_of(finished, "single", "failing")
    (durations,) = record["duration_changes"]

    assert (durations["head"], len(durations["base"]), len(durations["main"])) == ([], 1, 1)
    assert record["human_performance"] is None
    assert record["test_failed"] == "Yes"


@pytest.mark.parametrize("outcome", OLD)
def test_by_default_a_record_says_the_same_and_has_a_measurement_besides(finished, outcome):
    old, new = record_of(finished, "single", outcome), record_of(finished, "blocks", outcome)

    assert list(new) == [*FIELDS, "measurement"]
    unchanged = set(FIELDS) - MEASURED - {"api_manifest_paths"}
    assert {key: new[key] for key in unchanged} == {key: old[key] for key in unchanged}
    assert new["test_failed"] == old["test_failed"]


def test_durations_are_the_kept_samples_of_base_head_and_main_and_never_the_controls(finished):
    record = record_of(finished, "blocks", "faster")
    (durations,) = record["duration_changes"]
    probe = finished.bench.items("blocks")[finished.commits["faster"]] / "probe" / "timing" / "output" / "result.json"
    samples = [sample for sample in strict_json(probe.read_text())["samples"] if sample["block"] >= 0]

    assert {sample["arm"] for sample in samples} == {"base", "head", "main", "control"}
    assert list(durations) == ["base", "head", "main"]
    for arm, times in durations.items():
        assert times == [sample["printed_ms"] for sample in samples if sample["arm"] == arm]
    assert record["human_performance"] == statistics.fmean(durations["base"]) / statistics.fmean(durations["head"])


@pytest.mark.parametrize("batch", ["single", "blocks"])
def test_a_slower_head_is_recorded_like_a_faster_one(finished, batch):
    heads = [row["head_commit"] for row in finished.bench.rows(batch)]

    assert heads.count(finished.commits["slower"]) == heads.count(finished.commits["faster"]) == 1


def test_the_public_names_of_each_arm_are_where_the_record_says(finished):
    record = record_of(finished, "single", "faster")

    assert list(record["api_manifest_paths"]) == ["base", "head", "main"]
    for path in record["api_manifest_paths"].values():
        assert "total" in strict_json((finished.bench.work / path).read_text())["modules"]["swift"]

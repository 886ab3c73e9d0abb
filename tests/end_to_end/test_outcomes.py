"""Every item of a batch ends, recorded or skipped, with a true reason; none stops the others."""

import pytest

from building.bench import events_of, strict_json, told
from building.swift_history import TEST

pytestmark = pytest.mark.slow

SKIPPED = {
    "unbuildable": ("BuildFailed", "no compiler here"),
    "missing": ("CommitNotFound", "ffffffff"),
    "root": ("NoParent", "root commit"),
    "no test": ("NoTest", "there is no test"),
    "syntax error": ("TestInvalid", "is not Python"),
    "empty": ("TestInvalid", "is empty"),
    "binary": ("TestInvalid", "not UTF-8"),
    "unreachable": ("RepositoryUnreachable", "127.0.0.1"),
}
RECORDED = ("faster", "neutral", "slower", "failing", "different", "below resolution")


def row_of(finished, outcome):
    (row,) = [row for row in finished.bench.rows("blocks") if row["head_commit"] == finished.commits[outcome]]
    return row


def read(finished, outcome, name):
    return strict_json((finished.bench.items("blocks")[finished.commits[outcome]] / name).read_text())


@pytest.mark.parametrize(("outcome", "reason", "said"), [(name, *SKIPPED[name]) for name in SKIPPED])
def test_a_skipped_item_says_why_in_its_journal_and_leaves_no_record(finished, outcome, reason, said):
    journal = read(finished, outcome, "journal.json")

    assert journal["outcome"] == reason
    assert said in journal["message"]
    assert "Traceback" not in journal["message"]
    assert finished.commits[outcome] not in {row["head_commit"] for row in finished.bench.rows("blocks")}


@pytest.mark.parametrize("outcome", RECORDED)
def test_a_timed_item_is_recorded_once_whatever_its_times_say(finished, outcome):
    assert read(finished, outcome, "journal.json")["outcome"] == "Recorded"
    assert row_of(finished, outcome)["measurement"]["arms"].keys() == {"base", "head", "main", "control"}


def test_a_test_that_fails_on_head_is_recorded_as_failed_with_its_output(finished):
    row = row_of(finished, "failing")

    assert row["test_failed"] == "Yes"
    assert row["duration_changes"][0]["head"] == []
    assert row["human_performance"] is None
    assert row["measurement"]["reason"] == "TestFailed"
    assert "ZeroDivisionError" in row["measurement"]["arms"]["head"]["output_tail"]


@pytest.mark.parametrize(
    ("outcome", "reason"), [("different", "NotEquivalent"), ("below resolution", "BelowResolution")]
)
def test_samples_that_are_no_measurement_are_recorded_with_the_reason_and_without_a_verdict(finished, outcome, reason):
    row = row_of(finished, outcome)

    assert row["measurement"]["reason"] == reason
    assert "verdict" not in row["measurement"] or row["measurement"]["verdict"] is None
    assert len(row["duration_changes"][0]["head"]) >= 8


def test_a_failed_item_stops_no_other_and_is_told_by_the_exit_code(finished):
    ended = told(events_of(finished.events["blocks"]), "ItemEnded")

    assert len(ended) == len(finished.commits)
    assert finished.exits["blocks"] == 1


def test_a_batch_whose_items_are_all_recorded_exits_with_0(finished):
    assert {event["reason"] for event in told(events_of(finished.events["single"]), "ItemEnded")} == {"Recorded"}
    assert finished.exits["single"] == 0


def test_the_same_command_repeats_nothing_and_a_new_run_meets_the_record(bench, swift):
    commits = [{"head": swift.merged, "test": {"inline": TEST}}, {"head": swift.plain[0]}]
    manifest = bench.manifest("again", swift.path, commits, timing={"protocol": "single"})
    first = bench.run("run", manifest, "--json")
    row = bench.rows("again")

    second = bench.run("run", manifest, "--json")
    assert (first.returncode, second.returncode) == (1, 1)
    assert told(events_of(second.stdout), "RunStarted")[0]["finished"] == 2
    assert told(events_of(second.stdout), "StageStarted") == []

    anew = bench.run("run", manifest, "--json", "--new-run")
    reasons = [event["reason"] for event in told(events_of(anew.stdout), "ItemEnded")]
    assert reasons == ["AlreadyRecorded", "NoTest"]
    assert bench.rows("again") == row

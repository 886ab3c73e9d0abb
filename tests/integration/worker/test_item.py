"""An item through all of its pods: what each says at its end, and what is in the store then."""

import hashlib

import pytest

from building.bench import Bench
from building.pods import ITEM_ID, QUICK, RUN_ID, Passed, asked, pods_of, status_after, strict
from building.swift_history import TEST, SwiftHistory
from isobench.contracts.pod import ExportRequest
from isobench.contracts.reasons import Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName

pytestmark = pytest.mark.slow

MEASURED = {"duration_changes", "human_performance", "version", "measurement", "api_manifest_paths"}


def test_each_pod_ends_well_and_says_what_its_condition_needs(passed: Passed):
    prepared, timed = passed.prepared.result(StageName.PREPARE), passed.timed.result(StageName.TIMING)
    assert (passed.prepared.code, passed.timed.code, passed.collected.code) == (0, 0, 0), passed.collected.log
    assert prepared.facts == {"instance_id": "fast__swift-PR-12", "repo": "fast/swift", "canary": "reached"}
    assert timed.result is not None
    assert timed.result.pairs == 8
    assert "canary (127.0.0.1:" in timed.facts["isolation"]
    assert "5 times in a row" in timed.facts["isolation"]
    assert timed.facts["isolation"].endswith("by the policy isobench-timing; the canary was reached from prepare")


def test_the_record_is_what_one_machine_writes_of_the_same_item(passed: Passed, swift: SwiftHistory, tmp_path):
    bench = Bench(tmp_path / "bench")
    shared = {"test": {"inline": TEST}, "api": "swift.total", "timing": QUICK}
    manifest = bench.manifest("demo", swift.path, [{"head": swift.merged}], **shared)
    assert bench.run("run", manifest).returncode == 0
    (here,) = bench.rows("demo")
    there = strict(passed.store / "runs" / RUN_ID / ITEM_ID / "record.json")
    assert list(there) == list(here)
    assert {key: there[key] for key in there.keys() - MEASURED} == {key: here[key] for key in here.keys() - MEASURED}
    assert there["measurement"].keys() == here["measurement"].keys()
    assert there["version"] == here["version"].replace("image=local", "image=registry.example/environment:1")
    assert there["api_manifest_paths"] == {
        arm: f"runs/{RUN_ID}/{ITEM_ID}/api/{arm}.json" for arm in ("base", "head", "main")
    }


def test_the_record_says_by_what_the_network_was_away(passed: Passed):
    isolation = strict(passed.store / "runs" / RUN_ID / ITEM_ID / "record.json")["measurement"]["isolation"]
    assert (isolation["sandbox"], isolation["policy"]) == ("pod", "isobench-timing")
    assert isolation["proof"]["rounds"] == 5
    for moment in ("before", "after"):
        assert isolation[moment]["network"] == "policy"
        assert isolation[moment]["connects"] == {passed.pods.canary_address: "ECONNREFUSED"}
        assert isolation[moment]["inside"]["AF_INET"] == "EACCES"
        assert isolation[moment]["filter"] == "installed"


def test_everything_that_the_marker_lists_is_in_the_store(passed: Passed):
    folder = passed.store / "runs" / RUN_ID / ITEM_ID
    marker = strict(folder / "done.json")
    assert (marker["outcome"], marker["recorded"], marker["left_out"]) == ("Recorded", True, [])
    stored = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert stored == {*marker["files"], "done.json"}
    samples = "probe/timing/output/result.json"
    assert {"record.json", "journal.json", "test.py", "build/base.log", "api/base.json", samples} <= stored
    for name, said in marker["files"].items():
        content = (folder / name).read_bytes()
        assert said == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_collect_again_finds_the_marker_and_changes_nothing(passed: Passed):
    before = {path: path.stat().st_mtime_ns for path in passed.store.rglob("*")}
    again = passed.pods.collect(status_after(StageName.PREPARE, StageName.TIMING))
    first = passed.collected.result(StageName.COLLECT)
    result = again.result(StageName.COLLECT)
    assert (result.succeeded, result.artifacts, result.message) == (True, first.artifacts, "it was stored before")
    assert {path: path.stat().st_mtime_ns for path in passed.store.rglob("*")} == before


def collected(passed: Passed, store, status):
    """collect's result for the passed item, with this status and into this store."""
    spec = passed.pods.spec
    spec = spec.model_copy(update={"output": spec.output.model_copy(update={"store": store.as_uri()})})
    request = passed.pods.pod(StageName.COLLECT, status=status)
    request = request.model_copy(update={"item": request.item.model_copy(update={"spec": spec})})
    ended = passed.pods.run("collect", request)
    assert ended.code == 0, ended.log
    return ended.result(StageName.COLLECT)


def exported(passed: Passed, store):
    """How many records an export finds, and the outcomes that it counts."""
    request = ExportRequest(store=store.as_uri(), dataset="demo", batch="demo")
    places = passed.pods.pod(StageName.COLLECT).places
    ended = passed.pods.run("export", request.model_copy(update={"places": places}))
    assert ended.code == 0, ended.log
    return ended.pod_result.facts, strict(store / "demo" / "summary.json")["reasons"]


def one_after_the_other(*rounds: CommitBenchmarkStatus) -> CommitBenchmarkStatus:
    """The state of an item that was asked for again: every round but the last has been collected."""
    stages = rounds[0].stages
    for again in rounds[1:]:
        for new in (*status_after(StageName.COLLECT).stages, *again.stages):
            attempt = 1 + sum(earlier.name is new.name for earlier in stages)
            stages = [*stages, new.model_copy(update={"attempt": attempt})]
    return CommitBenchmarkStatus(stages=stages)


def contents(store):
    return {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}


TIMED = status_after(StageName.PREPARE, StageName.TIMING)
TOO_SLOW = status_after(StageName.PREPARE, StageName.TIMING, failed={StageName.TIMING: Reason.TOO_SLOW})
UNBUILT = status_after(StageName.PREPARE, failed={StageName.PREPARE: Reason.BUILD_FAILED})


def test_a_failed_rounds_marker_does_not_keep_a_later_rounds_record_out(passed: Passed, tmp_path):
    folder = tmp_path / "runs" / RUN_ID / ITEM_ID
    assert collected(passed, tmp_path, TOO_SLOW).artifacts.record_uri is None
    assert exported(passed, tmp_path) == ({"records": 0, "items": 1, "missing": 0}, {"TooSlow": 1})
    both = one_after_the_other(TOO_SLOW, status_after(StageName.TIMING))
    result = collected(passed, tmp_path, both)
    assert result.artifacts.record_uri == (folder / "record.json").as_uri()
    marker = strict(folder / "done.json")
    assert (marker["outcome"], marker["recorded"], marker["attempts"]) == ("Recorded", True, 3)
    assert marker["files"]["record.json"]["bytes"] == (folder / "record.json").stat().st_size
    assert strict(folder / "journal.json")["outcome"] == "Recorded"
    assert exported(passed, tmp_path) == ({"records": 1, "items": 1, "missing": 0}, {"Recorded": 1})
    before = contents(tmp_path)
    assert collected(passed, tmp_path, both).message == "it was stored before"
    assert contents(tmp_path) == before


def test_a_later_failure_is_stored_over_an_earlier_one(passed: Passed, tmp_path):
    collected(passed, tmp_path, TOO_SLOW)
    assert collected(passed, tmp_path, one_after_the_other(TOO_SLOW, UNBUILT)).artifacts.record_uri is None
    assert strict(tmp_path / "runs" / RUN_ID / ITEM_ID / "journal.json")["outcome"] == "BuildFailed"
    assert exported(passed, tmp_path) == ({"records": 0, "items": 1, "missing": 0}, {"BuildFailed": 1})


@pytest.mark.parametrize("failure", [TOO_SLOW, UNBUILT], ids=["timing", "prepare"])
def test_a_record_is_not_replaced_by_a_later_rounds_failure_but_by_its_record(passed: Passed, tmp_path, failure):
    first = collected(passed, tmp_path, TIMED)
    before = contents(tmp_path)
    result = collected(passed, tmp_path, one_after_the_other(TIMED, failure))
    assert (result.artifacts, result.message) == (first.artifacts, "it was stored before")
    assert contents(tmp_path) == before
    assert exported(passed, tmp_path) == ({"records": 1, "items": 1, "missing": 0}, {"Recorded": 1})
    rounds = one_after_the_other(TIMED, failure, TIMED)
    assert collected(passed, tmp_path, rounds).message != "it was stored before"
    (entry,) = (tmp_path / "demo" / "items").iterdir()
    assert len(strict(entry)["status"]["stages"]) == len(rounds.stages)
    assert exported(passed, tmp_path) == ({"records": 1, "items": 1, "missing": 0}, {"Recorded": 1})


def test_export_writes_the_dataset_and_the_summary_and_can_be_repeated(passed: Passed):
    def export():
        request = ExportRequest(store=passed.store.as_uri(), dataset="demo", batch="demo")
        places = passed.pods.pod(StageName.COLLECT).places
        ended = passed.pods.run("export", request.model_copy(update={"places": places}))
        assert ended.code == 0, ended.log
        return ended.pod_result.facts, {
            name: (passed.store / "demo" / name).read_text() for name in ("dataset.jsonl", "summary.json")
        }

    facts, written = export()
    assert facts == {"records": 1, "items": 1, "missing": 0}
    assert strict(passed.store / "demo" / "dataset.jsonl") == strict(
        passed.store / "runs" / RUN_ID / ITEM_ID / "record.json"
    )
    summary = strict(passed.store / "demo" / "summary.json")
    assert (summary["done"], summary["failed"], summary["reasons"]) == (1, 0, {"Recorded": 1})
    assert export() == (facts, written)


def test_an_item_that_failed_is_stored_too_with_its_journal_and_without_a_record(swift, tmp_path):
    with pods_of(asked(swift, tmp_path / "store", commits={"head": swift.unbuildable})) as pods:
        prepared = pods.prepare()
        result = prepared.result(StageName.PREPARE)
        assert (prepared.code, result.reason) == (1, Reason.BUILD_FAILED)
        assert "no compiler here" in result.message
        status = status_after(StageName.PREPARE, failed={StageName.PREPARE: Reason.BUILD_FAILED})
        collected = pods.collect(status).result(StageName.COLLECT)
    assert (collected.succeeded, collected.artifacts.record_uri) == (True, None)
    folder = tmp_path / "store" / "runs" / RUN_ID / ITEM_ID
    assert strict(folder / "journal.json")["outcome"] == "BuildFailed"
    assert strict(folder / "done.json")["recorded"] is False

"""An item through all of its pods: what each says at its end, and what is in the store then."""

import hashlib

import pytest

from building.bench import Bench
from building.pods import ITEM_ID, QUICK, RUN_ID, Passed, asked, pods_of, status_after, strict
from building.swift_history import TEST, SwiftHistory
from isobench.contracts.pod import ExportRequest
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName

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

"""A person and a machine see where a run stands, while it goes on and when it is over."""

import os
import signal

import pytest

from building.bench import events_of, strict_json, told, wait_for
from building.swift_history import ENDLESS_TEST

pytestmark = pytest.mark.slow

EVENTS = {"RunStarted", "StageStarted", "StageProgress", "ItemEnded", "RunEnded"}


@pytest.fixture
def running(bench, swift):
    """A run that is held in its first item's timing, with a second item waiting."""
    commits = [{"head": swift.merged}, {"head": swift.slower}]
    manifest = bench.manifest("running", swift.path, commits, test={"inline": ENDLESS_TEST})
    with bench.start("run", manifest, "--json") as process:
        wait_for(process, "StageStarted", stage="timing")
        yield bench
        os.kill(process.pid, signal.SIGKILL)


def test_status_and_show_tell_of_a_run_that_goes_on(running, swift):
    status = running.run("status", "--json")
    told_now = strict_json(status.stdout)
    assert status.returncode == 0
    assert (told_now["batch"], told_now["summary"]["unfinished"]) == ("running", 2)
    first, second = told_now["items"].values()
    assert [stage["name"] for stage in first["stages"]] == ["prepare", "timing"]
    assert second.get("stages", []) == []

    table = running.run("status", "running").stdout
    assert "0 done, 0 not, 2 unfinished" in table
    assert "timing" in table
    assert "waiting" in table

    shown = running.run("show", swift.merged[:8])
    assert shown.returncode == 0
    assert f"{swift.root[:12]} -> {swift.merged[:12]}  Halve the passes" in shown.stdout
    assert strict_json(running.run("show", swift.merged[:8], "--json").stdout) == first


def test_status_tells_of_a_finished_run_what_its_journals_say(finished):
    status = strict_json(finished.bench.run("status", "blocks", "--json").stdout)

    journals = [strict_json((item / "journal.json").read_text()) for item in finished.bench.items("blocks").values()]
    reasons = [journal["outcome"] for journal in journals]
    assert status["summary"]["reasons"] == {reason: reasons.count(reason) for reason in reasons}
    assert status["summary"]["unfinished"] == 0
    table = finished.bench.run("status", "blocks").stdout
    assert f"{reasons.count('Recorded')} done, {len(reasons) - reasons.count('Recorded')} not" in table


def test_show_tells_what_was_measured_and_what_to_do_about_a_failure(finished):
    recorded = finished.bench.run("show", finished.commits["neutral"]).stdout
    skipped = finished.bench.run("show", finished.commits["unbuildable"][:8]).stdout

    for comparison in ("base:head", "base:main", "base:control"):
        assert comparison in recorded
    assert "BuildFailed" in skipped
    assert "next: read the last lines" in skipped


@pytest.mark.parametrize(("item", "said"), [("0000000", "no item of that name"), ("swift", "give more of the name")])
def test_show_asks_for_one_item_in_one_sentence(finished, item, said):
    asked = finished.bench.run("show", item)

    assert asked.returncode == 2
    assert said in asked.stderr
    assert len(asked.stderr.splitlines()) == 1


@pytest.mark.parametrize("batch", ["blocks", "single"])
def test_json_events_are_lines_of_strict_json_in_the_order_in_which_things_happen(finished, batch):
    events = events_of(finished.events[batch])

    assert {event["event"] for event in events} == EVENTS
    assert (events[0]["event"], events[-1]["event"]) == ("RunStarted", "RunEnded")
    for ended in told(events, "ItemEnded"):
        of_item = [event for event in events if event.get("item") == ended["item"]]
        stages = [event["stage"] for event in told(of_item, "StageStarted")]
        assert of_item[-1] == ended
        assert stages in (["prepare", "timing", "collect"], ["prepare", "collect"])
    assert events[-1]["summary"]["done"] + events[-1]["summary"]["failed"] == events[0]["items"]


def test_progress_counts_the_pairs_and_tells_the_interval_once_there_is_one(finished):
    events = told(events_of(finished.events["blocks"]), "StageProgress")
    first = [event for event in events if event["stage"] == "timing" and event["item"] == events[0]["item"]]

    assert [event["pairs"] for event in first] == list(range(1, len(first) + 1))
    assert first[0]["speedup"] is None
    assert first[-1]["ci_low"] <= first[-1]["speedup"] <= first[-1]["ci_high"]

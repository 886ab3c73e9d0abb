"""The end of a run in numbers."""

import json
from datetime import timedelta

from building.items import NOON
from isobench.contracts.reasons import Reason
from isobench.contracts.status import (
    CommitBenchmarkStatus,
    Condition,
    Cost,
    ResultSummary,
    StageName,
    StageState,
    StageStatus,
)
from isobench.engine.summary import Tally


def item(reason=None, result=None, usd=0.0, stages=()):
    answer = "Unknown" if reason is None else "True" if reason.consequence.family == "done" else "False"
    condition = Condition(type="Succeeded", status=answer, reason=reason or "timing")
    return CommitBenchmarkStatus(
        conditions=[condition], result=result, cost=Cost(measured_usd=usd), stages=list(stages)
    )


def stage(name, seconds, overhead=None):
    finished_at = NOON + timedelta(seconds=seconds)
    return StageStatus(
        name=name, state=StageState.SUCCEEDED, started_at=NOON, finished_at=finished_at, overhead_seconds=overhead
    )


def tally(*items):
    total = Tally()
    for status in items:
        total.add(status)
    return total


def test_items_are_counted_by_reason_as_done_failed_or_unfinished():
    total = tally(
        item(Reason.RECORDED),
        item(Reason.RECORDED),
        item(Reason.ALREADY_RECORDED),
        item(Reason.BUILD_FAILED),
        item(None),
        CommitBenchmarkStatus(),
    )
    assert (total.done, total.failed, total.unfinished) == (3, 1, 2)
    assert total.reasons.most_common(1) == [(Reason.RECORDED, 2)]


def test_verdicts_are_counted_noisy_ones_apart():
    faster, noisy = ResultSummary(verdict="faster"), ResultSummary(verdict="faster", noisy=True)
    total = tally(*(item(Reason.RECORDED, result) for result in (faster, faster, noisy, ResultSummary(), None)))
    assert total.verdicts == {"faster": 2, "faster (noisy)": 1, "no measurement": 1}


def test_the_time_of_all_attempts_adds_up_per_stage_without_what_was_not_the_stages_own_work():
    total = tally(
        item(Reason.RECORDED, stages=[stage(StageName.PREPARE, 2.5), stage(StageName.TIMING, 10)]),
        item(Reason.RECORDED, stages=[stage(StageName.PREPARE, 86400 + 0.25, overhead=86400)]),
    )
    assert total.seconds == {StageName.PREPARE: 2.75, StageName.TIMING: 10}


def test_a_clock_that_was_set_back_takes_no_time_away():
    total = tally(item(Reason.RECORDED, stages=[stage(StageName.TIMING, -3600), stage(StageName.TIMING, 5)]))
    assert total.seconds[StageName.TIMING] == 5


def test_what_runs_has_taken_no_time_yet():
    running = StageStatus(name=StageName.TIMING, state=StageState.RUNNING, started_at=NOON)
    assert tally(item(None, stages=[running])).seconds == {}


def test_dollars_add_up_over_failed_and_unfinished_items_too():
    assert (
        tally(item(Reason.RECORDED, usd=0.5), item(Reason.AGENT_ERROR, usd=1.0), item(None, usd=0.25)).measured_usd
        == 1.75
    )


def test_machines_read_the_same_as_strict_json():
    total = tally(
        item(Reason.RECORDED, ResultSummary(verdict="same"), 0.5, [stage(StageName.PREPARE, 1.5)]),
        item(Reason.NO_TEST),
        item(None),
    )
    assert json.loads(json.dumps(total.as_json(), allow_nan=False)) == {
        "done": 1,
        "failed": 1,
        "unfinished": 1,
        "reasons": {"Recorded": 1, "NoTest": 1},
        "verdicts": {"same": 1},
        "agents": {},
        "seconds": {"prepare": 1.5},
        "measured_usd": 0.5,
    }

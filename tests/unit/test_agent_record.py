"""What an attempt adds to a record, and how several attempts at one pair share one row."""

import pytest

from building.items import record
from isobench.contracts.attempt import AgentOutcome, Attempt
from isobench.contracts.reasons import Reason
from isobench.contracts.record import ComparisonResult, Measurement
from isobench.contracts.status import CommitBenchmarkStatus, Cost, StageName, StageState, StageStatus
from isobench.engine.agent_record import OPEN, joined, with_attempt

COMPARED = ComparisonResult(
    arms=("base", "agent"),
    speedup=2.5,
    ci_low=2.4,
    ci_high=2.6,
    pairs=10,
    confidence=0.99,
    verdict="faster",
    noisy=False,
)
MEASURED = Measurement(verdict="faster", comparisons=[COMPARED])


def attempt(outcome=AgentOutcome.SUCCEEDED, **changes):
    fields = {"kind": "openhands", "model": "m", "branch": "agent/x/1", "targets": ["a.py"], "iterations": 7}
    return Attempt(outcome=outcome, message="because", estimate_usd=0.5, **fields | changes)


def status(name=None, reason=None, state=StageState.FAILED):
    stages = [StageStatus(name=name, state=state, reason=reason, message="why")] if name else []
    return CommitBenchmarkStatus(stages=stages, cost=Cost(measured_usd=0.25))


def told(found=None, run="1", **where):
    return with_attempt(record(measurement=MEASURED), status(**where), found, f"state/runs/r/{run}", "m")


def test_a_success_has_its_numbers_and_no_error():
    row = told(attempt()).row()
    assert (row["agent_success"], row["agent_iterations"], row["agent_cost_estimate"]) == (True, 7, 0.5)
    assert "agent_error" not in row
    assert row["agent_journal_path"] == "state/runs/r/1/journal.json"
    (sample,) = row["measurement"]["samples"]
    assert (sample["run_id"], sample["speedup"], sample["verdict"], sample["measured_usd"]) == (
        "r/1",
        2.5,
        "faster",
        0.25,
    )


def test_any_other_outcome_is_no_success_and_says_why():
    row = told(attempt(AgentOutcome.NO_CHANGE)).row()
    assert (row["agent_success"], row["agent_error"]) == (False, "no_change: because")


@pytest.mark.parametrize(
    ("where", "success", "error"),
    [
        ({"name": StageName.VALIDATE, "reason": Reason.HUMAN_NOT_FASTER}, None, "HumanNotFaster: why"),
        ({"name": StageName.AGENT, "reason": Reason.MODEL_UNPRICED}, None, "ModelUnpriced: why"),
        ({"name": StageName.AGENT, "reason": Reason.ALREADY_STARTED}, False, "AlreadyStarted: why"),
        ({"name": StageName.AGENT, "reason": Reason.PAID_ATTEMPT_LOST, "state": StageState.LOST}, False, None),
        ({}, None, "no agent was started"),
    ],
)
def test_without_an_attempt_the_stages_say_why(where, success, error):
    row = told(**where).row()
    assert row.get("agent_success") is success
    assert error in (None, row["agent_error"])


def test_an_online_record_takes_an_offline_ones_place_and_never_the_reverse():
    offline, online = record(), told(attempt())
    assert joined(offline.row(), online) == online.row()
    assert joined(online.row(), offline) is None


def test_the_first_attempt_fills_the_fields_and_all_are_listed():
    first, second = told(attempt(), run="1"), told(attempt(AgentOutcome.STUCK), run="2")
    row = joined(first.row(), second)
    assert row["agent_success"] is True
    assert [sample["run_id"] for sample in row["measurement"]["samples"]] == ["r/1", "r/2"]
    assert joined(row, second) is None, "stored again after a kill, it is listed once"


def test_an_attempt_takes_the_place_of_one_that_was_never_started():
    skipped = told(run="1", name=StageName.AGENT, reason=Reason.MODEL_UNPRICED)
    row = joined(skipped.row(), told(attempt(), run="2"))
    assert (row["agent_success"], row.get("agent_error")) == (True, None)
    assert [sample["run_id"] for sample in row["measurement"]["samples"]] == ["r/2", "r/1"]


def test_an_open_network_is_told_in_the_record():
    assert told(attempt(network="open")).measurement.notes == [OPEN]
    assert told(attempt()).measurement.notes == []

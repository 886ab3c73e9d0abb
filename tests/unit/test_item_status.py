"""When a status is worth a write, and which Jobs nobody waits for."""

import pytest

from building.items import NOON
from building.objects import condition, item, job
from isobench.contracts.status import CommitBenchmarkStatus, StageName, StageState, StageStatus, Waiting
from isobench.controller.item import Item
from isobench.controller.item_jobs import is_finished, unwanted
from isobench.controller.item_status import completed, just_ended, worth_writing

PREPARE, AGENT = StageName.PREPARE, StageName.AGENT
COMPLETE = condition("Complete")


def status(name=PREPARE, state=StageState.CREATING, attempt=1, *, waiting=None, **changes):
    stage = StageStatus(name=name, attempt=attempt, state=state, started_at=NOON, **changes)
    return CommitBenchmarkStatus(stages=[stage], waiting=waiting)


def test_that_a_free_stage_runs_is_not_worth_a_write_and_that_paid_work_does_is():
    assert not worth_writing(status(), status(state=StageState.RUNNING, job_uid="u"))
    assert worth_writing(status(AGENT), status(AGENT, StageState.RUNNING, job_uid="u"))


def test_an_end_is_worth_a_write():
    assert worth_writing(status(), status(state=StageState.SUCCEEDED))


@pytest.mark.parametrize(
    ("before", "after", "worth"),
    [
        (None, Waiting(why="Budget"), True),
        (Waiting(why="Budget"), None, True),
        (Waiting(why="Unschedulable", message="0/3 nodes"), Waiting(why="Unschedulable", message="0/4 nodes"), False),
        (Waiting(why="Budget", message="written first"), Waiting(why="Budget", message="$2 left"), True),
        (Waiting(why="Budget", message="$2.5 of $5 left"), Waiting(why="Budget", message="$0 of $5 left"), False),
        (Waiting(why="Cap", position=9), Waiting(why="Cap", position=8), False),
        (Waiting(why="Cap", position=9), Waiting(why="Cap", position=4), True),
    ],
)
def test_a_place_in_line_is_told_when_it_has_halved_and_a_reason_when_more_than_numbers_change(before, after, worth):
    assert worth_writing(status(waiting=before), status(waiting=after)) is worth


def test_a_status_names_its_jobs_and_the_generation_that_it_answers():
    whole = completed(Item.read(item()), status())
    assert whole.stages[0].job_name == "fix-123-prepare-1-0a1b2c3d"
    assert whole.observed_generation == 1
    assert completed(Item.read(item()), whole) == whole


def test_an_end_is_told_once():
    ended = status(state=StageState.LOST)
    assert just_ended(status(), ended) == ended.stages
    assert just_ended(ended, ended) == []


@pytest.mark.parametrize(
    ("state", "found", "goes"),
    [
        (StageState.CREATING, job(), False),
        (StageState.SUCCEEDED, job(conditions=[COMPLETE]), False),
        (StageState.LOST, job(), True),
        (StageState.CREATING, job(attempt=2), True),
        (StageState.CREATING, job(attempt=2, conditions=[COMPLETE]), True),
        (StageState.CREATING, job("of no stage"), False),
    ],
    ids=["runs", "done", "given up", "unclaimed", "unclaimed and done", "not a stage's"],
)
def test_a_job_goes_that_no_status_claims_or_that_was_given_up(state, found, goes):
    assert (list(unwanted([found], status(state=state))) == [found]) is goes


def test_a_job_has_ended_only_when_its_pods_have():
    assert not is_finished(job(conditions=[condition("FailureTarget"), condition("Failed", status="False")]))
    assert is_finished(job(conditions=[condition("Failed")]))

"""What pods tell of an attempt: its result, or whose fault it is that there is none."""

from datetime import timedelta

import pytest

from building.items import NOON, SECOND, result
from building.objects import condition, ended, job, pod, waits
from isobench.contracts.reasons import Reason
from isobench.contracts.stage import StageResult
from isobench.contracts.status import StageName, Waiting
from isobench.controller.item_pods import ending, hindrance, is_hindered, is_over
from isobench.engine.facts import Failure
from isobench.engine.termination import message_of

PREPARE, TIMING = StageName.PREPARE, StageName.TIMING
WELL = message_of(result(PREPARE))
DEADLINE = condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


def end_of(found=None, *, conditions=(), stage=PREPARE):
    return ending(job(conditions=conditions), [found] if found else [], stage, 1)


def test_the_works_word_is_the_result():
    assert end_of(pod(ended(message=WELL))).result == result(PREPARE)


def test_what_failed_before_the_work_speaks_for_it():
    refused = message_of(result(PREPARE, reason=Reason.COMMIT_NOT_FOUND, message="no such commit"))
    seen = end_of(pod(waits(reason="PodInitializing"), init=[ended("fetch", refused, exit_code=1)]))
    assert seen.result.reason is Reason.COMMIT_NOT_FOUND


def test_what_went_well_before_the_work_says_nothing():
    seen = end_of(pod(ended(message=WELL), init=[ended("fetch", "anything")]))
    assert seen.result.succeeded


@pytest.mark.parametrize("name", ["environment", "agent"])
def test_foreign_code_is_not_listened_to(name):
    seen = end_of(pod(ended(exit_code=1), init=[ended(name, WELL, exit_code=1)]))
    assert seen.result is None
    assert seen.failure.reason is Reason.INFRASTRUCTURE_ERROR


@pytest.mark.parametrize(
    "message",
    ["", "{", "null", "[" * 100_000, "x" * 10_000_000, WELL[:-5], WELL.replace("prepare", "collect"), '{"stage": NaN}'],
    ids=["none", "cut", "null", "deep", "ten megabytes", "truncated", "another stage's", "not JSON"],
)
def test_a_message_that_is_missing_cut_or_forged_is_a_failure_with_a_sentence(message):
    seen = end_of(pod(ended(message=message, exit_code=1)))
    assert seen.result is None
    assert seen.failure.reason is Reason.INFRASTRUCTURE_ERROR
    assert 10 < len(seen.failure.message) < 500


def test_a_message_of_success_from_a_container_that_failed_is_not_believed():
    assert end_of(pod(ended(message=WELL, exit_code=137))).failure.reason is Reason.INFRASTRUCTURE_ERROR


@pytest.mark.parametrize(
    ("found", "conditions", "reason", "said"),
    [
        (pod(ended(exit_code=137, reason="OOMKilled")), (), Reason.OUT_OF_MEMORY, "stage was killed for its memory"),
        (
            pod(ended(exit_code=1), init=[{**waits("environment"), "lastState": ended(reason="OOMKilled")["state"]}]),
            (),
            Reason.OUT_OF_MEMORY,
            "environment was killed for its memory",
        ),
        (pod(reason="Evicted", message="low on disk"), (), Reason.STAGE_LOST, "low on disk"),
        (pod(reason="NodeShutdown"), (), Reason.STAGE_LOST, "NodeShutdown"),
        (pod(reason="DeadlineExceeded"), (), Reason.STAGE_TIMED_OUT, "DeadlineExceeded"),
        (
            pod(conditions=[condition("DisruptionTarget", "PreemptionByScheduler")]),
            (),
            Reason.STAGE_LOST,
            "PreemptionByScheduler",
        ),
        (None, (), Reason.STAGE_LOST, "its pod is gone"),
        (None, (DEADLINE,), Reason.STAGE_TIMED_OUT, "longer than specified"),
        (None, (condition("Failed", "PodFailurePolicy", "matching rule 0"),), Reason.STAGE_LOST, "matching rule 0"),
        (pod(ended(exit_code=3)), (), Reason.INFRASTRUCTURE_ERROR, "exit code 3, and it left no message"),
    ],
)
def test_who_is_to_blame_where_there_is_no_result(found, conditions, reason, said):
    failure = end_of(found, conditions=conditions).failure
    assert failure.reason is reason
    assert said in failure.message


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod(ended(exit_code=143)), Reason.STAGE_LOST),
        (pod(ended(exit_code=137, reason="OOMKilled")), Reason.OUT_OF_MEMORY),
        (pod(reason="DeadlineExceeded"), Reason.STAGE_TIMED_OUT),
    ],
    ids=["while it worked", "after its memory had run out", "after its time had run out"],
)
def test_a_pod_that_somebody_deleted_is_lost_unless_it_had_ended_for_another_reason(found, reason):
    found["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    assert end_of(found).failure.reason is reason


def test_memory_is_blamed_too_where_the_stage_saw_only_that_its_environment_went_away():
    saw = message_of(result(TIMING, reason=Reason.INFRASTRUCTURE_ERROR, message="the environment went away"))
    killed = {**waits("environment"), "lastState": ended(reason="OOMKilled")["state"]}
    seen = end_of(pod(ended(message=saw, exit_code=1), init=[killed]), stage=TIMING)
    assert seen.result.reason is Reason.OUT_OF_MEMORY
    assert not seen.result.reason.consequence.retried


def test_the_newest_pod_of_this_job_counts_and_no_other_jobs():
    stranger = pod(ended(message=WELL), uid="another")
    assert ending(job(), [stranger], PREPARE, 1).failure.reason is Reason.STAGE_LOST


def test_the_image_that_arms_are_built_in_is_the_one_that_the_node_ran():
    environment = {**ended("environment"), "imageID": "registry/env@sha256:0"}
    assert end_of(pod(ended(message=WELL), init=[environment])).image == "registry/env@sha256:0"


def unready(*containers, age=1, **status):
    made = pod(*containers, **status)
    found = hindrance(made, NOON + age * SECOND, pull_seconds=60, pending_seconds=600)
    assert is_hindered(made) is (found is not None), "else nobody would look"
    return found


UNSCHEDULABLE = [condition("PodScheduled", "Unschedulable", "0/3 nodes are available", status="False")]


def test_what_waits_for_a_node_says_so_and_not_for_ever():
    assert unready(conditions=UNSCHEDULABLE) == Waiting(why="Unschedulable", message="0/3 nodes are available")
    late = unready(conditions=UNSCHEDULABLE, age=601)
    assert isinstance(late, Failure)
    assert late.reason is Reason.STAGE_TIMED_OUT
    assert "0/3 nodes" in late.message


@pytest.mark.parametrize("why", ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"])
def test_an_image_that_can_not_be_pulled_is_named_and_given_up(why):
    assert unready(waits(reason=why)).why == why
    late = unready(waits(reason=why), age=61)
    assert (late.reason, "stage:1" in late.message) == (Reason.IMAGE_UNAVAILABLE, True)
    assert unready(waits(reason="InvalidImageName")).reason is Reason.IMAGE_UNAVAILABLE


def test_the_time_to_pull_begins_when_a_node_has_the_pod():
    scheduled = [condition("PodScheduled") | {"lastTransitionTime": "2026-01-01T12:09:00Z"}]
    assert unready(waits(reason="ErrImagePull"), conditions=scheduled, age=600).why == "ErrImagePull"
    late = unready(waits(reason="ErrImagePull"), conditions=scheduled, age=601)
    assert late.reason is Reason.IMAGE_UNAVAILABLE


def test_the_time_to_pull_begins_when_what_comes_before_has_ended():
    fetched = ended("fetch")
    fetched["state"]["terminated"]["finishedAt"] = "2026-01-01T12:30:00Z"
    before = [fetched, waits("environment", "ErrImagePull")]
    waiting = waits(reason="PodInitializing")
    assert unready(waiting, init=before, age=1860).why == "ErrImagePull"
    assert unready(waiting, init=before, age=1861).reason is Reason.IMAGE_UNAVAILABLE


def test_a_secret_that_is_not_there_is_the_specs_fault():
    waiting = waits(reason="CreateContainerConfigError", message='secret "store" not found')
    assert 'secret "store" not found' in unready(waiting).message
    assert unready(waiting, age=61).reason is Reason.INVALID_SPEC


def test_a_pod_that_pulls_starts_or_works_is_hindered_by_nothing():
    assert unready() is None
    assert unready(waits(reason="ContainerCreating")) is None
    assert unready(waits(reason="PodInitializing")) is None
    assert unready({"name": "stage", "image": "stage:1", "state": {"running": {}}}) is None


def test_a_pod_on_a_node_that_does_not_answer_is_waited_for_and_then_given_up():
    gone = pod()
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    assert is_hindered(gone), "from now on somebody looks"
    assert not is_over(gone, NOON + timedelta(seconds=30))
    assert is_over(gone, NOON + timedelta(seconds=61))
    lost = hindrance(gone, NOON + timedelta(seconds=61), 60, 600)
    assert (lost.reason, "node-1" in lost.message) == (Reason.STAGE_LOST, True)


def test_a_result_that_is_read_is_a_stage_result():
    assert isinstance(end_of(pod(ended(message=WELL))).result, StageResult)

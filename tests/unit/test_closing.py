"""The end of a batch: export, then publication, a few attempts each, and never two at once."""

from datetime import timedelta

from building.items import NOON
from isobench.contracts.status import ClosingName, StageState
from isobench.engine.closing import ATTEMPTS, BACK_OFF, JobEnd, SeenJob, close

EXPORT, PUBLISH = ClosingName
BOTH = [(EXPORT, "e1"), (PUBLISH, "p1")]


def saw(end, message=""):
    return lambda _attempt: SeenJob(end, message)


def play(wanted, ends, attempts=(), now=NOON):
    """One attempt after another as ``ends`` say; the last step and when it was."""
    script = iter(ends)
    step = close(attempts, wanted, saw(JobEnd.GONE), now)
    for end in script:
        now += BACK_OFF
        if step.start is None:
            step = close(step.attempts, wanted, saw(JobEnd.GONE), now)
        step = close(step.attempts, wanted, saw(end, f"it {end}"), now)
    return step, now


def test_export_comes_first_and_publication_only_after_it_succeeded():
    first = close([], BOTH, saw(JobEnd.GONE), NOON)
    assert (first.start.name, first.start.attempt, first.start.state) == (EXPORT, 1, StageState.CREATING)
    running = close(first.attempts, BOTH, saw(JobEnd.RUNNING), NOON)
    assert running.start is None
    second = close(running.attempts, BOTH, saw(JobEnd.SUCCEEDED), NOON)
    assert second.start.name is PUBLISH
    assert close(second.attempts, BOTH, saw(JobEnd.SUCCEEDED), NOON).done


def test_a_claim_whose_job_was_not_created_is_started_again_under_the_same_number():
    claimed = close([], BOTH, saw(JobEnd.GONE), NOON)
    again = close(claimed.attempts, BOTH, saw(JobEnd.GONE), NOON)
    assert again.start == claimed.start


def test_a_failure_is_tried_again_after_a_while_and_then_given_up():
    step, now = play(BOTH, [JobEnd.FAILED])
    assert (step.start, step.again_at) == (None, now + BACK_OFF)
    step, _ = play(BOTH, [JobEnd.FAILED] * ATTEMPTS)
    assert (step.start, step.done) == (None, False)
    assert (step.failed.attempt, step.failed.message) == (ATTEMPTS, "it failed")


def test_a_job_deleted_while_it_ran_is_an_attempt_that_was_lost():
    running = close(close([], BOTH, saw(JobEnd.GONE), NOON).attempts, BOTH, saw(JobEnd.RUNNING), NOON)
    lost = close(running.attempts, BOTH, saw(JobEnd.GONE), NOON)
    assert lost.attempts[0].state is StageState.LOST
    assert close(lost.attempts, BOTH, saw(JobEnd.GONE), NOON + BACK_OFF).start.attempt == 2


def test_another_content_is_another_attempt_even_after_success_or_defeat():
    step, now = play(BOTH, [JobEnd.SUCCEEDED] + [JobEnd.FAILED] * ATTEMPTS)
    assert step.failed.name is PUBLISH
    mended = close(step.attempts, [(EXPORT, "e1"), (PUBLISH, "p2")], saw(JobEnd.GONE), now + timedelta(hours=1))
    assert (mended.start.name, mended.start.attempt) == (PUBLISH, ATTEMPTS + 1)


def test_an_attempt_at_another_content_is_waited_for_and_forgotten_without_a_job():
    claimed = close([], BOTH, saw(JobEnd.GONE), NOON).attempts
    other = [(EXPORT, "e2")]
    running = close(claimed, other, saw(JobEnd.RUNNING), NOON)
    assert (running.start, running.done) == (None, False)
    gone = close(claimed, other, saw(JobEnd.GONE), NOON)
    assert gone.attempts[0].state is StageState.LOST
    assert (gone.start.of, gone.start.attempt) == ("e2", 2)


def test_asked_again_with_the_same_facts_it_says_the_same():
    step = close([], BOTH, saw(JobEnd.RUNNING), NOON)
    once = close(step.attempts, BOTH, saw(JobEnd.RUNNING), NOON)
    assert close(once.attempts, BOTH, saw(JobEnd.RUNNING), NOON) == once


def test_nothing_is_asked_for_nothing_is_done():
    assert close([], [], saw(JobEnd.GONE), NOON).done

"""The work queue, its back-off and the deadlines: who is reconciled when, and never twice at a time."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.controller.deadlines import Deadlines
from isobench.controller.kinds import Key
from isobench.controller.queue import FIRST_DELAY, LONGEST_DELAY, BackOff, WorkQueue

A, B, C, D = (Key("commitbenchmarks", "team", name) for name in "abcd")
KEYS = st.sampled_from([A, B, C, D])


@dataclass
class FakeTime:
    """Seconds that pass when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_key_added_twice_is_given_out_once():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        queue.add(A)
        queue.add(B)
        return [await queue.get(), await queue.get()], queue.depth()

    assert asyncio.run(story()) == ([A, B], 0)


def test_a_key_that_changes_while_a_worker_has_it_comes_again_after_it():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        await queue.get()
        queue.add(A)
        waiting_meanwhile = queue.depth()
        queue.done(A)
        return waiting_meanwhile, await queue.get()

    assert asyncio.run(story()) == (0, A)


@given(st.lists(st.tuples(st.sampled_from(["add", "urgent", "get", "done"]), KEYS), max_size=60))
def test_no_key_is_lost_and_none_is_in_two_workers(steps):
    async def story():
        queue, working, owed = WorkQueue(FakeTime()), set(), set()
        for verb, key in steps:
            if verb in ("add", "urgent"):
                queue.add(key, urgent=verb == "urgent")
                owed.add(key)
            elif verb == "get" and queue.depth():
                given_out = await queue.get()
                assert given_out not in working
                working.add(given_out)
                owed.discard(given_out)
            elif verb == "done" and key in working:
                working.discard(key)
                queue.done(key)
        for key in working:
            queue.done(key)
        return owed, {await queue.get() for _ in range(int(queue.depth()))}

    owed, left = asyncio.run(story())
    assert left == owed


def test_what_is_under_way_comes_before_what_is_to_begin():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        queue.add(B)
        queue.add(C)
        queue.add(B, urgent=True)
        order = [await queue.get() for _ in range(3)]
        return order, queue.depth()

    assert asyncio.run(story()) == ([B, A, C], 0)


def test_a_key_that_becomes_urgent_while_a_worker_has_it_is_next():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        await queue.get()
        queue.add(B)
        queue.add(A, urgent=True)
        queue.done(A)
        return await queue.get()

    assert asyncio.run(story()) == A


def test_who_takes_urgent_keys_only_is_not_kept_by_what_is_to_begin():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        taken = asyncio.create_task(queue.get(only_urgent=True))
        await asyncio.sleep(0)
        before = taken.done()
        queue.add(B, urgent=True)
        return before, await taken, await queue.get(), queue.depth()

    assert asyncio.run(story()) == (False, B, A, 0)


def test_a_key_that_is_urgent_no_more_is_none_of_theirs():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A, urgent=True)
        queue.done(await queue.get())
        queue.add(A)
        taken = asyncio.create_task(queue.get(only_urgent=True))
        await asyncio.sleep(0)
        before = taken.done()
        taken.cancel()
        return before, await queue.get()

    assert asyncio.run(story()) == (False, A)


def test_an_urgent_key_goes_to_one_of_those_who_wait():
    async def story():
        queue = WorkQueue(FakeTime())
        waiting = [asyncio.create_task(queue.get(only_urgent=only)) for only in (False, True)]
        await asyncio.sleep(0)
        queue.add(A, urgent=True)
        done, still = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in still:
            one.cancel()
        return [task.result() for task in done], len(still)

    assert asyncio.run(story()) == ([A], 1)


def test_draining_gives_out_nothing_more_and_waits_for_the_workers():
    async def story():
        queue = WorkQueue(FakeTime())
        queue.add(A)
        queue.add(B)
        await queue.get()
        drained = asyncio.create_task(queue.drain())
        await asyncio.sleep(0)
        before = drained.done(), queue.depth()
        queue.add(B)
        queue.done(A)
        await drained
        return before, queue.depth()

    assert asyncio.run(story()) == ((False, 0), 0)


def test_the_oldest_key_says_how_long_work_waits():
    async def story():
        time = FakeTime()
        queue = WorkQueue(time)
        queue.add(A)
        time.now = 5.0
        queue.add(B)
        both = queue.oldest_age()
        await queue.get()
        return both, queue.oldest_age()

    assert asyncio.run(story()) == (5.0, 0.0)


def test_failures_double_the_wait_of_their_key_alone_and_success_ends_it():
    back_off = BackOff()
    waits = [back_off.after_failure(A) for _ in range(20)]
    assert waits[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert waits[-1] == LONGEST_DELAY
    assert back_off.after_failure(B) == FIRST_DELAY
    back_off.forget(A)
    assert back_off.after_failure(A) == FIRST_DELAY


@given(st.lists(st.tuples(KEYS, st.none() | st.floats(0, 100)), max_size=80), st.floats(0, 100))
def test_exactly_the_keys_whose_earliest_moment_has_come_are_due(steps, until):
    time, expected = FakeTime(), {}
    deadlines = Deadlines(time)
    for key, seconds in steps:
        if seconds is None:
            deadlines.clear(key)
            expected.pop(key, None)
        else:
            deadlines.after(key, seconds)
            expected[key] = min(seconds, expected.get(key, seconds))
    assert deadlines.next() == min(expected.values(), default=None)
    time.now = until
    due = deadlines.due()
    assert sorted(due) == sorted(key for key, moment in expected.items() if moment <= until)
    assert deadlines.due() == []


def test_moments_that_are_moved_a_thousand_times_do_not_pile_up():
    deadlines = Deadlines(FakeTime())
    for _ in range(1000):
        deadlines.clear(A)
        deadlines.after(A, 3600)
    assert len(deadlines._heap) < 100


@pytest.mark.parametrize("earlier", [0.0, 0.001])
def test_an_earlier_moment_interrupts_the_wait_for_a_later_one(earlier):
    async def story():
        rung: asyncio.Queue[Key] = asyncio.Queue()
        deadlines = Deadlines(asyncio.get_running_loop().time)
        deadlines.after(B, 3600)
        ringing = asyncio.create_task(deadlines.ring(rung.put_nowait))
        await asyncio.sleep(0)
        deadlines.after(A, earlier)
        try:
            return await rung.get()
        finally:
            ringing.cancel()

    assert asyncio.run(story()) == A

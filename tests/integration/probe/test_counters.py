"""Counting an event in a run: proved with a software event, since few machines lend their hardware counters."""

import os
import sys

from isobench.probe.counters import INSTRUCTIONS, Event, available, counting

TASK_CLOCK = Event(kind=1, config=1)  # nanoseconds on the CPU
BURN = "import time\nwhile time.process_time() < 0.2: pass\n"


def run(code: str) -> None:
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    assert os.waitpid(pid, 0)[1] == 0


def count(code: str) -> int:
    with counting(TASK_CLOCK) as read_count:
        run(code)
        counted = read_count()
    assert counted is not None
    return counted


def test_a_child_is_counted_from_its_exec_to_its_end() -> None:
    assert 0.15e9 < count(BURN) < 5e9
    assert count("pass") < count(BURN)


def test_what_the_child_starts_is_counted_with_it() -> None:
    assert count(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])") > 0.15e9


def test_the_counting_process_itself_is_not_counted() -> None:
    with counting(TASK_CLOCK) as read_count:
        sum(range(10**6))
        assert not read_count()


def test_without_an_event_nothing_pretends() -> None:
    with counting(None) as read_count:
        assert read_count() is None


def test_a_machine_says_whether_it_lends_a_counter() -> None:
    assert available(TASK_CLOCK)
    assert not available(Event(kind=0, config=2**40))
    if available(INSTRUCTIONS):
        with counting(INSTRUCTIONS) as read_count:
            run("pass")
            counted = read_count()
        assert counted is None or counted > 10**5

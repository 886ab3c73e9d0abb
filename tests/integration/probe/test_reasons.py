"""Every way in which a run is no measurement, each by a real script that does it."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from probe_bench import MIB, SOUND, WITHOUT_MOUNTS, Bench

PRINT = """
print('{"avg_ms": 0.001}')
"""


def reason_of(bench: Bench, script: str, **limits: float) -> tuple[str | None, str]:
    arm = bench.time(script, limits=limits).arm()
    return arm["reason"], arm["message"]


def test_a_sound_script_is_measured(bench: Bench) -> None:
    ending = bench.time(SOUND)
    assert (ending.exit_code, ending.arm()["reason"], len(ending.samples)) == (0, None, 1)


@pytest.mark.parametrize("printed", ["all good", "", "\\x00\\xff{[", '{"avg": 1}', "avg_ms", '{"avg_ms"'])
def test_output_without_a_number_is_no_measurement(bench: Bench, printed: str) -> None:
    reason, message = reason_of(bench, f"print('{printed}')")
    assert reason == "NoMeasurement"
    assert "avg_ms" in message


@pytest.mark.parametrize("number", ["-1", "NaN", "Infinity", "-Infinity", "true", '"fast"', "null", "1e400", "[1]"])
def test_what_is_not_a_time_is_an_invalid_measurement(bench: Bench, number: str) -> None:
    reason, message = reason_of(bench, f"print('''{{\"avg_ms\": {number}}}''')")
    assert reason == "InvalidMeasurement"
    assert "avg_ms" in message or "the printed time" in message


def test_a_printed_zero_is_kept(bench: Bench) -> None:
    ending = bench.time("print('Execution time: 0.000s')")
    assert ending.arm()["reason"] is None
    assert (ending.samples[0]["printed_ms"], ending.samples[0]["digit_ms"]) == (0, 1)


def test_more_printed_time_than_passed_is_a_contradiction(bench: Bench) -> None:
    reason, message = reason_of(bench, 'print(\'{"avg_ms": 100, "iterations": 1000}\')')
    assert reason == "TimesContradict"
    assert "1000 iterations" in message


def test_a_failing_script_is_told_with_its_last_line(bench: Bench) -> None:
    arm = bench.time("raise ValueError('wrong answer')").arm()
    assert (arm["reason"], arm["exit_code"]) == ("TestFailed", 1)
    assert "ValueError: wrong answer" in arm["message"]
    assert "Traceback" in arm["output_tail"]


@pytest.mark.parametrize(
    ("script", "said"),
    [("", "NoMeasurement"), ("def broken(:", "TestFailed"), ("\x01\x02\x03", "TestFailed")],
    ids=["empty", "syntax error", "binary"],
)
def test_a_script_that_is_none_has_its_reason(bench: Bench, script: str, said: str) -> None:
    assert reason_of(bench, script)[0] == said


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT, signal.SIGPIPE])
def test_a_script_that_ends_by_a_signal_failed_and_the_signal_is_named(bench: Bench, number: signal.Signals) -> None:
    script = f"import os, signal; signal.signal({number:d}, signal.SIG_DFL) ; os.kill(os.getpid(), {number:d})"
    arm = bench.time(script).arm()
    assert (arm["reason"], arm["exit_code"]) == ("TestFailed", -number)
    assert number.name in arm["message"]


def test_a_script_that_never_ends_times_out(bench: Bench) -> None:
    reason, message = reason_of(bench, "while True: pass", run_seconds=0.5)
    assert reason == "RunTimedOut"
    assert "0.5 s" in message


def test_a_script_that_stops_itself_times_out(bench: Bench) -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"
    assert reason_of(bench, script, run_seconds=0.5)[0] == "RunTimedOut"


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_flood_of_output_is_cut_off(bench: Bench, descriptor: int) -> None:
    arm = bench.time(f"import os\nwhile True: os.write({descriptor}, b'flood ' * 1000)").arm()
    assert arm["reason"] == "OutputTooLarge"
    assert len(arm["output_tail"]) <= 2048


def test_a_short_flood_that_fits_into_the_pipe_counts_too(bench: Bench) -> None:
    assert reason_of(bench, "print('x' * 5000)" + PRINT, output_bytes=4096)[0] == "OutputTooLarge"


def test_a_process_that_fills_memory_is_bounded(bench: Bench) -> None:
    reason, message = reason_of(bench, "held = b'x' * (2 << 30)", memory_bytes=256 * MIB)
    assert reason == "OutOfMemory"
    assert str(256 * MIB) in message


def test_many_processes_that_fill_memory_together_are_bounded(bench: Bench) -> None:
    script = """
    import os, time
    for _ in range(12):
        if os.fork() == 0:
            held = b'x' * (40 << 20)
            time.sleep(60)
            os._exit(0)
    time.sleep(60)
    """
    reason, message = reason_of(bench, script, memory_bytes=256 * MIB)
    assert reason == "OutOfMemory"
    assert "holds" in message


def test_processes_that_share_their_memory_are_weighed_once(bench: Bench) -> None:
    script = """
    import os, time
    held = b'x' * (80 << 20)
    children = [os.fork() or time.sleep(0.8) or os._exit(0) for _ in range(8)]
    for _ in children:
        os.wait()
    """
    assert reason_of(bench, script + "    print('{\"avg_ms\": 1}')\n", memory_bytes=256 * MIB) == (None, "")


def test_shared_memory_files_that_outgrow_the_scratch_space_end_the_run(bench: Bench) -> None:
    script = """
    import time
    for number in range(3):
        open('/dev/shm/part%d' % number, 'wb').write(b'x' * (15 << 20))
    time.sleep(60)
    """
    assert reason_of(bench, script)[0] == "ScratchFull"


def test_shared_memory_files_without_a_name_count_too(bench: Bench) -> None:
    script = """
    import os, time
    files = [open('/dev/shm/part%d' % number, 'wb') for number in range(3)]
    for file in files:
        os.unlink(file.name)
        file.write(b'x' * (15 << 20))
        file.flush()
    time.sleep(60)
    """
    assert reason_of(bench, script)[0] == "ScratchFull"


@pytest.mark.parametrize("place", ["/dev/shm", "."])
def test_one_file_larger_than_the_scratch_space_can_not_be_written(bench: Bench, place: str) -> None:
    assert reason_of(bench, f"open('{place}/large', 'wb').write(b'x' * (100 << 20))")[0] == "ScratchFull"


def test_a_containers_dev_shm_that_is_full_is_scratch_space_that_is_full(bench: Bench) -> None:
    script = "for part in range(9): open('/dev/shm/part%d' % part, 'wb').write(b'x' * (10 << 20))"
    request = bench.request({"base": script}, limits={"scratch_bytes": 2**30})
    assert bench.run(request, WITHOUT_MOUNTS).arm()["reason"] == "ScratchFull"


def test_a_quick_run_that_outgrows_the_scratch_space_is_seen_at_its_end(bench: Bench) -> None:
    assert reason_of(bench, "open('large', 'wb').write(b'x' * 50000)" + PRINT, scratch_bytes=40000)[0] == "ScratchFull"


@pytest.mark.parametrize("before", [(), WITHOUT_MOUNTS], ids=["memory", "disk"])
def test_many_small_files_count_together(bench: Bench, before: tuple[str, ...]) -> None:
    script = """
    import os, time
    for number in range(100):
        os.makedirs('deep/%d' % number)
        open('deep/%d/file' % number, 'wb').write(b'x' * 400000)
    time.sleep(60)
    """
    assert bench.run(bench.request({"base": script}), before).arm()["reason"] == "ScratchFull"


def test_a_fork_bomb_is_bounded_and_nothing_of_it_is_left(bench: Bench) -> None:
    script = """
    import os
    while True:
        os.fork()
    """
    reason, message = reason_of(bench, script, memory_bytes=8192 * MIB)
    assert reason == "TooManyProcesses"
    assert "64" in message


@pytest.mark.parametrize(
    "leave",
    [
        "os.fork() or time.sleep(60)",
        "os.fork() or (os.setsid(), time.sleep(60))",
        "os.fork() or (os.setsid(), os.fork() and os._exit(0), os.closerange(0, 99), time.sleep(60))",
        "subprocess.Popen(['sleep', '60'], start_new_session=True)",
    ],
    ids=["child", "session leader", "daemon", "other program"],
)
def test_what_a_run_leaves_behind_ends_the_arm(bench: Bench, leave: str) -> None:
    script = f"import os, subprocess, time\n{PRINT}import sys; sys.stdout.flush()\n{leave}\n"
    reason, message = reason_of(bench, script)
    assert reason == "ProcessLeftBehind"
    assert "left 1 processes" in message


def test_helpers_that_end_with_their_parent_are_not_left_behind(bench: Bench) -> None:
    script = """
    import multiprocessing
    from multiprocessing import shared_memory
    if __name__ == "__main__":
        multiprocessing.set_start_method("spawn")
        block = shared_memory.SharedMemory(create=True, size=1000)
        with multiprocessing.Pool(2) as pool:
            total = sum(pool.map(abs, range(10)))
        block.close()
        block.unlink()
        print('{"avg_ms": 1}')
    """
    assert reason_of(bench, script) == (None, "")


@pytest.mark.parametrize(
    "write",
    [
        "open(os.path.join(os.path.dirname(module.__file__), 'module.py'), 'a')",
        "open('/etc/isobench', 'w')",
        "os.mkdir('/usr/isobench')",
        "os.unlink(module.__file__)",
    ],
)
def test_writing_outside_the_run_directory_is_refused_and_named(bench: Bench, write: str) -> None:
    reason, message = reason_of(bench, f"import os, module\n{write}")
    assert reason == "WroteOutsideScratch"
    assert any(path in message for path in ("arms/base/module.py", "/etc/isobench", "/usr/isobench"))


def test_a_result_that_changes_between_runs_is_unstable(bench: Bench) -> None:
    script = """
    import os
    print('{"avg_ms": 0.01, "result_sha256": "%s"}' % os.urandom(32).hex())
    """
    request = bench.request({"base": script, "head": SOUND}, protocol="blocks", primary=[["base", "head"]])
    ending = bench.run(request)
    assert ending.arm()["reason"] == "ResultUnstable"
    assert ending.result is not None
    assert ending.result["stop"] == "ArmFailed"


def test_a_stable_result_is_kept(bench: Bench) -> None:
    digest = "ab" * 32
    ending = bench.time(f'print(\'{{"avg_ms": 0.01, "result_sha256": "{digest.upper()}"}}\')')
    assert ending.arm()["result_sha256"] == digest


def test_a_killed_script_is_taken_for_out_of_memory(bench: Bench) -> None:
    reason, message = reason_of(bench, "import os; os.kill(os.getpid(), 9)")
    assert reason == "OutOfMemory"
    assert "SIGKILL" in message


def test_nothing_of_a_run_is_left_when_the_probe_has_ended(bench: Bench) -> None:
    bench.time("import subprocess; subprocess.Popen(['sleep', '61.25'], start_new_session=True)")
    assert list(bench.path("scratch").iterdir()) == []
    assert [line for line in command_lines() if b"61.25" in line] == []


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()

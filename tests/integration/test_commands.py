"""Commands run in the environment they are given, end in their time with all that they started, and are logged."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from isobench.adapters.commands import TAIL_BYTES, run_command

PATH = os.environ["PATH"]


@pytest.fixture
def run(tmp_path):
    def run(command, **options):
        defaults = {"cwd": tmp_path, "environment": {"PATH": PATH}, "timeout_seconds": 60, "log": tmp_path / "log"}
        return run_command(command, **{**defaults, **options})

    return run


def lives(pid: int) -> bool:
    """Whether a process is there and not a zombie that nobody has waited for."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_until_dead(pid: int) -> None:
    try:
        ended = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert lives(pid) is False or select.select([ended], [], [], 30)[0]
    finally:
        os.close(ended)


def test_an_argument_list_and_shell_text(run, tmp_path):
    assert run(["printf", "%s", "a b"]).tail == "a b"
    assert run("echo out; echo err >&2; [[ -n $BASH_VERSION ]] && pwd").tail == f"out\nerr\n{tmp_path}"


def test_the_exit_code_is_the_commands(run):
    assert run("exit 7").exit_code == 7
    assert run("kill -SEGV $$").exit_code == 128 + signal.SIGSEGV
    assert run(["no-such-program"]).exit_code == 127
    assert run("true").succeeded
    assert not run("false").succeeded


def test_nothing_of_the_environment_but_what_is_given(run, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")

    seen = run(["env"], environment={"PATH": PATH, "LANG": "C"}).tail

    assert "secret" not in seen
    assert {line.split("=")[0] for line in seen.splitlines()} <= {"PATH", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_command_reads_no_terminal(run):
    assert run(["cat"]).succeeded


def test_at_the_time_limit_the_whole_group_is_asked_to_end(run):
    result = run("trap 'echo asked; exit 3' TERM; sleep 1000 & echo started; wait", timeout_seconds=1)

    assert result.timed_out
    assert not result.succeeded
    assert result.tail == "started\nasked"


def test_what_ignores_the_request_is_killed_with_its_children(run, tmp_path):
    result = run("trap '' TERM; sleep 1000 & echo $! > child; wait", timeout_seconds=1, grace_seconds=0.2)

    assert result.timed_out
    wait_until_dead(int((tmp_path / "child").read_text()))


def test_what_a_command_leaves_in_the_background_is_ended_and_not_waited_for(run, tmp_path):
    result = run("sleep 1000 & echo $! > child")

    assert result.succeeded
    wait_until_dead(int((tmp_path / "child").read_text()))


def test_no_time_left_is_a_time_out(run):
    assert run("true; sleep 1000", timeout_seconds=-1, grace_seconds=0).timed_out


def test_output_is_logged_after_its_command_and_the_end_of_it_returned(run, tmp_path):
    run(["echo", "one"])
    result = run(f"seq 100000; printf '%*s' {TAIL_BYTES - 5} | tr ' ' x")

    assert len(result.tail) <= TAIL_BYTES
    assert result.tail.endswith("xxx")
    assert (tmp_path / "log").read_text().startswith("$ echo one\none\n$ seq")


def test_a_flood_of_output_does_not_fill_the_disk(run, tmp_path):
    result = run("yes | head -c 3000000; echo end", log_bytes=1000)

    assert (tmp_path / "log").stat().st_size < 1200
    assert "the rest of this command's output is left out" in (tmp_path / "log").read_text()
    assert result.tail.endswith("end")


def test_output_that_is_no_text_is_kept_as_well_as_can_be(run):
    assert run(r"printf 'a\377b'").tail == "a\ufffdb"


@pytest.mark.parametrize("start", [(), ("nohup",)], ids=["as it is", "under nohup"])
def test_children_and_their_children_die_when_isobench_is_killed(tmp_path, start):
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from isobench.adapters.commands import run_command
        command = "sleep 1000 & echo $! > grandchild.part; mv grandchild.part grandchild; cat fifo"
        run_command(command, cwd=Path.cwd(), environment={{"PATH": {PATH!r}}}, timeout_seconds=600, log=Path("log"))
    """)
    os.mkfifo(tmp_path / "fifo")
    isobench = subprocess.Popen([*start, sys.executable, "-c", program], cwd=tmp_path, stdin=subprocess.DEVNULL)
    with (tmp_path / "fifo").open("w"):  # opens when the command does, which is after it has started its child
        isobench.kill()
        isobench.wait()
        wait_until_dead(int((tmp_path / "grandchild").read_text()))

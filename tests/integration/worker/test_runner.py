"""The runner: a command in another container ends, speaks and is ended as if it were a process of this one."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from building.pods import IMAGE, running
from isobench.adapters.isolation.pods import PodContainer, place_tools
from isobench.adapters.python.interpreters import find_interpreters
from isobench.contracts.pod import RUNNER, SOCKET
from isobench.contracts.reasons import ItemFailure, Reason

pytestmark = pytest.mark.slow

NAMESPACE = (
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    "--pid",
    "--fork",
    "--kill-child",
)


@pytest.fixture(scope="module")
def tools():
    """An exchange folder; its path is short, since a socket is in it."""
    folder = Path(tempfile.mkdtemp(prefix="ib-"))
    place_tools(folder, for_builds=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def exchange(tools):
    """The folder without a socket."""
    (tools / SOCKET).unlink(missing_ok=True)
    return tools


@pytest.fixture
def container(exchange, tmp_path):
    with running(exchange, tmp_path) as container:
        yield container


def run(container: PodContainer, command, log: Path, **variables: str):
    return container.run(
        command, cwd=log.parent, environment={"PATH": os.defpath, **variables}, timeout_seconds=100.0, log=log
    )


def stand_in(container: PodContainer, *command: str, **streams) -> subprocess.Popen[str]:
    return subprocess.Popen(container.stand_in(command, "token"), text=True, **streams)


def test_directory_variables_streams_and_exit_code_are_the_commands(container, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "do-not-tell-me")
    result = run(container, "pwd; env; echo oops >&2; exit 7", tmp_path / "log", GREETING="größer\n=")
    assert result.exit_code == 7
    lines = result.tail.splitlines()
    assert lines[0] == str(tmp_path)
    assert lines[-1] == "oops"
    assert "GREETING=größer" in lines
    assert "do-not-tell-me" not in result.tail
    assert not [line for line in lines if line.startswith(("LC_", "PYTHON"))], "nothing of the stand-in's own"


def test_what_the_stand_in_reads_and_writes_the_command_does(container):
    with stand_in(container, "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.communicate("hello") == ("hello", "")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("command", "code"), [(["sh", "-c", "kill -SEGV $$"], 139), (["no-such-program"], 127), (["/etc/passwd"], 126)]
)
def test_every_way_to_end_has_the_exit_code_that_a_shell_gives(container, tmp_path, command, code):
    assert run(container, command, tmp_path / "log").exit_code == code


def test_a_wish_to_terminate_reaches_the_command(container):
    script = "trap 'echo ended; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    with stand_in(container, "sh", "-c", script, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.communicate() == ("ended\n", None)
    assert process.returncode == 3


def holding(pipe: Path) -> str:
    """A script that starts processes in sessions of their own, all of which hold the pipe."""
    return f"exec 9>{pipe}; setsid sleep 1000 & (setsid sleep 1000 &) ; echo ready >&9"


def test_what_a_command_starts_does_not_outlive_it(container, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run(container, holding(pipe), tmp_path / "log").succeeded
    os.set_blocking(reader, True)
    assert os.read(reader, 100) + os.read(reader, 100) == b"ready\n", "nobody has it open for writing any more"
    os.close(reader)


def test_a_command_dies_with_its_stand_in_and_so_does_all_it_started(container, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with stand_in(container, "sh", "-c", f"{holding(pipe)}; sleep 1000") as process:
        reader = os.open(pipe, os.O_RDONLY)
        assert os.read(reader, 100) == b"ready\n"
        process.kill()
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert run(container, ["true"], tmp_path / "log").succeeded, "the next command is served"


def test_a_runner_that_is_lost_in_the_middle_is_the_infrastructures_matter(container, tmp_path):
    with pytest.raises(ItemFailure) as lost:
        run(container, "kill -KILL $PPID; sleep 1000", tmp_path / "log")
    assert lost.value.reason is Reason.INFRASTRUCTURE_ERROR
    assert lost.value.message == ("isobench: the environment's container was lost: it went away while the command ran")


def test_a_command_can_not_pretend_that_its_runner_was_lost(container, tmp_path):
    result = run(container, "echo 'isobench: the container was lost [0123456789abcdef]'; exit 125", tmp_path / "log")
    assert result.exit_code == 125


def assert_refused(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):  # what was not read is thrown away
        assert connection.recv(1) == b""


def test_what_is_no_request_is_refused_and_the_next_command_served(container, tmp_path):
    assert run(container, ["true"], tmp_path / "log").succeeded
    for garbage in (b"", b"x", b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(container.exchange / SOCKET))
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            assert_refused(connection)
    assert run(container, ["true"], tmp_path / "log").succeeded


def test_no_descriptor_stays_open_in_the_runner(container, tmp_path):
    def descriptors() -> int:
        return int(run(container, "ls /proc/$PPID/fd | wc -l", tmp_path / "log").tail)

    first = descriptors()
    for _ in range(10):
        run(container, ["no-such-program"], tmp_path / "log")
    assert descriptors() < first + 10


def test_what_a_container_makes_of_the_exchange_folder_is_never_run_on_this_side(container, tmp_path):
    runner, ran = container.exchange / RUNNER, tmp_path / "ran"
    assert run(container, ["true"], tmp_path / "log").succeeded, "it is there"
    kept = runner.read_bytes()
    runner.write_text(f"open({str(ran)!r}, 'w')")
    try:
        assert run(container, ["true"], tmp_path / "log").succeeded
    finally:
        runner.write_bytes(kept)
    assert not ran.exists()


# Asks the runner, from inside its container, to touch a file; and ends without waiting for an answer.
ASKS = """
import socket, sys
runner, path, file = sys.argv[1:]
sys.path.insert(0, runner)
from isobench.runner.protocol import Request, send_request
connection = socket.socket(socket.AF_UNIX)
connection.connect(path)
send_request(connection, Request(["touch", file], "/", {"PATH": "/usr/bin:/bin"}, [0, 1, 2]))
"""


def test_nothing_inside_the_container_can_ask_the_runner_for_a_command(exchange, tmp_path):
    forbidden, allowed = tmp_path / "forbidden", tmp_path / "allowed"
    server = [*NAMESPACE, sys.executable, "-I", str(exchange / RUNNER), "--serve", str(exchange / SOCKET)]
    with subprocess.Popen(server) as process:
        container = PodContainer(exchange, tmp_path, IMAGE)
        asks = [sys.executable, "-c", ASKS, str(exchange / RUNNER), str(exchange / SOCKET), str(forbidden)]
        assert run(container, asks, tmp_path / "log").succeeded
        assert run(container, ["touch", str(allowed)], tmp_path / "log").succeeded
        process.kill()
    assert (allowed.exists(), forbidden.exists()) == (True, False)


def test_the_runner_can_not_be_read_by_others_of_its_user(exchange):
    says = "import ctypes, sys; sys.path.insert(0, sys.argv[1]); from isobench.runner import server\n"
    says += "def bound(listener, path): print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); sys.exit()\n"
    says += "server._bind = bound; server.serve(sys.argv[2])"
    command = [sys.executable, "-c", says, str(exchange / RUNNER), str(exchange / SOCKET)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"


@pytest.mark.parametrize("python", find_interpreters(os.environ), ids=lambda python: python.version)
def test_it_serves_on_every_python_that_is_here(exchange, tmp_path, python):
    server = [str(python.executable), "-I", str(exchange / RUNNER), "--serve", str(exchange / SOCKET)]
    with subprocess.Popen(server) as process:
        container = PodContainer(exchange, tmp_path, IMAGE)
        assert run(container, "exit 5", tmp_path / "log").exit_code == 5
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


def test_the_container_says_where_its_pythons_are_and_which_cores_it_may_use(container):
    assert container.variables["PATH"].endswith("/usr/bin:/bin")
    assert container.variables["UV_OFFLINE"] == "1"
    assert any(python.executable == Path(os.path.realpath(sys.executable)) for python in container.pythons)
    assert set(container.cores) == os.sched_getaffinity(0)

"""A hostile shell gets at nothing: no key, no socket, no other process, no file that is not its own."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from isobench.adapters.agents.supervisor import Bounds, Ending, Kept, Supervisor
from isobench.adapters.isolation.probe_archive import build_probe
from isobench.adapters.isolation.sandbox import Isolation, MachineSandbox, find_isolation

KEY = "sk-the-key-of-the-person-who-pays"
TRACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print("traced" if libc.ptrace(16, int(os.environ["VICTIM"]), 0, 0) == 0 else os.strerror(ctypes.get_errno()))
"""
HOLD = "import mmap, time; m = mmap.mmap(-1, 2**28); [m.write(bytes(2**20)) for _ in range(256)]; time.sleep(60)"
CONNECT = """
import os, socket
for family in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"):
    try:
        socket.socket(getattr(socket, family), socket.SOCK_DGRAM)
        print(family, "opened")
    except OSError as error:
        print(error.strerror)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return build_probe(tmp_path_factory.mktemp("archive") / "probe.pyz")


@pytest.fixture
def victim(monkeypatch):
    """A process of the same user, with the key in its environment: the gateway, say."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@dataclass
class Cell:
    """Where hostile scripts run; ``folder`` is writable for them."""

    root: Path
    supervisor: Supervisor

    @property
    def folder(self) -> Path:
        return self.root / "repository"

    def run(self, script: str, **bounds) -> Ending:
        kept = self.kept(["sh", "-c", script])
        return self.supervisor.run(kept, Bounds(**({"seconds": 60.0} | bounds)), self.root / "control")

    def kept(self, arguments: list[str]) -> Kept:
        self.folder.mkdir(exist_ok=True)
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "VICTIM": self.victim}
        return Kept(arguments, environment, self.folder, Path(sys.executable), [], [self.folder])

    victim = "1"

    def said(self, script: str, **bounds) -> str:
        self.run(script, **bounds)
        return "".join((self.root / "control" / f"{name}.txt").read_text() for name in ("stdout", "stderr"))


@pytest.fixture(params=[find_isolation(), Isolation.NONE], ids=["namespaces", "landlock and filter alone"])
def cell(request, archive):
    root = Path(tempfile.mkdtemp(prefix="cell-"))
    yield Cell(root, Supervisor(archive, MachineSandbox(request.param)))
    shutil.rmtree(root)


def test_no_key_is_in_any_environment_that_it_can_read(cell, victim):
    said = cell.said("env; cat /proc/*/environ | tr '\\0' '\\n'; grep -a sk- /proc/*/cmdline; set")
    assert KEY not in said
    assert "Permission denied" in said


def test_it_can_trace_and_signal_no_process_but_its_own(cell, victim):
    cell.victim = str(victim.pid)
    said = cell.said(f"python3 -c '{TRACE}'; kill -9 $VICTIM; kill -9 -1; kill -9 $PPID; cat /proc/$VICTIM/mem")
    assert "traced" not in said
    assert victim.poll() is None


def test_it_reads_no_memory_and_no_descriptor_of_its_keeper(cell):
    said = cell.said("cat /proc/$PPID/fd/2; head -c 1 /proc/$PPID/mem; cat /proc/$PPID/environ; echo tried")
    assert said.count("Permission denied") == 3
    assert "tried" in said


def test_no_socket_but_a_unix_one_can_be_made(cell):
    said = cell.said(
        f"python3 -c '{CONNECT}'; python3 -c 'import socket; socket.socket(socket.AF_UNIX); print(\"unix\")'"
    )
    assert said.count("Permission denied") == 5
    assert "unix" in said


def test_an_open_network_is_one_that_somebody_asked_for(cell):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connect = f"import socket; socket.create_connection({listener.getsockname()!r})"
        kept = replace(cell.kept(["python3", "-c", connect]), sockets=True)
        ending = cell.supervisor.run(kept, Bounds(seconds=60.0), cell.root / "control")
    is_alone = cell.supervisor.sandbox.isolation is not Isolation.NONE
    assert ending.exit_code == (1 if is_alone else 0), "a namespace of its own has nothing to reach either"


def test_nothing_is_fetched_and_nothing_installed(cell, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        port = listener.getsockname()[1]
        said = cell.said(
            f"git clone http://127.0.0.1:{port}/upstream; git clone {tmp_path} upstream; "
            f"python3 -m pip install --index-url http://127.0.0.1:{port} x"
        )
        with pytest.raises(TimeoutError):
            listener.accept()
    assert not (cell.folder / "upstream").exists()
    assert said


def test_it_reads_and_writes_nothing_outside_its_folders(cell, tmp_path):
    secret = tmp_path / "other-arm" / "fast.py"
    secret.parent.mkdir()
    secret.write_text("the human change")
    said = cell.said(
        f"cat {secret}; ls {tmp_path}; echo x > {secret}; touch /tmp/out /var/tmp/out; ln {secret} here; "
        f"ln -s {secret} link; cat link; cp -r {tmp_path} copy; cat ../control/request.json"
    )
    assert "the human change" not in said
    assert secret.read_text() == "the human change"
    assert not Path("/tmp/out").exists()
    assert '"arguments"' not in said


def test_every_descendant_is_killed_whatever_it_does(cell):
    daemon = "setsid sh -c \"trap '' TERM HUP INT; while :; do sleep 0.01; done\" &"
    marker = cell.folder / "alive"
    ending = cell.run(f"for i in 1 2 3; do {daemon} done; (setsid sh -c 'sleep 600; echo > {marker}' &); exit 0")
    assert (ending.exit_code, ending.stopped) == (0, None)
    assert ending.left >= 4
    named = os.fsencode(str(cell.folder))
    assert [pid for pid in _pids() if named in _directory_of(pid)] == []


def test_nothing_is_written_to_somebody_elses_terminal(cell):
    theirs, terminal = os.openpty()
    said = cell.said(f"echo spied > {os.ttyname(terminal)}; echo tried")
    os.set_blocking(theirs, False)
    with pytest.raises(BlockingIOError):
        os.read(theirs, 100)
    assert said.startswith("tried")
    os.close(terminal)
    os.close(theirs)


@pytest.mark.parametrize("cell", [find_isolation()], ids=["namespaces"], indirect=True)
def test_terminals_are_private(cell):
    said = cell.said("python3 -c 'import os, pty; print(os.ttyname(pty.openpty()[1]))'; ls /dev/pts")
    assert said.split() == ["/dev/pts/0", "ptmx"]


@pytest.mark.parametrize(
    ("script", "bounds", "stopped"),
    [
        ("trap '' TERM; while :; do sleep 0.1; done", {"seconds": 0.5, "grace_seconds": 0.2}, "time limit of 0.5 s"),
        ("while :; do sleep 60 & done", {"processes": 40}, "processes and may have 40"),
        ("i=0; while :; do i=$((i+1)); head -c 4000000 /dev/zero > f$i; done", {"disk_bytes": 40_000_000}, "to disk"),
        (f"python3 -c '{HOLD}'", {"memory_bytes": 2**26}, "bytes of memory"),
    ],
)
def test_bounds_hold(cell, script, bounds, stopped):
    ending = cell.run(script, **bounds)
    assert stopped in (ending.stopped or "")
    assert ending.out_of_time is ("time limit" in stopped)


def test_what_it_prints_is_bounded_with_its_beginning_and_its_end(cell):
    cell.run("echo begin; head -c 5000000 /dev/zero | tr '\\0' x; echo end", output_bytes=10_000)
    printed = (cell.root / "control" / "stdout.txt").read_bytes()
    assert printed.startswith(b"begin\n")
    assert printed.endswith(b"xend\n")
    assert b"bytes are left out here" in printed
    assert len(printed) < 10_200


def test_its_input_is_on_no_disk_once_it_runs(cell):
    cell.folder.mkdir()
    kept = Kept(["cat"], {"PATH": "/usr/bin:/bin"}, cell.folder, Path(sys.executable), [], [cell.folder], b"a token")
    cell.supervisor.run(kept, Bounds(seconds=60), cell.root / "control")
    assert (cell.root / "control" / "stdout.txt").read_text() == "a token"
    assert "stdin" not in {path.name for path in (cell.root / "control").iterdir()}


def _pids():
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _directory_of(pid):
    try:
        return os.fsencode(Path("/proc", pid, "cwd").readlink())
    except OSError:
        return b""

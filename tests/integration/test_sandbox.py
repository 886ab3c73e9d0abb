"""The empty network and what it takes along; and the lock by which one timing has the machine alone."""

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from isobench.adapters.isolation.machine_lock import CPUS

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--"]
USERS = {"whoever runs the tests": [], **({"nobody": NOBODY} if os.getuid() == 0 else {})}

# A shell suffices, and is there for a user who may not read the interpreter of these tests.
INSIDE = """
echo interfaces: $(tail -n +3 /proc/net/dev | cut -d: -f1)
echo routes: $(tail -n +2 /proc/net/route)
echo process: $$
cd /proc && echo processes: [0-9]*
echo memory files: $(ls /dev/shm)
head -c 3000000 /dev/zero 2>/dev/null >/dev/shm/file && echo stored all || echo stored a part
"""
START = """
import subprocess, sys
from isobench.adapters.isolation.sandbox import open_sandbox
sandbox = open_sandbox(allow_network=False)
print(sandbox.isolation, sandbox.network, flush=True)
sys.exit(subprocess.call(sandbox.wrap(sys.argv[1:], scratch_mib=1)))
"""


def started(user, *command):
    """A process of that user that runs ``command`` in the sandbox it finds."""
    asked = [*USERS[user], sys.executable, "-c", START, *command]
    return subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, cwd="/")


@pytest.mark.parametrize("user", USERS)
def test_inside_there_is_no_interface_but_loopback_no_route_and_no_other_process(user):
    with started(user, "sh", "-c", INSIDE) as process:
        said = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert said == [
        "unshare none",
        "interfaces: lo",
        "routes:",
        "process: 1",
        "processes: 1",
        "memory files:",
        "stored a part",
    ]


@pytest.mark.parametrize("user", USERS)
def test_everything_inside_dies_with_the_process_that_started_it(user):
    three = "for number in 1 2 3; do (echo up; setsid sleep 1000) & done; wait"
    with started(user, "sh", "-c", three) as process:
        try:
            assert [process.stdout.readline() for _ in range(4)] == ["unshare none\n", *["up\n"] * 3]
        finally:
            process.kill()
        assert process.stdout.read() == "", "the output ends once every process that could write is gone"


def refused(path):
    code = "from isobench.adapters.isolation.sandbox import open_sandbox; print(open_sandbox(allow_network={}).network)"
    runs = []
    for allowed in (False, True):
        command = [sys.executable, "-c", code.format(allowed)]
        runs.append(subprocess.run(command, env={"PATH": str(path)}, capture_output=True, text=True, check=False))
    return runs


def test_without_any_way_to_an_empty_network_it_refuses_with_the_remedy_unless_the_network_is_allowed(tmp_path):
    kept, waived = refused(tmp_path)
    assert kept.returncode == 1
    assert "NetworkNotIsolated: no empty network can be made on this machine: allow unprivileged" in kept.stderr
    assert "install bubblewrap, or accept the network by --allow-network" in kept.stderr
    assert (waived.returncode, waived.stdout) == (0, "allowed\n")


def test_a_tool_that_fails_is_no_way(tmp_path):
    for name in ("unshare", "bwrap"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    kept, waived = refused(tmp_path)
    assert "NetworkNotIsolated" in kept.stderr
    assert waived.stdout == "allowed\n"


HOLD = """
import os, sys
from pathlib import Path
from isobench.adapters.isolation import machine_lock
machine_lock.CPUS = Path(sys.argv[1])
with getattr(machine_lock, sys.argv[2])():
    os.write(int(sys.argv[3]), f"{sys.argv[4]} has it\\n".encode())
    sys.stdin.readline()
    os.write(int(sys.argv[3]), f"{sys.argv[4]} lets go\\n".encode())
"""


class Holders:
    """Processes that hold the lock of one folder until they are told to let go, and one log of what they say."""

    def __init__(self, folder):
        self._folder = folder
        read, self._write = os.pipe()
        self._log = os.fdopen(read)
        self._processes = {}

    def start(self, kind, name):
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-c", HOLD, self._folder, kind, str(self._write), name],
            stdin=subprocess.PIPE,
            pass_fds=[self._write],
        )

    def says(self):
        return self._log.readline().strip()

    def let_go(self, name):
        self._processes[name].communicate(b"\n")

    def kill(self, name):
        self._processes[name].kill()
        self._processes[name].wait()

    def free_for(self, mode):
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(descriptor)
        return True

    def end(self):
        for process in self._processes.values():
            process.kill()
            process.communicate()
        self._log.close()
        os.close(self._write)


@contextmanager
def locked(folder):
    holders = Holders(folder)
    try:
        yield holders
    finally:
        holders.end()


def test_builds_share_the_machine_and_a_timing_waits_for_all_of_them(tmp_path):
    with locked(tmp_path) as holders:
        for name in ("one", "two"):
            holders.start("building", name)
            assert holders.says() == f"{name} has it"
        assert not holders.free_for(fcntl.LOCK_EX)
        holders.start("timing", "timing")
        holders.let_go("one")
        holders.let_go("two")
        assert [holders.says() for _ in range(3)] == ["one lets go", "two lets go", "timing has it"]


@pytest.mark.parametrize("kind", ["timing", "building"])
def test_while_one_times_nobody_else_builds_or_times(tmp_path, kind):
    with locked(tmp_path) as holders:
        holders.start("timing", "first")
        assert holders.says() == "first has it"
        assert not holders.free_for(fcntl.LOCK_SH)
        holders.start(kind, "second")
        holders.let_go("first")
        assert [holders.says(), holders.says()] == ["first lets go", "second has it"]


def test_a_holder_that_is_killed_lets_go(tmp_path):
    with locked(tmp_path) as holders:
        holders.start("timing", "first")
        assert holders.says() == "first has it"
        holders.start("timing", "second")
        holders.kill("first")
        assert holders.says() == "second has it"


@pytest.mark.parametrize("user", USERS)
def test_every_user_of_the_machine_can_take_the_same_lock(user):
    locks = f"import fcntl, os; fcntl.flock(os.open('{CPUS}', os.O_RDONLY | os.O_DIRECTORY), fcntl.LOCK_UN)"
    assert subprocess.run([*USERS[user], sys.executable, "-c", locks], cwd="/", check=False).returncode == 0

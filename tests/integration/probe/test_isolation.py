"""The proof of isolation: what is recorded, and what makes the probe refuse to time at all."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from probe_bench import NAMESPACES, PRIVATE_SHARED_MEMORY, SOUND, Bench

from isobench.probe import landlock

# Adds a bridge to its network namespace and brings it up.
ADD_INTERFACE = """
import fcntl, socket, struct
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
fcntl.ioctl(channel, 0x89A0, b"late".ljust(16, bytes(1)))
fcntl.ioctl(channel, 0x8914, struct.pack("16sH14x", b"late", 1))
"""

# Refuses one system call to the program that follows, as a kernel without it does.
WITHOUT_CALL = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
lines = [(0x20, 0, 0, 0)]
for call in sys.argv[1].split(","):
    lines += [(0x15, 0, 1, int(call)), (0x06, 0, 0, 0x00050000 | 38)]
code = b"".join(struct.pack("<HBBI", *line) for line in [*lines, (0x06, 0, 0, 0x7FFF0000)])
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0) == 0
os.execvp(sys.argv[2], sys.argv[2:])
"""


def without_call(bench: Bench, *numbers: int) -> tuple[str, ...]:
    return (bench.python, "-c", WITHOUT_CALL, ",".join(map(str, numbers)))


def test_before_and_after_are_recorded_with_all_that_was_tried(bench: Bench) -> None:
    ending = bench.time(SOUND)
    assert ending.result is not None
    before, after = ending.result["isolation"]["before"], ending.result["isolation"]["after"]
    assert before == after
    assert before["interfaces_up"] == []
    assert before["connects"]["192.0.2.1:443"] == "ENETUNREACH"
    assert before["inside"]["AF_UNIX"] == "allowed"
    assert before["inside"]["AF_INET"] == before["inside"]["AF_NETLINK"] == "EACCES"
    assert (before["filter"], before["pid_namespace"], before["shared_memory"]) == ("installed", True, "private")
    assert before["filesystem"] == f"landlock-{landlock.version()}"


def test_with_the_machines_network_nothing_is_timed(bench: Bench) -> None:
    open_network = tuple(flag for flag in NAMESPACES if flag != "--net")
    here = replace(bench, launcher=(*open_network, "sh", "-c", PRIVATE_SHARED_MEMORY, "sh"))
    ending = here.time(SOUND)
    assert ending.exit_code == 3
    assert ending.result is not None
    assert (ending.result["stop"], ending.samples) == ("NetworkNotIsolated", [])
    assert "is up" in ending.result["message"]
    assert ending.result["isolation"]["before"]["connects"] == {}
    assert ending.result["isolation"]["after"] is None


def test_an_allowed_network_is_recorded_and_timed(bench: Bench) -> None:
    here = replace(bench, launcher=("env",))
    ending = here.time(SOUND, network="allowed")
    assert (ending.exit_code, ending.arm()["reason"]) == (0, None)
    assert ending.result is not None
    before = ending.result["isolation"]["before"]
    assert "lo" in before["interfaces_up"]
    assert (before["network"], before["inside"]["AF_INET"]) == ("allowed", "EACCES")


def test_without_a_system_call_filter_an_empty_network_is_not_enough(bench: Bench) -> None:
    seccomp = {"x86_64": 317, "aarch64": 277}[os.uname().machine]
    ending = bench.run(bench.request({"base": SOUND}), before=without_call(bench, seccomp))
    assert ending.exit_code == 3
    assert ending.result is not None
    assert "AF_INET is not refused" in ending.result["message"]
    assert ending.result["isolation"]["before"]["filter"] == "unavailable"


def test_an_interface_that_comes_up_while_timing_spoils_the_result(bench: Bench) -> None:
    bench.path("add_interface.py").write_text(ADD_INTERFACE)
    inner = tuple(flag for flag in NAMESPACES if flag not in ("--user", "--map-root-user", "--net"))
    after_first_block = f'read -r line; {bench.python} {bench.path("add_interface.py")}; echo "$line"; cat'
    pipeline = f'"$@" | {{ {after_first_block}; }}'
    launcher = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", pipeline, "sh", *inner)
    here = replace(bench, launcher=(*launcher, "sh", "-c", PRIVATE_SHARED_MEMORY, "sh"))
    request = here.request(
        {"base": SOUND, "head": SOUND},
        protocol="blocks",
        primary=[["base", "head"]],
        limits={"min_pairs": 20, "max_pairs": 20},
    )
    ending = here.run(request)
    assert ending.result is not None
    assert ending.result["stop"] == "NetworkNotIsolated"
    assert "interface late is up" in ending.result["message"]
    assert ending.result["isolation"]["before"]["interfaces_up"] == []
    assert ending.result["isolation"]["after"]["interfaces_up"] == ["late"]


def test_an_archive_without_namespaces_still_leaves_no_process_behind(bench: Bench) -> None:
    here = replace(bench, launcher=("env",))
    script = "import os, time\nprint('{\"avg_ms\": 0.01}', flush=True)\n"
    script += "os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(60))\n"
    arm = here.time(script, network="allowed").arm()
    assert (arm["reason"], "left 1 processes" in arm["message"]) == ("ProcessLeftBehind", True)


def test_without_namespaces_too_many_processes_are_all_found_and_killed(bench: Bench) -> None:
    here = replace(bench, launcher=("env",))
    script = """
    import os, time
    for number in range(100):
        if os.fork() == 0:
            if number % 2:
                os.setsid()
            time.sleep(61.75)
            os._exit(0)
    time.sleep(61.75)
    """
    arm = here.time(script, network="allowed", limits={"memory_bytes": 2**33}).arm()
    assert arm["reason"] == "TooManyProcesses"
    held = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(bench.root).encode() in _read(path)]
    assert held == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def without_landlock(bench: Bench) -> tuple[str, ...]:
    return without_call(bench, 444, 445, 446)


def test_without_landlock_a_changed_tree_is_found_by_its_fingerprint(
    bench: Bench, without_landlock: tuple[str, ...]
) -> None:
    script = SOUND + "import module\nopen(module.__file__, 'a').write('#')\n"
    ending = bench.run(bench.request({"base": script}), before=without_landlock)
    assert ending.arm()["reason"] == "TreeChanged"
    assert str(bench.path("arms", "base")) in ending.arm()["message"]
    assert ending.result is not None
    assert ending.result["isolation"]["before"]["filesystem"] == "fingerprint"


def test_without_landlock_an_untouched_tree_is_timed(bench: Bench, without_landlock: tuple[str, ...]) -> None:
    ending = bench.run(bench.request({"base": SOUND}), before=without_landlock)
    assert ending.arm()["reason"] is None


def test_even_under_landlock_a_changed_modification_time_is_found(bench: Bench) -> None:
    ending = bench.time(SOUND + "import module, os\nos.utime(module.__file__, (1, 1))\n")
    assert ending.arm()["reason"] == "TreeChanged"

"""What a run can't do: reach a network, another arm, the probe, or a file that is not its own."""

import json
import textwrap

import pytest
from probe_bench import SOUND, Bench

TELL = """
import json
def tell(facts):
    print(json.dumps(facts))
    print('{"avg_ms": 0.001}')
"""


def told(bench: Bench, script: str, **changes: object) -> object:
    """What ``script`` found out: the first line that it printed."""
    arm = bench.time(TELL + textwrap.dedent(script), **changes).arm()
    assert arm["reason"] is None, arm
    return json.loads(arm["output_tail"].splitlines()[0])


TRY_SOCKETS = """
import errno, socket
seen = {}
for name in ("AF_UNIX", "AF_INET", "AF_INET6", "AF_PACKET", "AF_NETLINK", "AF_VSOCK", "AF_ALG"):
    for make in (socket.socket, socket.socketpair):
        try:
            made = make(getattr(socket, name), socket.SOCK_DGRAM)
            seen[name] = "allowed"
        except OSError as error:
            seen.setdefault(name, errno.errorcode[error.errno])
tell(seen)
"""


def test_no_socket_family_but_unix_can_be_opened(bench: Bench) -> None:
    seen = told(bench, TRY_SOCKETS)
    assert isinstance(seen, dict)
    assert seen.pop("AF_UNIX") == "allowed"
    assert set(seen.values()) == {"EACCES"}


def test_loopback_sockets_work_where_they_are_asked_for_and_reach_nothing_else(bench: Bench) -> None:
    script = """
    import errno, socket
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    outside = socket.socket().connect_ex(("192.0.2.1", 443))
    tell([client.getpeername() == server.getsockname(), errno.errorcode[outside]])
    """
    assert told(bench, script, sockets="loopback") == [True, "ENETUNREACH"]


CALLS = {
    "io_uring_setup": (425, "1, 0"),
    "io_uring_enter": (426, "0, 0, 0, 0, 0, 0"),
    "io_uring_register": (427, "0, 0, 0, 0"),
    "shmget": (29, "0, 4096, 0o1600"),
    "semget": (64, "0, 1, 0o1600"),
    "msgget": (68, "0, 0o1600"),
    "mq_open": (240, "b'queue', 0o102, 0o600, 0"),
    "add_key": (248, "b'user', b'name', b'answer', 6, -4"),
    "keyctl": (250, "0, -3, 1"),
}


@pytest.mark.parametrize("call", CALLS)
def test_calls_that_reach_around_the_filter_or_outlive_the_run_are_refused(bench: Bench, call: str) -> None:
    script = """
    import ctypes, errno, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    call = {"x86_64": %d, "aarch64": %d}[os.uname().machine]
    tell([libc.syscall(call, %s), errno.errorcode[ctypes.get_errno()]])
    """
    number, arguments = CALLS[call]
    aarch64 = {29: 194, 64: 190, 68: 186, 240: 180, 248: 217, 250: 219}.get(number, number)
    assert told(bench, script % (number, aarch64, arguments)) == [-1, "EPERM"]


def test_another_arms_tree_can_not_be_opened_or_listed(bench: Bench) -> None:
    other = bench.path("arms", "head")
    script = f"""
    import os
    seen = []
    for attempt in (os.listdir, open):
        try:
            attempt({str(other)!r} + ("/module.py" if attempt is open else ""))
            seen.append("allowed")
        except PermissionError:
            seen.append("refused")
    tell(seen)
    """
    ending = bench.run(bench.request({"base": TELL + textwrap.dedent(script), "head": SOUND}))
    assert ending.arm()["output_tail"].splitlines()[0] == '["refused", "refused"]'


def test_a_run_reads_its_own_tree_and_what_the_request_lends(bench: Bench) -> None:
    lent = bench.path("lent")
    lent.mkdir()
    lent.joinpath("data.txt").write_text("borrowed")
    request = bench.request({"base": TELL + f"import module\ntell([module.NAME, open('{lent}/data.txt').read()])"})
    request["arms"][0]["readable"] = [str(lent)]
    assert bench.run(request).arm()["output_tail"].splitlines()[0] == '["base", "borrowed"]'


def test_the_probe_can_not_be_debugged_signalled_or_read(bench: Bench) -> None:
    script = """
    import ctypes, errno, os, signal
    libc = ctypes.CDLL(None, use_errno=True)
    seen = {"parent": os.getppid()}
    seen["ptrace"] = [libc.ptrace(16, 1, 0, 0), errno.errorcode.get(ctypes.get_errno())]
    for name, attempt in {
        "memory": lambda: open("/proc/1/mem", "rb"),
        "stdout": lambda: open("/proc/1/fd/1", "w"),
        "environment": lambda: open("/proc/1/environ").read(),
        "signal": lambda: os.kill(1, signal.SIGKILL),
        "stop": lambda: os.kill(1, signal.SIGSTOP),
    }.items():
        try:
            attempt()
            seen[name] = "allowed"
        except OSError as error:
            seen[name] = errno.errorcode[error.errno]
    tell(seen)
    """
    seen = told(bench, script)
    assert isinstance(seen, dict)
    assert seen.pop("parent") == 1
    assert seen.pop("ptrace") == [-1, "EPERM"]
    assert set(seen.values()) <= {"EACCES", "EPERM"}, seen


def test_a_run_has_no_privileges_even_as_mapped_root(bench: Bench) -> None:
    script = """
    status = dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    tell([status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp")])
    """
    assert told(bench, script) == ["0" * 16] * 4 + ["1", "2"]


def test_a_run_inherits_nothing_but_three_streams(bench: Bench) -> None:
    script = """
    import os
    listing = os.open("/proc/self/fd", os.O_RDONLY)
    descriptors = sorted(int(name) for name in os.listdir(listing) if int(name) != listing)
    links = [os.readlink("/proc/self/fd/%d" % number) for number in (0, 1, 2)]
    tell([[d for d in descriptors if d < listing], [link.split(":")[0] for link in links], os.getsid(0) == os.getpid()])
    """
    request = bench.request({"base": TELL + textwrap.dedent(script)})
    leaking = ("sh", "-c", 'exec 7</etc/passwd 9>/dev/null; exec "$@"', "sh")
    ending = bench.run(request, before=leaking)
    assert json.loads(ending.arm()["output_tail"].splitlines()[0]) == [[0, 1, 2], ["/dev/null", "pipe", "pipe"], True]


def test_a_run_sees_only_the_arms_environment_and_what_the_probe_sets(bench: Bench) -> None:
    request = bench.request({"base": TELL + "import os\ntell(dict(os.environ))"})
    request["arms"][0]["environment"] |= {"OMP_NUM_THREADS": "1"}
    seen = json.loads(bench.run(request).arm()["output_tail"].splitlines()[0])
    assert seen["OMP_NUM_THREADS"] == "1"
    expected = "PATH LANG PYTHONPATH OMP_NUM_THREADS HOME TMPDIR PYTHONHASHSEED PYTHONDONTWRITEBYTECODE XDG_CACHE_HOME"
    expected += " XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR"
    assert set(seen) - {"LC_CTYPE"} == set(expected.split())


def test_a_run_is_pinned_with_all_that_it_starts(bench: Bench) -> None:
    script = """
    import os, subprocess, sys
    child = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], capture_output=True)
    tell([sorted(os.sched_getaffinity(0)), child.stdout.decode()])
    """
    request = bench.request({"base": TELL + textwrap.dedent(script)})
    [core] = request["cores"]
    assert json.loads(bench.run(request).arm()["output_tail"].splitlines()[0]) == [[core], f"{{{core}}}\n"]


def test_the_termination_file_is_the_probes_last_word(bench: Bench) -> None:
    termination = bench.path("termination")
    termination.write_text("")
    script = f"open({str(termination)!r}, 'w').write('all good')"
    ending = bench.time(script, termination=str(termination))
    assert ending.arm()["reason"] == "WroteOutsideScratch"
    summary = json.loads(termination.read_text())
    assert (summary["stop"], summary["arms"]) == ("Complete", {"base": "WroteOutsideScratch"})


def test_a_run_can_not_write_the_result_or_print_progress(bench: Bench) -> None:
    forged = bench.path("output", "result.json")
    script = f"""
    import os
    try:
        open({str(forged)!r}, "w").write("forged")
    except PermissionError:
        tell(os.path.exists({str(forged)!r}))
    """
    ending = bench.time(TELL + textwrap.dedent(script))
    assert ending.arm()["output_tail"].splitlines()[0] == "false"
    assert ending.events == []

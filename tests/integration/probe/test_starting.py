"""How the probe is started: as an archive or a module, by whom, on which Python, and on what request."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from probe_bench import OLDEST_PYTHON, SOUND, Bench, interpreters, version_of

import isobench
from isobench.adapters.isolation.probe_archive import build_probe

INTERPRETERS = {version_of(python): python for python in interpreters()}
PAIR = {"protocol": "blocks", "primary": [["base", "head"]]}


def test_the_archive_has_the_same_bytes_every_time(archive: Path, tmp_path: Path) -> None:
    again = build_probe(tmp_path / "sub" / "probe.pyz")
    assert again.read_bytes() == archive.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == ["probe.pyz"]


def test_an_archive_that_can_not_be_replaced_stays_as_it_was(tmp_path: Path) -> None:
    destination = tmp_path / "probe.pyz"
    destination.mkdir()
    with pytest.raises(OSError, match=r"probe\.pyz"):
        build_probe(destination)
    assert [path.name for path in tmp_path.iterdir()] == ["probe.pyz"]


def test_there_is_an_interpreter_as_old_as_the_probe_promises() -> None:
    assert OLDEST_PYTHON in INTERPRETERS


@pytest.mark.parametrize("version", INTERPRETERS)
def test_the_archive_runs_on_every_python_of_this_machine(bench: Bench, version: tuple[int, ...]) -> None:
    here = replace(bench, python=INTERPRETERS[version])
    ending = here.run(here.request({"base": SOUND, "head": SOUND}, **PAIR))
    assert (ending.exit_code, ending.arm()["reason"], ending.stderr) == (0, None, "")
    assert ending.result is not None
    assert ending.result["python"].split(".")[:2] == [str(part) for part in version]


def test_the_package_runs_as_a_module(bench: Bench) -> None:
    source_root = Path(isobench.__file__).parents[1]
    here = replace(bench, launcher=(*bench.launcher, "env", f"PYTHONPATH={source_root}"))
    request = here.request({"base": SOUND})
    here.path("request.json").write_text(json.dumps(request))
    as_module = replace(here, archive=Path("-misobench.probe"))
    ending = as_module.run(request, before=(bench.python, "-c", RUN_AS_MODULE))
    assert ending.arm()["reason"] is None


RUN_AS_MODULE = "import os, sys; os.execv(sys.argv[1], [sys.argv[1], '-m', 'isobench.probe', sys.argv[-1]])"


def test_an_ordinary_user_times_in_namespaces_of_his_own(unprivileged_bench: Bench) -> None:
    ending = unprivileged_bench.run(unprivileged_bench.request({"base": SOUND, "head": SOUND}, **PAIR))
    assert (ending.exit_code, ending.arm()["reason"]) == (0, None), ending.stderr
    assert ending.result is not None
    assert ending.result["isolation"]["before"]["pid_namespace"] is True


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("while True: __import__('os').fork()", "TooManyProcesses"),
        ("held = b'x' * (2 << 30)", "OutOfMemory"),
        ("import os; os.chmod('..', 0); os.mkdir('d'); os.chmod('d', 0); os.chmod('.', 0)", "NoMeasurement"),
        ("__import__('subprocess').Popen(['sleep', '60'], start_new_session=True)", "ProcessLeftBehind"),
    ],
)
def test_an_ordinary_users_runs_are_bounded_and_cleared_away(
    unprivileged_bench: Bench, script: str, reason: str
) -> None:
    request = unprivileged_bench.request({"base": script, "head": SOUND}, limits={"memory_bytes": 2**30})
    ending = unprivileged_bench.run(request)
    assert (ending.arm("base")["reason"], ending.arm("head")["reason"]) == (reason, None)
    assert list(unprivileged_bench.path("scratch").iterdir()) == []


def test_an_interpreter_of_a_virtual_environment_is_readable_with_its_base(bench: Bench) -> None:
    environment = bench.path("arms", "environment")
    environment.joinpath("bin").mkdir(parents=True)
    real = Path(sys.executable).resolve()
    environment.joinpath("bin", "python").symlink_to(real)
    environment.joinpath("pyvenv.cfg").write_text(f"home = {real.parent}\n")
    script = f"import sys\nassert sys.prefix == {str(environment)!r}, sys.prefix\n{SOUND}"
    request = bench.request({"base": script})
    request["arms"][0]["python"] = str(environment / "bin" / "python")
    assert bench.run(request).arm()["reason"] is None


Change = Callable[[dict[str, Any]], object]
BAD_REQUESTS: dict[str, tuple[Change, str]] = {
    "unknown key": (lambda r: r.update(speed=1), "speed"),
    "unknown limit": (lambda r: r["limits"].update(seconds=1), "seconds"),
    "missing key": (lambda r: r.pop("cores"), "cores"),
    "other version": (lambda r: r.update(version=2), "version"),
    "no such tree": (lambda r: r["arms"][0].update(tree="/nowhere"), "/nowhere"),
    "no such interpreter": (lambda r: r["arms"][0].update(python="/nowhere/python"), "/nowhere/python"),
    "no such script": (lambda r: r["arms"][0].update(script="/nowhere/test.py"), "/nowhere/test.py"),
    "no such readable path": (lambda r: r["arms"][0].update(readable=["/nowhere/venv"]), "/nowhere/venv"),
    "no such scratch": (lambda r: r.update(scratch="/nowhere/scratch"), "/nowhere/scratch"),
    "no such core": (lambda r: r.update(cores=[1023]), "1023"),
    "unknown arm": (lambda r: r["arms"][0].update(name="tail"), "tail"),
    "arm twice": (lambda r: r["arms"].append(r["arms"][0]), "base, base"),
    "relative path": (lambda r: r.update(output="here"), "here"),
    "too few pairs": (lambda r: r["limits"].update(min_pairs=7), "min_pairs"),
    "no primary": (lambda r: r.update(protocol="blocks"), "primary"),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_with_one_sentence(bench: Bench, name: str) -> None:
    change, named = BAD_REQUESTS[name]
    request = bench.request({"base": SOUND})
    change(request)
    ending = bench.run(request)
    assert ending.exit_code == 2
    assert ending.result is None
    assert named in ending.stderr
    assert ending.stderr.startswith("probe: ")
    assert ending.stderr.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": NaN}', b"[" * 100000])
def test_a_request_that_is_no_json_object_is_refused(bench: Bench, content: bytes) -> None:
    bench.path("request.json").write_bytes(content)
    assert _start(bench, str(bench.path("request.json"))) == 2


def test_a_request_that_is_not_there_is_refused(bench: Bench) -> None:
    assert _start(bench, "/nowhere/request.json") == 2


def test_any_other_number_of_arguments_is_refused(bench: Bench) -> None:
    assert (_start(bench), _start(bench, "one", "two")) == (2, 2)


def _start(bench: Bench, *arguments: str) -> int:
    done = subprocess.run([bench.python, str(bench.archive), *arguments], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("probe: ")
    assert done.stderr.count("\n") == 1
    return done.returncode

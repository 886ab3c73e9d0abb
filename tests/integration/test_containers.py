"""--container=on: arms are built and timed in containers of an image; the image is made of this machine's own files."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from building.command_line import CommandLine
from building.images import PYTHON, load_image, root_with_image, write_image
from building.items import manifest, template
from building.projects import write_pip, write_project
from building.swift_history import TEST, write_history
from isobench.adapters.isolation.container_engine import find_engine
from isobench.adapters.isolation.containers import Container, open_container
from isobench.adapters.python.built_environment import BuildRequest
from isobench.contracts.base import InvalidInput
from isobench.contracts.spec import EnvironmentSpec

pytestmark = pytest.mark.slow

IMAGE = "localhost/isobench-test:1"
KEY = "do-not-tell-me"
SETTLED = {"minPairs": 8, "maxPairs": 8, "warmup": 0, "precision": 0.5}
ISOBENCH = [str(Path(sys.executable).with_name("isobench"))]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_image(tmp_path_factory.mktemp("image") / "image.tar")


@pytest.fixture(scope="module")
def root(tmp_path_factory, archive):
    with root_with_image(tmp_path_factory.mktemp("contained") / "work", archive, IMAGE) as root:
        yield root


@pytest.fixture(scope="module")
def container(root) -> Container:
    return open_container(find_engine(root.containers), IMAGE, root.path)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("history") / "swift", plain=0)


@pytest.fixture
def isobench(tmp_path, monkeypatch, capsys):
    return CommandLine(tmp_path, monkeypatch, capsys)


def write_batch(folder: Path, history, *, image: str | None = IMAGE, test: str = TEST, **environment) -> Path:
    asked = template(
        repository={"url": str(history.path)},
        environment=({"image": image} if image else {}) | environment,
        test={"inline": test},
        timing=SETTLED,
    )
    path = folder / "batch.yaml"
    path.write_text(json.dumps(manifest([history.faster], template=asked)))
    return path


def records(folder: Path) -> list[dict]:
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def written(places) -> dict[str, int]:
    """When everything below ``places`` was last changed."""
    return {str(path): path.lstat().st_ctime_ns for place in places for path in [place, *place.rglob("*")]}


def test_a_record_made_in_containers_differs_from_another_only_in_what_it_says_of_them(
    isobench, root, history, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    engine_places = [place for place in map(Path, ("/etc", "/var/lib", "/run/runc", "/run/libpod")) if place.is_dir()]
    before = written(engine_places)
    batch = write_batch(tmp_path, history)
    here = isobench("run", batch, "--work-root", tmp_path / "work", "--data-dir", tmp_path / "off", "--container=off")
    there = isobench("run", batch, "--work-root", root.path, "--data-dir", tmp_path / "on", "--container=on")
    assert (here.code, there.code) == (0, 0), here.out + there.out
    [without], [contained] = records(tmp_path / "off"), records(tmp_path / "on")
    assert contained.keys() == without.keys()
    assert contained["measurement"].keys() == without["measurement"].keys()
    [human] = [row for row in contained["measurement"]["comparisons"] if row["arms"] == ["base", "head"]]
    assert human["speedup"] > 1.5, "head does a third of base's work"
    assert contained["measurement"]["machine"].keys() == without["measurement"]["machine"].keys()

    isolation, plain = contained["measurement"]["isolation"], without["measurement"]["isolation"]
    assert plain["sandbox"] != isolation["sandbox"] == "podman"
    assert isolation.keys() - plain.keys() == {"image"}
    assert re.fullmatch("sha256:[0-9a-f]{64}", isolation["image"])
    assert isolation["before"]["interfaces_up"] in ([], ["lo"])
    assert isolation["before"]["pid_namespace"] is True
    assert isolation["before"]["shared_memory"] == "private"
    assert isolation["before"]["filesystem"] == plain["before"]["filesystem"]

    assert f"image={IMAGE};" in contained["version"]
    assert "image=local;" in without["version"]
    links = [(venv / "bin" / "python").readlink() for venv in root.environments.glob("*/venv")]
    assert {path.is_relative_to(PYTHON) for path in links} == {True}
    assert written(engine_places) == before, "the engine keeps everything in the work root"
    assert list((tmp_path / "home").iterdir()) == []


def test_timing_has_no_network_no_privileges_and_a_file_system_that_it_can_not_write(container, root):
    script = """
        echo process: $$
        echo interfaces: $(ls /sys/class/net)
        while read -r key value; do
            case $key in CapEff:|CapBnd:|NoNewPrivs:) echo $key $value;; esac
        done </proc/self/status
        for place in / /bin "$1" "$2"; do touch "$place/new" 2>/dev/null && echo wrote in ${place##*/}; done
        echo keys: $SOME_API_KEY
    """
    readable, writable = root.path / "inputs", root.path / "tmp"
    command = ["sh", "-c", script, "sh", str(readable), str(writable)]
    variables = os.environ | {"SOME_API_KEY": KEY}
    started = container.sandbox([readable], [writable]).wrap(command, scratch_mib=1)
    done = subprocess.run(started, capture_output=True, text=True, check=True, env=variables, stdin=subprocess.DEVNULL)
    assert done.stdout.splitlines() == [
        "process: 1",
        "interfaces: lo",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "wrote in tmp",
        "keys:",
    ]


def run_in(container, command, log, seconds=60.0, **variables):
    environment = {"PATH": container.image.path, **variables}
    return container.run(
        command, cwd=container.work_root / "tmp", environment=environment, timeout_seconds=seconds, log=log
    )


def test_a_build_command_runs_in_the_image_with_the_variables_it_is_given_and_no_others(
    container, tmp_path, monkeypatch
):
    monkeypatch.setenv("SOME_API_KEY", KEY)
    result = run_in(container, "type -p python3; pwd; env; exit 7", tmp_path / "log", UV_INDEX="https://a:b@c/")
    assert result.exit_code == 7
    assert result.tail.startswith(f"{PYTHON}/bin/python3\n{container.work_root}/tmp\n")
    assert "UV_INDEX=https://a:b@c/" in result.tail
    assert KEY not in result.tail
    logged = (tmp_path / "log").read_text()
    assert logged.startswith("$ type -p python3; pwd; env; exit 7\n"), "a person reads the command, not how it was run"


def test_a_persons_commands_install_the_arm_by_the_images_python(container, root, tmp_path, monkeypatch):
    write_pip(tmp_path / "links")
    for name, value in {"UV_OFFLINE": "1", "UV_FIND_LINKS": str(tmp_path / "links"), "SOME_API_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    tree = write_project(root.trees / "contained", {"__init__.py": ""})
    say = "import os, sys; print('by =', repr(sys.base_prefix)); print('key =', os.getenv('SOME_API_KEY'))"
    commands = [f'python -c "{say}" > swift/made.py', "pip --version", "uv pip install --no-deps ."]
    spec = EnvironmentSpec(image=IMAGE, install_commands=commands)
    built = container.builder().build(BuildRequest(tree=tree, tree_hash="c" * 40, distribution="swift", spec=spec))
    [made] = built.path.glob("venv/lib/python3*/site-packages/swift/made.py")
    assert made.read_text() == f"by = {str(PYTHON)!r}\nkey = None\n"
    assert not (tree / "swift" / "made.py").exists()


def test_a_password_in_a_variable_is_in_no_argument_list(container, tmp_path):
    meeting = container.work_root / "tmp" / "meeting"
    os.mkfifo(meeting)
    seen = {}

    def look():
        with meeting.open("w"):  # opens when the command has opened it too
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen[process.name] = (process / "cmdline").read_text()
                except (FileNotFoundError, ProcessLookupError):
                    continue

    observer = threading.Thread(target=look)
    observer.start()
    assert run_in(container, f"cat {meeting}", tmp_path / "log", UV_INDEX=f"https://me:{KEY}@c/").succeeded
    observer.join()
    assert any(str(meeting) in arguments for arguments in seen.values())
    assert not any(KEY in arguments for arguments in seen.values())


def test_a_command_that_does_not_end_is_ended_in_its_time_with_all_it_started(container, tmp_path):
    alive = open_pipe(container)
    result = run_in(container, f"(sleep 1000 >{alive}) & sleep 1000", tmp_path / "log", seconds=3.0)
    assert result.timed_out
    assert_closed(alive)


KILLED = """
import sys
from pathlib import Path
from isobench.adapters.isolation.container_engine import find_engine
from isobench.adapters.isolation.containers import open_container
work = Path(sys.argv[1])
container = open_container(find_engine(work / "containers"), sys.argv[2], work)
place = work / "tmp"
container.run(sys.argv[3], cwd=place, environment={"PATH": "/bin"}, timeout_seconds=600, log=place / "log")
"""


def open_pipe(container) -> Path:
    pipe = container.work_root / "tmp" / f"alive-{os.urandom(4).hex()}"
    os.mkfifo(pipe)
    return pipe


def assert_closed(pipe: Path, reader: int | None = None) -> None:
    """Nobody has ``pipe`` open for writing any more, within 30 s."""
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) if reader is None else reader
    try:
        poll = select.poll()
        poll.register(reader, select.POLLHUP)
        # A pipe that nobody has opened yet does not hang up: one writer comes and goes.
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        assert poll.poll(30_000), "a process still holds it"
    finally:
        os.close(reader)


def test_a_build_dies_with_isobench(container, root):
    pipe = open_pipe(container)
    command = f"exec 9>{pipe}; echo ready >&9; setsid sleep 1000 & sleep 1000"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(root.path), IMAGE, command]) as process:
        reader = os.open(pipe, os.O_RDONLY)
        assert os.read(reader, 6) == b"ready\n"
        os.kill(process.pid, signal.SIGKILL)
    assert_closed(pipe, reader)


def processes_with(argument: str) -> list[int]:
    """Every process of this machine that has this among its arguments."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_text().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if argument in arguments:
            found.append(int(process.name))
    return found


def test_a_timing_dies_with_isobench(root, history, tmp_path):
    batch = write_batch(tmp_path, history, test=TEST + "time.sleep(0.2)\n")
    arguments = ["run", str(batch), "--work-root", str(root.path), "--data-dir", str(tmp_path / "data")]
    with subprocess.Popen(
        [*ISOBENCH, *arguments, "--container=on", "--json"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        timing = next(event for event in map(json.loads, process.stdout) if event.get("pairs"))
        requests = root.runs.glob(f"**/{timing['item']}/probe/timing/request.json")
        request = max(requests, key=lambda path: path.stat().st_mtime_ns)
        descriptors = [os.pidfd_open(pid) for pid in processes_with(str(request))]
        process.kill()
    assert len(descriptors) >= 2, "podman and, in its container, the probe"
    for descriptor in descriptors:
        assert select.select([descriptor], [], [], 30)[0], "a process outlived isobench"
        os.close(descriptor)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (None, "environment.image: is not given, and --container=on builds and times in an image"),
        (
            "localhost/no-such:1",
            "environment.image: localhost/no-such:1 is not here: `podman pull localhost/no-such:1`",
        ),
    ],
)
def test_an_image_that_is_not_there_is_a_sentence_before_anything_is_done(
    isobench, root, history, tmp_path, image, sentence
):
    batch = write_batch(tmp_path, history, image=image)
    answer = isobench("run", batch, "--work-root", root.path, "--data-dir", tmp_path / "data", "--container=on")
    assert answer.code == 2
    assert sentence in answer.err
    assert len(answer.err.splitlines()) == 1


def test_without_an_engine_a_sentence_says_what_to_do(isobench, history, tmp_path):
    (tmp_path / "bin").mkdir()
    for program in ("git", "env", "sh"):
        (tmp_path / "bin" / program).symlink_to(subprocess.check_output(["which", program], text=True).strip())
    isobench.variables({"PATH": str(tmp_path / "bin")})
    answer = isobench("run", write_batch(tmp_path, history), "--work-root", tmp_path / "work", "--container=on")
    assert answer.code == 2
    assert "no container engine works for this user here: install podman" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_image_without_python_is_a_sentence(container, root, tmp_path):
    load_image(container.engine, write_image(tmp_path / "bare.tar", python=False), "localhost/bare:1")
    with pytest.raises(InvalidInput, match=r"localhost/bare:1 has no Python 3\.8 or later: take an image that has"):
        assert open_container(container.engine, "localhost/bare:1", root.path).pythons

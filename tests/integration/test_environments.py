"""Environments hold exactly the arm's code, are built once per set of inputs, and leave the tree as it was.

The projects bring their own build backend and their dependencies lie in a folder, so no registry is asked.
"""

import json
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from building.projects import ask, fingerprint, write_project, write_tree, write_wheel
from isobench.adapters.made_once import MARKER
from isobench.adapters.python.built_environment import BuildRequest, BuiltEnvironment
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.adapters.python.interpreters import Interpreter, interpreters
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import EnvironmentSpec

MODULES = {"__init__.py": "from swift.core import run\n", "core.py": "def run(n=1):\n    return n\n"}


@pytest.fixture
def tree(tmp_path):
    return write_project(tmp_path / "tree", MODULES)


def request_for(tree: Path, **options) -> BuildRequest:
    spec = EnvironmentSpec(**options.pop("spec", {}))
    defaults = {"tree": tree, "tree_hash": "a" * 40, "distribution": "swift", "spec": spec}
    return BuildRequest(**{**defaults, **options})


def built(environment: BuiltEnvironment) -> int:
    """How often the arm's wheel was built."""
    return environment.log.read_text().count("built swift")


def test_the_arms_own_code_is_installed_with_its_bytecode(builder, tree):
    environment = builder.build(request_for(tree))

    file = Path(ask(environment, "import swift; print(swift.__file__)"))
    assert file.is_relative_to(environment.path / "venv")
    assert list((file.parent / "__pycache__").glob("core.*.pyc"))
    assert ask(environment, "import sys; print('%d.%d.%d' % sys.version_info[:3])") == environment.python_version
    assert not environment.reused
    assert environment.lock == ()
    assert environment.notes == ()


def test_the_tree_is_only_read(builder, tree):
    before = fingerprint(tree)

    builder.build(request_for(tree))

    assert fingerprint(tree) == before
    assert not (tree / "build-leftover.txt").exists()


@pytest.mark.slow
def test_nothing_is_written_outside_the_work_root(builder, tree, tmp_path):
    environment = builder.build(request_for(tree, spec={"setup_commands": ["echo $HOME $TMPDIR; touch ~/x"]}))

    work = tmp_path / "work"
    home, temporary = environment.log.read_text().split("touch ~/x\n")[1].splitlines()[0].split()
    assert Path(home).is_relative_to(work / "tmp")
    assert Path(temporary).is_relative_to(work / "tmp")
    assert list((work / "tmp").iterdir()) == []
    assert {path.name for path in work.iterdir()} == {"environments", "tmp", "uv-cache"}


def test_the_same_inputs_are_built_once_and_found_without_starting_anything(builder, tree, person, tmp_path):
    first = builder.build(request_for(tree))
    without_uv = EnvironmentBuilder(tmp_path / "work", tmp_path / "no-uv", person)

    second = without_uv.build(request_for(tree))

    assert second.reused
    assert replace(second, reused=False, seconds=first.seconds) == first
    assert built(second) == 1


@pytest.mark.parametrize(
    "different",
    [
        {"tree_hash": "b" * 40},
        {"replica": 1},
        {"committed_at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"spec": {"setup_commands": ["true"]}},
    ],
)
def test_other_inputs_are_another_environment_at_a_path_of_equal_length(builder, tree, different):
    first = builder.build(request_for(tree))

    second = builder.build(request_for(tree, **different))

    assert not second.reused
    assert second.path != first.path
    assert len(str(second.python)) == len(str(first.python))


def test_the_control_arm_is_built_separately_and_holds_the_same(builder, tree):
    base = builder.build(request_for(tree))
    control = builder.build(request_for(tree, replica=1, like=base))

    assert built(base) == built(control) == 1
    assert control.install_sha == base.install_sha
    files = [set(fingerprint(arm.path / "venv" / "lib")) for arm in (base, control)]
    assert files[0] == files[1]
    inodes = [{path.stat().st_ino for path in (arm.path / "venv" / "lib").rglob("*.py*")} for arm in (base, control)]
    assert not inodes[0] & inodes[1]


def test_an_environment_without_its_marker_is_made_again(builder, tree):
    first = builder.build(request_for(tree))
    (first.path / MARKER).unlink()
    (first.path / "venv" / "half-done").write_text("")

    again = builder.build(request_for(tree))

    assert not again.reused
    assert not (again.path / "venv" / "half-done").exists()
    assert ask(again, "import swift; print(swift.run())") == "1"


def build_elsewhere(tmp_path: Path, tree: Path, person: dict[str, str]) -> subprocess.Popen[str]:
    """A process of its own that builds the environment for `request_for(tree)` and prints whether it was there."""
    program = """
import json, sys
from pathlib import Path
from isobench.adapters.python.built_environment import BuildRequest
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.spec import EnvironmentSpec
work, tree, person = sys.argv[1:]
builder = EnvironmentBuilder(Path(work), find_uv(), json.loads(person))
print(builder.build(BuildRequest(Path(tree), "a" * 40, "swift", EnvironmentSpec())).reused)
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "work"), str(tree), json.dumps(person)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_that_want_the_same_build_it_once(builder, tree, person, tmp_path):
    processes = [build_elsewhere(tmp_path, tree, person) for _ in range(3)]

    answers = sorted(process.communicate()[0].strip() for process in processes)

    assert answers == ["False", "True", "True"]
    assert built(builder.build(request_for(tree))) == 1


def test_a_build_that_is_killed_half_way_is_made_again(builder, tree, person, tmp_path):
    address = str(tmp_path / "s")
    wait = f"import os, socket\nif os.path.exists({address!r}):\n    s = socket.socket(socket.AF_UNIX)\n"
    wait += f"    s.connect({address!r})\n    s.recv(1)\n"
    (tree / "backend.py").write_text(wait + (tree / "backend.py").read_text())
    with socket.socket(socket.AF_UNIX) as backends:
        backends.bind(address)
        backends.listen()
        backends.settimeout(60)
        isobench = build_elsewhere(tmp_path, tree, person)
        backend, _ = backends.accept()
        isobench.kill()
        isobench.communicate()
        assert backend.recv(1) == b""  # the backend has died too
        backend.close()
    Path(address).unlink()

    environment = builder.build(request_for(tree))

    assert not environment.reused
    assert built(environment) == 1
    assert ask(environment, "import swift; print(swift.run())") == "1"


def test_backends_may_ask_for_more(builder, tmp_path, links):
    write_wheel(links, "toolbox", "2.0")
    tree = write_project(tmp_path / "tree", MODULES, build_requires=["toolbox>=1"])

    environment = builder.build(request_for(tree))

    assert built(environment) == 1
    assert environment.lock == ()


def test_dependencies_are_bases_versions_for_every_arm(builder, tmp_path, links):
    write_wheel(links, "gear", "1.0")
    base = builder.build(request_for(write_project(tmp_path / "base", MODULES, requires=["gear"])))
    write_wheel(links, "gear", "2.0")

    head = builder.build(
        request_for(write_project(tmp_path / "head", MODULES, requires=["gear"]), tree_hash="b" * 40, like=base)
    )

    assert base.lock == head.lock == ("gear==1.0",)
    assert head.notes == ()


def test_an_arm_that_needs_other_versions_gets_them_and_says_so(builder, tmp_path, links):
    write_wheel(links, "gear", "1.0")
    write_wheel(links, "belt", "1.0")
    base = builder.build(request_for(write_project(tmp_path / "base", MODULES, requires=["gear", "belt"])))
    write_wheel(links, "gear", "2.0")
    write_wheel(links, "belt", "2.0")

    tree = write_project(tmp_path / "head", MODULES, requires=["gear>=2", "belt"])
    head = builder.build(request_for(tree, tree_hash="b" * 40, like=base))

    assert head.lock == ("belt==1.0", "gear==2.0")
    assert head.notes == ("dependencies differ from base's: gear 1.0 -> 2.0",)


def test_an_arm_that_does_not_allow_bases_python_says_so(builder, tmp_path, tree):
    oldest, newest = interpreters()[-1].version, interpreters()[0].version
    base = builder.build(request_for(tree, spec={"python": oldest}))
    main = write_project(tmp_path / "main", MODULES, declared=f'[project]\nrequires-python = ">={newest}"\n')

    environment = builder.build(request_for(main, tree_hash="b" * 40, like=base))

    assert environment.python_version == newest
    assert environment.notes == (f"base's Python {oldest} is not allowed here: built on {newest}",)


@pytest.mark.slow
def test_what_can_not_be_resolved_as_of_its_time_is_resolved_as_of_today(builder, tmp_path):
    declared = "# when releases of that time are all that counts, setup fails\n"
    tree = write_project(tmp_path / "tree", MODULES, declared=declared)
    spec = {"setup_commands": ['test -z "$UV_EXCLUDE_NEWER"']}

    environment = builder.build(request_for(tree, spec=spec, committed_at=datetime(2020, 1, 1, tzinfo=UTC)))

    assert environment.as_of is None
    assert len(environment.notes) == 1
    assert environment.notes[0].startswith("resolving dependencies as of 2020-04-01 did not work: ")


def test_the_version_comes_from_the_request_where_the_project_would_ask_git(builder, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES, declared="[tool.setuptools_scm]\n")

    environment = builder.build(request_for(tree, version="7.8.dev9"))

    assert ask(environment, "import importlib.metadata as m; print(m.version('swift'))") == "7.8.dev9"


def test_a_version_that_the_project_does_not_ask_for_is_no_input(builder, tree):
    assert builder.build(request_for(tree, version="1")).key == builder.build(request_for(tree, version="2")).key


@pytest.mark.slow
def test_install_commands_run_in_the_tree_with_the_environment_active(builder, tmp_path):
    tree = write_tree(tmp_path / "tree", {"swift.py": "", "tool/setup.sh": "echo tool"})
    before = fingerprint(tree)
    commands = [
        "sh tool/setup.sh && pip --version",
        'echo "$(pwd)" > "$(python -c "import site; print(site.getsitepackages()[0])")/swift.pth"',
    ]

    environment = builder.build(request_for(tree, spec={"install_commands": commands}))

    assert Path(ask(environment, "import swift; print(swift.__file__)")).is_relative_to(environment.path / "source")
    assert f"from {environment.path}" in environment.log.read_text()
    assert fingerprint(tree) == before


@pytest.mark.slow
def test_install_commands_are_held_to_bases_versions(builder, tmp_path, links):
    write_wheel(links, "gear", "1.0")
    tree = write_tree(tmp_path / "tree", {"swift.py": ""})
    spec = {"install_commands": ["uv pip install gear"]}
    base = builder.build(request_for(tree, spec=spec))
    write_wheel(links, "gear", "2.0")

    head = builder.build(request_for(tree, tree_hash="b" * 40, spec=spec, like=base))

    assert "gear==1.0" in head.lock
    assert head.lock == base.lock


@pytest.mark.slow
def test_the_folder_that_is_built_is_named_as_versioneer_wants_it(builder, tmp_path):
    files = {"setup.cfg": "[versioneer]\nparentdir_prefix = swift-\n", "setup.py": ""}
    tree = write_tree(tmp_path / "tree", files)

    environment = builder.build(request_for(tree, version="7.8", spec={"install_commands": ["pwd"]}))

    assert f"\n{environment.path}/source/swift-7.8\n" in environment.log.read_text()


def test_a_work_root_may_have_a_space_in_its_name(tmp_path, person, links):
    write_wheel(links, "gear", "1.0")
    tree = write_project(tmp_path / "a tree", MODULES, requires=["gear"])

    environment = EnvironmentBuilder(tmp_path / "work root", find_uv(), person).build(request_for(tree))

    assert environment.lock == ("gear==1.0",)
    assert ask(environment, "import swift; print(swift.run())") == "1"


def test_requirements_are_installed_and_the_tree_put_on_the_path(builder, tmp_path, links):
    write_wheel(links, "gear", "1.0")
    tree = write_tree(tmp_path / "tree", {"swift.py": "import gear\n", "requirements.txt": "gear\n"})

    environment = builder.build(request_for(tree))

    assert environment.lock == ("gear==1.0",)
    assert Path(ask(environment, "import swift; print(swift.__file__)")).is_relative_to(environment.path / "source")


@pytest.mark.slow
def test_no_secret_reaches_a_build(tmp_path, person, tree):
    person |= {"OPENAI_API_KEY": "secret-value", "HF_TOKEN": "secret-value", "HOME": "/somebody"}
    spec = {"setup_commands": ["env"]}

    environment = EnvironmentBuilder(tmp_path / "work", find_uv(), person).build(request_for(tree, spec=spec))

    log = environment.log.read_text()
    assert "secret-value" not in log
    assert "/somebody" not in log
    assert "UV_OFFLINE=1" in log


def test_a_tree_that_can_not_be_written_is_built_all_the_same(builder, tree):
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    assert ask(builder.build(request_for(tree)), "import swift; print(swift.run())") == "1"


def failure_of(builder: EnvironmentBuilder, request: BuildRequest) -> ItemFailure:
    with pytest.raises(ItemFailure) as failure:
        builder.build(request)
    return failure.value


def test_a_failing_build_gives_its_last_lines_and_is_tried_again_the_next_time(builder, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    (tree / "backend.py").write_text("def build_wheel(*args):\n    raise SystemExit('the gears are missing')\n")

    failure = failure_of(builder, request_for(tree))

    assert failure.reason is Reason.BUILD_FAILED
    assert "swift" in failure.message
    assert failure.message.endswith("the gears are missing")
    assert len(failure.message) < 1024
    write_project(tree, MODULES)
    assert not builder.build(request_for(tree)).reused


def test_a_backend_that_fails_to_say_what_it_requires_is_a_failed_build(builder, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    (tree / "backend.py").write_text("def get_requires_for_build_wheel(*args):\n    raise KeyError('whatever')\n")

    assert "KeyError: 'whatever'" in failure_of(builder, request_for(tree)).message


def test_a_dependency_that_is_nowhere_is_named(builder, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES, requires=["unheard-of"])

    assert "unheard-of" in failure_of(builder, request_for(tree)).message


def test_a_build_that_hangs_is_ended_at_its_time_limit(builder, tree):
    (tree / "backend.py").write_text("def build_wheel(*args):\n    import time\n    time.sleep(1000)\n")

    failure = failure_of(builder, request_for(tree, spec={"build_timeout_seconds": 1}))

    assert failure.reason is Reason.BUILD_FAILED
    assert "was ended at the build's time limit" in failure.message


def test_a_command_that_was_refused_for_want_of_root_is_told_where_it_belongs(builder, tree):
    spec = {"setup_commands": ["echo 'are you root?' >&2; exit 100"]}

    assert "system packages belong in the image" in failure_of(builder, request_for(tree, spec=spec)).message


def test_a_command_that_was_killed_ran_out_of_memory_as_far_as_anybody_can_tell(builder, tree):
    failure = failure_of(builder, request_for(tree, spec={"setup_commands": ["kill -KILL $$"]}))

    assert failure.reason is Reason.OUT_OF_MEMORY
    assert "raise environment.resources" in failure.message


def test_no_python_here_names_what_is_wanted_and_what_is_here(tmp_path, person):
    tree = write_project(tmp_path / "tree", MODULES, declared='[project]\nrequires-python = "==3.8.*"\n')
    only = [Interpreter(Path(sys.executable), "3.13.0")]

    failure = failure_of(EnvironmentBuilder(tmp_path / "work", find_uv(), person, lambda: only), request_for(tree))

    assert failure.reason is Reason.BUILD_FAILED
    assert "'==3.8.*'" in failure.message
    assert "3.13.0" in failure.message


def test_what_is_no_python_project_is_a_failed_build(builder, tmp_path):
    tree = write_tree(tmp_path / "tree", {"main.c": "int main;"})

    assert "not a Python project and no installCommands" in failure_of(builder, request_for(tree)).message

"""An environment that was derived from another is the one that its own build would have made.

The project brings its own build backend, so that no registry is asked.
"""

import os
import shutil
from pathlib import Path

import pytest

from building.projects import ask, fingerprint, write_project, write_tree
from isobench.adapters.python.built_environment import BuildRequest, BuiltEnvironment
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.spec import EnvironmentSpec

MODULES = {
    "__init__.py": "from swift.core import run\n",
    "core.py": "def run():\n    raise ValueError('slow')\n",
    "plain.py": "name = 'plain'\n",
}
FASTER = {"core.py": "def run():\n    raise ValueError('fast')\n"}


@pytest.fixture
def base(tmp_path):
    return write_project(tmp_path / "base", MODULES)


@pytest.fixture
def head(base, tmp_path):
    """Base's tree with another `core.py`."""
    shutil.copytree(base, tmp_path / "head")
    return write_tree(tmp_path / "head", {f"swift/{name}": text for name, text in FASTER.items()})


def request_for(tree: Path, **options) -> BuildRequest:
    digest = "".join(f"{ord(letter):x}" for letter in tree.name).ljust(40, "0")[:40]
    return BuildRequest(tree=tree, tree_hash=digest, distribution="swift", spec=EnvironmentSpec(), **options)


def was_built(environment: BuiltEnvironment) -> bool:
    """Whether the arm's own backend was run for it."""
    return environment.log.exists() and "built swift" in environment.log.read_text()


def contents(environment: BuiltEnvironment) -> dict[str, bytes]:
    """Every file but bytecode, without the folder's own name."""
    own = os.fsencode(environment.path)
    return {
        name: content.replace(own, b"")
        for name, (_, _, content) in fingerprint(environment.path / "venv").items()
        if not name.endswith(".pyc")
    }


def test_a_changed_module_is_taken_over_without_a_build(builder, base, head):
    first = builder.build(request_for(base))
    second = builder.build(request_for(head))

    assert was_built(first)
    assert not was_built(second)
    traceback = "import sys, traceback, swift\ntry: swift.run()\n"
    traceback += "except ValueError: traceback.print_exc(file=sys.stdout)"
    assert "fast" in ask(second, traceback)
    assert str(second.path) in ask(second, traceback)
    assert str(first.path) not in ask(second, traceback)
    assert "slow" in ask(first, traceback)


def test_it_is_the_same_as_its_own_build(builder, base, head, tmp_path):
    builder.build(request_for(base))
    derived = builder.build(request_for(head))
    elsewhere = EnvironmentBuilder(tmp_path / "else", find_uv(), builder.place.person)
    own = elsewhere.build(request_for(head))

    assert was_built(own)
    assert not was_built(derived)
    ours, theirs = contents(derived), contents(own)
    assert ours.keys() == theirs.keys()
    differing = {Path(name).name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"direct_url.json", "uv_cache.json", "RECORD"}, "where and when the wheel was"
    assert (derived.lock, derived.as_of, derived.notes) == (own.lock, own.as_of, own.notes)
    assert derived.install_sha == own.install_sha


def test_bytecode_is_that_of_the_changed_source(builder, base, head):
    builder.build(request_for(base))
    environment = builder.build(request_for(head))

    check = "import importlib.util, swift.core as c, pathlib, marshal\n"
    check += "code = marshal.loads(pathlib.Path(importlib.util.cache_from_source(c.__file__)).read_bytes()[16:])\n"
    check += "print([k.co_consts for k in code.co_consts if hasattr(k, 'co_consts')])"
    assert "fast" in ask(environment, check)


def test_no_file_is_shared_between_arms(builder, base, head):
    first, second = builder.build(request_for(base)), builder.build(request_for(head))
    inodes = [
        {
            path.stat().st_ino
            for path in (environment.path / "venv").rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        for environment in (first, second)
    ]
    assert inodes[0].isdisjoint(inodes[1])


def test_a_control_arm_descends_from_control_arms_only(builder, base, head):
    builder.build(request_for(base))
    control = builder.build(request_for(base, replica=1))
    later = builder.build(request_for(head, replica=1))

    assert was_built(control)
    assert not was_built(later)


def test_what_the_backend_reads_is_built(builder, base, head):
    builder.build(request_for(base))
    (head / "about.json").write_text((head / "about.json").read_text() + "\n")
    assert was_built(builder.build(request_for(head)))


def test_a_person_s_setup_commands_are_run_for_every_arm(builder, base, head):
    spec = EnvironmentSpec(setup_commands=["echo prepared"])
    for tree in (base, head):
        request = request_for(tree)
        environment = builder.build(BuildRequest(**{**vars(request), "spec": spec}))
        assert was_built(environment)

"""Builds share a folder and not their arms' environments: what a build does to a finished one ends the item."""

import os
import subprocess
from pathlib import Path

import pytest

from building.items import BASE, HEAD, MAIN, NOON, spec
from building.projects import BACKEND, write_project
from isobench.adapters.files import read_model
from isobench.adapters.python.built_environment import BuildRequest
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.contracts.prepared import CommitSummary, Fetched, FetchedArm, Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import EnvironmentSpec
from isobench.engine.workspace import Workspace
from isobench.stages.build import BuildPorts, build

COMMITS = {"base": BASE, "head": HEAD, "main": MAIN}
MODULES = {"__init__.py": "from swift.core import run\n", "core.py": "def run(n=1):\n    return n\n"}

OTHERS = """
import os, pathlib

for venv in pathlib.Path.cwd().parents[2].glob("*/venv"):
    packages = next(venv.glob("lib/python3*/site-packages"))
    module = packages / "swift" / "core.py"
    if module.exists():
        {act}
"""
ACTS = {
    "rewritten, with its times put back": (
        "was = module.stat(); module.write_text(module.read_text().replace('return n', 'return 2'));"
        " os.utime(module, ns=(was.st_atime_ns, was.st_mtime_ns))"
    ),
    "something that every start runs": "(packages / 'slow.pth').write_text('import time; time.sleep(0)')",
    "a folder closed": "module.parent.chmod(0)",
    "bytecode removed": "[path.unlink() for path in (module.parent / '__pycache__').iterdir()]",
    "its facts": "(venv.parent / 'made.json').write_text('{}')",
    "what it came from": "(venv.parent / 'origin.json').write_text('{}')",
    "nothing but another name": "os.link(module, pathlib.Path.cwd() / 'mine.py')",
}


@pytest.fixture
def builder(tmp_path):
    return EnvironmentBuilder(tmp_path / "work", find_uv(), {"PATH": os.environ["PATH"], "UV_OFFLINE": "1"})


@pytest.fixture
def ports(tmp_path, builder):
    (tmp_path / "item").mkdir()
    return BuildPorts(Workspace(tmp_path / "item"), builder, image=None, tell=lambda text: None)


def fetched(folder: Path, **backends: str) -> Fetched:
    """Arms of a project by their build backends, in this order."""
    arms = []
    for number, (name, backend) in enumerate(backends.items()):
        tree = write_project(folder / name, MODULES)
        (tree / "backend.py").write_text(backend)
        digest = f"{number:040x}"
        arms.append(FetchedArm(name=name, commit=COMMITS[name], tree=str(tree), tree_hash=digest, committed_at=NOON))
    commits = CommitSummary(
        repo="fast/swift",
        instance_id="fast__swift-PR-12",
        created_at=NOON.isoformat(),
        base_commit=BASE,
        head_commit=HEAD,
        patch="",
        message="",
        subject="",
    )
    return Fetched(commits=commits, arms=arms, base_version="1.0", test_supplied=True)


def hostile(act: str, after: str = BACKEND) -> str:
    return OTHERS.format(act=ACTS[act]) + after


def test_arms_that_keep_to_their_own_are_prepared(tmp_path, ports):
    build(spec(), fetched(tmp_path, base=BACKEND, head=BACKEND, main=BACKEND), ports)
    prepared = read_model(ports.workspace.prepared, Prepared)
    assert [(arm.name, arm.ready) for arm in prepared.arms] == [("base", True), ("head", True), ("main", True)]


@pytest.mark.parametrize("act", ACTS)
def test_a_build_that_touches_a_finished_environment_ends_the_item(tmp_path, ports, act):
    with pytest.raises(ItemFailure) as ended:
        build(spec(), fetched(tmp_path, base=BACKEND, head=hostile(act)), ports)
    assert ended.value.reason is Reason.BUILD_FAILED
    assert "while head was built, the finished environment of base changed" in ended.value.message
    assert not ports.workspace.prepared.exists()


def test_so_does_one_of_an_arm_that_could_be_left_out(tmp_path, ports):
    failing = hostile("something that every start runs", after="raise SystemExit('no compiler here')\n")
    with pytest.raises(ItemFailure, match="while main was built, the finished environment of base and head changed"):
        build(spec(), fetched(tmp_path, base=BACKEND, head=BACKEND, main=failing), ports)


def test_an_environment_that_was_touched_is_built_anew(tmp_path, ports, builder):
    arms = fetched(tmp_path, base=BACKEND, head=hostile("rewritten, with its times put back"))
    with pytest.raises(ItemFailure):
        build(spec(), arms, ports)

    base = arms.arms[0]
    again = builder.build(
        BuildRequest(
            tree=Path(base.tree),
            tree_hash=base.tree_hash,
            distribution="swift",
            spec=EnvironmentSpec(),
            version="1.0",
            committed_at=NOON,
        )
    )
    assert not again.reused
    told = subprocess.run([again.python, "-c", "import swift; print(swift.run())"], capture_output=True, check=True)
    assert told.stdout == b"1\n"

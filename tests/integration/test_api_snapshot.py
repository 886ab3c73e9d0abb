"""The snapshot lists what can be imported from where, in every Python that isobench supports, without running it."""

import json

import pytest

from building.projects import write_project, write_tree
from isobench.adapters.python.api_snapshot import MEMORY, read_names, take_snapshot
from isobench.adapters.python.built_environment import BuildRequest
from isobench.adapters.python.interpreters import interpreters
from isobench.contracts.record import ApiSummary
from isobench.contracts.spec import EnvironmentSpec

MODULES = {
    "__init__.py": "import os\nfrom os import path\nfrom .core import *\nfrom swift.shapes import Circle as Round\n",
    "core.py": """
__all__ = ["run", "_listed"]
_listed = 1
raise_if_imported = 1 / 0
def run(a, b=1, *, c): ...
async def later(): ...
def _private(): ...
try:
    from swift._speed import fast
except ImportError:
    def fast(n): ...
if True:
    x, (y, *z) = 1, (2, 3)
""",
    "shapes/__init__.py": "class Circle:\n    def __init__(self, radius): ...\nclass Empty: ...\n",
    "broken.py": "def (",
    "tests/test_core.py": "leaked = 1\n",
}


@pytest.fixture
def build(builder):
    return lambda tree, **spec: builder.build(BuildRequest(tree, "a" * 40, "swift", EnvironmentSpec(**spec)))


@pytest.mark.parametrize("python", [interpreters()[0].version, interpreters()[-1].version])
def test_public_names_by_module(build, tmp_path, python):
    tree = write_project(tmp_path / "tree", MODULES)

    snapshot = take_snapshot(build(tree, python=python), tree)

    assert snapshot is not None
    core = {"run", "_listed", "raise_if_imported", "later", "fast", "x", "y", "z"}
    assert snapshot.names == {
        "swift": core | {"Round"},
        "swift.core": core,
        "swift.shapes": {"Circle", "Empty"},
    }
    assert snapshot.summary == ApiSummary(modules_scanned=3, symbols_collected=19, errors=1)


def test_signatures_distribution_and_errors_are_in_the_manifest(build, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    environment = build(tree)

    snapshot = take_snapshot(environment, tree)

    manifest = json.loads(snapshot.path.read_text())
    assert manifest["modules"]["swift.core"]["run"] == "(a, b=1, *, c)"
    assert manifest["modules"]["swift"]["run"] == "(a, b=1, *, c)"
    assert manifest["modules"]["swift.shapes"] == {"Circle": "(radius)", "Empty": "()"}
    assert manifest["distributions"] == {"swift": "1.0"}
    assert manifest["python"] == environment.python_version
    assert manifest["errors"]["swift.broken"].startswith("SyntaxError")
    assert read_names(snapshot.path) == snapshot.names


def test_a_snapshot_is_taken_once(build, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    environment = build(tree)
    first = take_snapshot(environment, tree)
    (environment.path / "venv" / "bin" / "python").unlink()

    assert take_snapshot(environment, tree) == first


@pytest.mark.slow
def test_what_is_not_installed_is_read_from_the_tree(build, tmp_path):
    files = {
        "swift/__init__.py": "a = 1\n",
        "src/deep/__init__.py": "b = 1\n",
        "lone.py": "c = 1\n",
        "docs/conf.py": "d = 1\n",
    }
    tree = write_tree(tmp_path / "tree", files | {"tests/__init__.py": "e = 1\n"})

    snapshot = take_snapshot(build(tree, install_commands=["true"]), tree)

    assert snapshot.names == {"swift": {"a"}, "deep": {"b"}, "lone": {"c"}}


def test_a_snapshot_that_can_not_be_taken_is_none_and_logged(build, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    environment = build(tree)
    (environment.path / "venv" / "bin" / "python").unlink()

    assert take_snapshot(environment, tree) is None
    assert "not found" in environment.log.read_text()
    assert not list(environment.path.glob("*api*"))


def test_what_has_not_changed_is_not_parsed_again(build, tmp_path):
    tree = write_project(tmp_path / "tree", MODULES)
    environment = build(tree)
    first = take_snapshot(environment, tree)
    memory = environment.path / MEMORY
    remembered = json.loads(memory.read_text())
    core = next(key for key, found in remembered.items() if "_listed" in found["names"] and not found["stars"])
    remembered[core]["names"] = {"remembered": ""}
    memory.write_text(json.dumps(remembered))
    (environment.path / "api.json").unlink()

    second = take_snapshot(environment, tree)

    assert first is not None
    assert second is not None
    assert second.names["swift.core"] == {"remembered"}
    assert second.names["swift.shapes"] == first.names["swift.shapes"]

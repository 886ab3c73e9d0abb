"""Small Python projects, their own build backend, and wheels to depend on: real builds that need no registry."""

import ensurepip
import json
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from isobench.adapters.python.built_environment import BuiltEnvironment

# It writes beside the code, as setuptools does, and takes its version as setuptools_scm does.
BACKEND = """
import json, os, pathlib, zipfile

ABOUT = json.loads(pathlib.Path("about.json").read_text())

def get_requires_for_build_wheel(config_settings=None):
    return ABOUT["build_requires"]

def build_wheel(out, config_settings=None, metadata_directory=None):
    pathlib.Path("build-leftover.txt").write_text("dirt")
    version = os.environ.get("SETUPTOOLS_SCM_PRETEND_VERSION", "1.0")
    info = f"{ABOUT['name']}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {line}\\n" for line in ABOUT["requires"])
    files = {str(path): path.read_text() for path in sorted(pathlib.Path(ABOUT["name"]).rglob("*.py"))}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\\nName: {ABOUT['name']}\\nVersion: {version}\\n{requires}"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\\n" for name in [*files, f"{info}/RECORD"])
    wheel = f"{ABOUT['name']}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(out, wheel), "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    print("built", wheel)
    return wheel
"""


def write_tree(tree: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tree


def write_project(
    tree: Path,
    modules: Mapping[str, str],
    requires: Sequence[str] = (),
    build_requires: Sequence[str] = (),
    declared: str = "",
) -> Path:
    """A project called `swift`, built by a backend of its own; ``modules`` are the files of its package."""
    about = {"name": "swift", "requires": list(requires), "build_requires": list(build_requires)}
    pyproject = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n' + declared
    files = {"pyproject.toml": pyproject, "backend.py": BACKEND, "about.json": json.dumps(about)}
    return write_tree(tree, files | {f"swift/{name}": text for name, text in modules.items()})


def write_wheel(links: Path, name: str, version: str) -> None:
    """A wheel of one empty module, in the folder ``links`` that uv and pip are told to look in."""
    links.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(links / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def write_pip(links: Path) -> None:
    """The pip that Python brings along, where uv finds it."""
    links.mkdir(parents=True, exist_ok=True)
    for wheel in Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"):
        shutil.copy(wheel, links)


def fingerprint(tree: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file of a tree with its mode, modification time and content."""
    return {
        str(path.relative_to(tree)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


def ask(environment: BuiltEnvironment, code: str) -> str:
    """What ``code`` prints in the environment."""
    command = [environment.python, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", env={}).stdout.strip()

"""Pythons are found by running what looks like one."""

import platform
import sys
import venv
from pathlib import Path

import pytest

from isobench.adapters.python.interpreters import find_interpreters


@pytest.fixture
def here():
    """The Python that runs this test, outside its virtual environment."""
    return Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}").resolve()


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def executables(environment: dict[str, str]) -> list[Path]:
    return [interpreter.executable for interpreter in find_interpreters(environment)]


def test_a_virtual_environments_python_is_the_one_that_it_was_made_from(tmp_path, here):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)

    found = find_interpreters({"PATH": str(tmp_path / "venv" / "bin"), "HOME": str(tmp_path)})

    assert platform.python_version() in [interpreter.version for interpreter in found]
    assert not [interpreter for interpreter in found if interpreter.executable.is_relative_to(tmp_path)]


def test_pyenvs_version_folders_are_searched_by_root_and_by_home(tmp_path, here):
    folder = tmp_path / ".pyenv" / "versions" / "9.9" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(here)

    assert here in executables({"PYENV_ROOT": str(tmp_path / ".pyenv")})
    assert here in executables({"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "text",
    [
        "echo 'pyenv: python3: command not found' >&2; exit 127",
        "echo 3.12.1",
        "printf '/nowhere/python3\\n2.7.18\\n'",
        "printf '\\377\\n'",
    ],
    ids=["a shim that refuses", "something else", "too old", "garbage"],
)
def test_what_does_not_answer_as_a_python_does_is_passed_over(tmp_path, text):
    script(tmp_path / "bin" / "python3", text)

    assert not [path for path in executables({"PATH": str(tmp_path / "bin")}) if "nowhere" in str(path)]


def test_a_broken_link_and_a_folder_that_is_not_there_are_passed_over(tmp_path, here):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(tmp_path / "gone")

    assert tmp_path / "gone" not in executables({"PATH": f"{tmp_path / 'bin'}:{tmp_path / 'nowhere'}:{here.parent}"})


def test_the_newest_comes_first_and_each_version_once():
    versions = [tuple(map(int, found.version.split("."))) for found in find_interpreters({"PATH": "", "HOME": "/"})]

    assert versions == sorted(set(versions), reverse=True)

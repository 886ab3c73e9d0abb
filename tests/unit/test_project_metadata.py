"""What a project says of itself is read from the texts of its files, however old its way of saying it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.project_metadata import BuildSystem, read_project

LEGACY = BuildSystem(("setuptools>=40.8.0", "wheel"), "setuptools.build_meta:__legacy__", ())


def test_a_modern_project():
    project = read_project(
        {
            "pyproject.toml": """
            [build-system]
            requires = ["hatchling", "hatch-vcs"]
            build-backend = "hatchling.build"
            [project]
            name = "swift"
            requires-python = ">=3.9"
            classifiers = ["Programming Language :: Python :: 3", "Programming Language :: Python :: 3.11"]
        """,
            ".python-version": "3.10.2\n3.9\n",
        }
    )

    assert project.name == "swift"
    assert project.requires_python == ">=3.9"
    assert project.tested_pythons == {"3.11"}
    assert project.pinned_python == "3.10.2"
    assert project.build_system == BuildSystem(("hatchling", "hatch-vcs"), "hatchling.build", ())
    assert project.versioned_by_history


def test_setup_cfg():
    project = read_project(
        {
            "setup.cfg": """[metadata]
name = swift
classifiers =
    Programming Language :: Python :: 3.8
[options]
python_requires = >=3.6
""",
        }
    )

    assert (project.name, project.requires_python, project.tested_pythons) == ("swift", ">=3.6", {"3.8"})
    assert project.build_system == LEGACY


def test_setup_py_is_read_without_running_it():
    project = read_project(
        {
            "setup.py": """
import setuptools
raise SystemExit("never")
NEEDS = ">=3.7, <4"
setuptools.setup(
    name="swift", version=computed(), python_requires=NEEDS, classifiers=["Programming Language :: Python :: 3.9"]
)
""",
        }
    )

    assert (project.name, project.requires_python, project.tested_pythons) == ("swift", ">=3.7, <4", {"3.9"})
    assert project.build_system == LEGACY
    assert not project.versioned_by_history


@pytest.mark.parametrize(
    ("constraint", "specifier"),
    [
        ("^3.8", ">=3.8,<4"),
        ("^3.6.2", ">=3.6.2,<4"),
        ("~3.9", ">=3.9,==3.9.*"),
        (">=3.7,<3.12", ">=3.7,<3.12"),
        ("~=3.9", "~=3.9"),
        ("*", ""),
        ("3.9.*", "==3.9.*"),
    ],
)
def test_poetrys_constraints(constraint, specifier):
    text = f'[tool.poetry]\nname = "swift"\n[tool.poetry.dependencies]\npython = "{constraint}"\n'

    assert read_project({"pyproject.toml": text}).requires_python == specifier


@pytest.mark.parametrize(
    "tools", ["setuptools_scm", "setuptools-scm", "pbr", "versioneer", "poetry-dynamic-versioning"]
)
def test_a_tool_that_asks_git_for_the_version_is_noticed(tools):
    assert read_project({"setup.py": f"setup(setup_requires=['{tools}'])"}).versioned_by_history


def test_versioneers_folder_prefix():
    files = {"setup.py": "", "setup.cfg": "[versioneer]\nVCS = git\nparentdir_prefix = swift-\n"}

    assert read_project(files).parentdir_prefix == "swift-"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"},
        {"setup.cfg": "[flake8]\nmax-line-length = 100\n"},
        {"requirements.txt": "numpy\n"},
    ],
)
def test_settings_of_other_tools_make_no_project(files):
    assert read_project(files).build_system is None


def test_a_backend_may_require_nothing():
    text = '[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n'

    assert read_project({"pyproject.toml": text}).build_system == BuildSystem((), "b", (".",))


def test_broken_toml_is_named():
    with pytest.raises(ItemFailure, match=r"pyproject\.toml is not valid TOML") as failure:
        read_project({"pyproject.toml": "[project\n"})

    assert failure.value.reason is Reason.BUILD_FAILED


def test_broken_setup_files_say_nothing():
    assert read_project({"setup.py": "def (", "setup.cfg": "no section"}).requires_python is None


def test_a_specifier_that_nobody_can_read_is_as_good_as_none():
    assert read_project({"setup.py": "setup(python_requires='newer is better')"}).requires_python is None


@given(st.text(), st.text(), st.text())
def test_no_setup_file_is_refused(setup_py, setup_cfg, python_version):
    files = {"setup.py": setup_py, "setup.cfg": setup_cfg, ".python-version": python_version}

    assert read_project(files).build_system == LEGACY

"""What a Python project says of itself, read from the texts of its files; nothing of it is run."""

import ast
import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from isobench.contracts.reasons import ItemFailure, Reason

FILES = ("pyproject.toml", "setup.cfg", "setup.py", ".python-version", "requirements.txt")
"""The files of a project's root folder that are read, where it has them."""

# What PEP 517 gives a project that names no backend.
_LEGACY_REQUIRES = ("setuptools>=40.8.0", "wheel")
_LEGACY_BACKEND = "setuptools.build_meta:__legacy__"

_VERSION_TOOLS = re.compile(
    r"setuptools[-_]scm|hatch-vcs|vcs[-_]versioning|\bpbr\b|\bpdm\b|versioneer|dynamic-versioning|versioningit|"
    r"git[-_]versioning|dunamai|miniver"
)
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)\s*$")


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """A project's build backend, as `[build-system]` of PEP 517 names it."""

    requires: tuple[str, ...] = _LEGACY_REQUIRES
    backend: str = _LEGACY_BACKEND
    backend_path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """The part of a project's metadata that decides how an arm is built."""

    name: str | None = None
    requires_python: str | None = None
    tested_pythons: frozenset[str] = frozenset()
    """Minor versions that its classifiers name, such as 3.11."""
    pinned_python: str | None = None
    """The first line of its `.python-version`."""
    build_system: BuildSystem | None = None
    """None: nothing of it can be installed."""
    has_requirements: bool = False
    versioned_by_history: bool = False
    """Some tool that takes the version from git is named in it."""
    parentdir_prefix: str | None = None
    """What versioneer expects before the version in the name of an unpacked archive's folder."""


def read_project(files: Mapping[str, str]) -> Project:
    """The project whose root folder holds ``files`` (those of `FILES` that are there, name to text).

    Raises:
        ItemFailure: BuildFailed; its pyproject.toml can't be read.
    """
    pyproject = _toml(files.get("pyproject.toml", ""))
    cfg = _ini(files.get("setup.cfg", ""))
    setup = _setup_arguments(files.get("setup.py", ""))
    declared: dict[str, Any] = _table(pyproject, "project")
    poetry: dict[str, Any] = _table(pyproject, "tool", "poetry")
    classifiers = [
        *_texts(declared.get("classifiers")),
        *_texts(poetry.get("classifiers")),
        *cfg.get("metadata", {}).get("classifiers", "").splitlines(),
        *_texts(setup.get("classifiers")),
    ]
    candidates = (
        declared.get("requires-python"),
        _from_poetry(_table(poetry, "dependencies").get("python")),
        cfg.get("options", {}).get("python_requires"),
        setup.get("python_requires"),
    )
    names = (declared.get("name"), poetry.get("name"), cfg.get("metadata", {}).get("name"), setup.get("name"))
    return Project(
        name=next((name for name in names if isinstance(name, str) and name), None),
        requires_python=next((text for text in candidates if isinstance(text, str) and _is_specifier(text)), None),
        tested_pythons=frozenset(found[1] for text in classifiers if (found := _CLASSIFIER.search(text))),
        pinned_python=next(iter(files.get(".python-version", "").split()), None),
        build_system=_build_system(pyproject, files, has_metadata="name" in cfg.get("metadata", {})),
        has_requirements="requirements.txt" in files,
        versioned_by_history=any(
            _VERSION_TOOLS.search(files.get(name, "")) for name in ("pyproject.toml", "setup.cfg", "setup.py")
        ),
        parentdir_prefix=_table(pyproject, "tool", "versioneer").get("parentdir_prefix")
        or cfg.get("versioneer", {}).get("parentdir_prefix"),
    )


def _build_system(pyproject: Mapping[str, Any], files: Mapping[str, str], has_metadata: bool) -> BuildSystem | None:
    declared = pyproject.get("build-system")
    if isinstance(declared, dict):
        return BuildSystem(
            requires=tuple(_texts(declared.get("requires", _LEGACY_REQUIRES))),
            backend=str(declared.get("build-backend", _LEGACY_BACKEND)),
            backend_path=tuple(_texts(declared.get("backend-path"))),
        )
    if "setup.py" in files or "project" in pyproject or has_metadata:
        return BuildSystem()
    return None


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ItemFailure(Reason.BUILD_FAILED, f"the commit's pyproject.toml is not valid TOML: {error}") from None


def _table(data: Mapping[str, Any], *path: str) -> dict[str, Any]:
    for step in path:
        inner = data.get(step)
        data = inner if isinstance(inner, dict) else {}
    return dict(data)


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def _ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    return {section: dict(parser[section]) for section in parser.sections()}


def _setup_arguments(text: str) -> dict[str, Any]:
    """The arguments of `setup(...)` that are literals, or names of module-level literals."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    literals = {
        target.id: value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and (value := _literal(statement.value, {})) is not None
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    return {
        keyword.arg: value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node.func) == "setup"
        for keyword in node.keywords
        if keyword.arg and (value := _literal(keyword.value, literals)) is not None
    }


def _called(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _literal(node: ast.expr, literals: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return literals.get(node.id)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _from_poetry(constraint: object) -> str | None:
    """Poetry's own notation in PEP 440's: `^3.8` means from 3.8 up to the next major version."""
    if not isinstance(constraint, str):
        return None
    parts = [part.strip() for part in constraint.split(",")]
    return ",".join(_from_poetry_part(part) for part in parts if part != "*")


def _from_poetry_part(part: str) -> str:
    if part.startswith("^"):
        return f">={part[1:]},<{int(part[1]) + 1}" if part[1:2].isdigit() else part
    if part.startswith("~") and not part.startswith("~="):
        return f">={part[1:]},=={'.'.join(part[1:].split('.')[:2])}.*"
    return part if not part[:1].isdigit() else f"=={part}"


def _is_specifier(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return True

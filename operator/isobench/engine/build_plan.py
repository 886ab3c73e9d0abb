"""How an arm is built: on which Python, by which steps, resolved as of when, and under which cache key."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import EnvironmentSpec
from isobench.engine.project_metadata import BuildSystem, Project

NEEDS_ROOT = "system packages belong in the image"

_SYSTEM_PACKAGES = re.compile(
    r"(?:^|[;&|('\"]|\b(?:then|do|exec|env)\s)\s*(?:\w+=\S*\s+)*"
    r"(?:sudo|su|apt|apt-get|aptitude|dpkg|yum|dnf|rpm|apk|pacman|zypper|snap)\s"
)
_REFUSED_WITHOUT_ROOT = re.compile(
    r"are you root|must be (run as )?root|(needs?|requires?) (root|superuser)|superuser privilege|"
    r"(Permission|Operation) (denied|not permitted)",
    re.IGNORECASE,
)

SLACK = timedelta(days=30)
"""Dependencies may be at least so much younger than the commit: a commit is often written for a release that is due."""


_PYTHON_RELEASED = {
    "3.8": date(2019, 10, 14),
    "3.9": date(2020, 10, 5),
    "3.10": date(2021, 10, 4),
    "3.11": date(2022, 10, 24),
    "3.12": date(2023, 10, 2),
    "3.13": date(2024, 10, 7),
    "3.14": date(2025, 10, 7),
}


@dataclass(frozen=True, slots=True)
class Commands:
    """The arm is installed by a person's shell commands."""

    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wheel:
    """The arm is built into a wheel by its own backend, and that wheel is installed."""

    build_system: BuildSystem


@dataclass(frozen=True, slots=True)
class Requirements:
    """The arm can't be installed: its requirements.txt is, and its tree is put on the path."""


Installation = Commands | Wheel | Requirements


@dataclass(frozen=True, slots=True)
class BuildSteps:
    """What is done in an arm's fresh virtual environment, in this order."""

    setup_commands: tuple[str, ...]
    installation: Installation

    @property
    def runs_commands(self) -> bool:
        """Whether a person's commands run, which may expect pip, and may leave the tree in use."""
        return bool(self.setup_commands) or isinstance(self.installation, Commands)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to resolve dependencies: only releases up to ``as_of``, and whether base's versions are binding."""

    as_of: date | None
    constrained: bool


def build_steps(project: Project, spec: EnvironmentSpec) -> BuildSteps:
    """The steps that ``spec`` gives, or that follow from the project's own metadata.

    Raises:
        ItemFailure: BuildFailed; there is nothing to install, or a command that would need root.
    """
    setup = tuple(spec.setup_commands or ())
    for command in (*setup, *(spec.install_commands or ())):
        if _SYSTEM_PACKAGES.search(command):
            raise ItemFailure(Reason.BUILD_FAILED, f"the command {command!r} needs root: {NEEDS_ROOT}")
    if spec.install_commands:
        return BuildSteps(setup, Commands(tuple(spec.install_commands)))
    if project.build_system:
        return BuildSteps(setup, Wheel(project.build_system))
    if project.has_requirements:
        return BuildSteps(setup, Requirements())
    raise ItemFailure(
        Reason.BUILD_FAILED, "not a Python project and no installCommands: give environment.installCommands"
    )


def lock_changes(base: Sequence[str], arm: Sequence[str]) -> list[str]:
    """Where two locks (`name==version` lines) hold the same package in different versions: `name 1.0 -> 2.0` each."""
    versions = dict(line.split("==", 1) for line in base)
    pairs = (line.split("==", 1) for line in arm)
    return [
        f"{name} {versions[name]} -> {version}" for name, version in pairs if versions.get(name, version) != version
    ]


def was_refused_without_root(output: str) -> bool:
    """Whether a failed command's output says that it wanted privileges."""
    return _REFUSED_WITHOUT_ROOT.search(output) is not None


def choose_python(
    project: Project, asked: str | None, here: Sequence[str], base: str | None = None, as_of: date | None = None
) -> str:
    """The version among ``here`` (full versions, such as 3.11.7) that the arm is built on.

    ``asked`` (of the specification) is binding. Then, of those that the project allows: base's own, so that arms differ
    in their code only; what `.python-version` names; the newest that the classifiers name; the newest that was out by
    ``as_of``, else the oldest, since dependencies of that time don't know later ones; without a date the newest.

    Raises:
        ItemFailure: InvalidSpec for a version that can't be read, BuildFailed when no Python here will do.
    """
    allowed = sorted(_allowed(project, asked, here), key=Version, reverse=True)
    if not allowed:
        wanted = (
            f"environment.python {asked!r}" if asked else f"the project's requires-python {project.requires_python!r}"
        )
        raise ItemFailure(
            Reason.BUILD_FAILED,
            f"no Python here satisfies {wanted}: there are {', '.join(here) or 'none'};"
            " install one (pyenv's folders and PATH are searched), or name another by environment.python",
        )
    pinned = _minor(project.pinned_python) if project.pinned_python else None
    preferences = (
        [version for version in allowed if version == base],
        [version for version in allowed if _minor(version) == pinned],
        [version for version in allowed if _minor(version) in project.tested_pythons],
        [version for version in allowed if as_of and _PYTHON_RELEASED.get(_minor(version), date.max) < as_of],
        allowed[-1:] if as_of else allowed,
    )
    return next(versions[0] for versions in preferences if versions)


def _allowed(project: Project, asked: str | None, here: Iterable[str]) -> Iterator[str]:
    wanted = _specifier(asked) if asked else SpecifierSet(project.requires_python or "")
    return wanted.filter(here, prereleases=True)


def _specifier(asked: str) -> SpecifierSet:
    text = asked.strip()
    try:
        return SpecifierSet(f"=={text}.*" if re.fullmatch(r"[\d.]+", text) else text)
    except InvalidSpecifier:
        raise ItemFailure(
            Reason.INVALID_SPEC, f"environment.python {asked!r} is not a version; write one such as 3.11"
        ) from None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def resolve_as_of(committed_at: datetime) -> date:
    """The day up to which releases count for a commit: the start of the first quarter that is `SLACK` away.

    Old commits name their dependencies without upper bounds, and break with today's releases. Quarters, not days, so
    that neighbouring commits share their build backends and their resolutions.
    """
    earliest = (committed_at + SLACK).date()
    quarter = (earliest.month - 1) // 3 + 1
    return date(earliest.year + quarter // 4, quarter % 4 * 3 + 1, 1)


def attempts(installation: Installation, dates: Sequence[date | None], has_lock: bool) -> tuple[Attempt, ...]:
    """The ways to resolve, best first: as of each of ``dates`` in turn, and at last as of today.

    A lock binds commands, which know no softer way, so they are tried without it too. Where isobench resolves, the
    lock's versions are preferences, and give way one by one.
    """
    bindings = (True, False) if has_lock and isinstance(installation, Commands) else (False,)
    return tuple(Attempt(day, constrained) for day in dict.fromkeys([*dates, None]) for constrained in bindings)


def cache_key(**inputs: object) -> str:
    """The key of everything that decides a result; always of the same length, so that no arm's path is longer."""
    text = json.dumps(inputs, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _plain(value: object) -> object:
    if isinstance(value, BuildSteps | BuildSystem | Attempt):
        return {type(value).__name__: asdict(value)}
    return str(value)

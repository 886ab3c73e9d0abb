"""One making of one environment: derived from one before where that gives the same, else built.

The ways to resolve its dependencies are tried in turn, each from an empty folder.
"""

import hashlib
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from isobench.adapters.commands import run_command
from isobench.adapters.files import read_json
from isobench.adapters.made_once import MARKER
from isobench.adapters.python.build_commands import BuildCommands
from isobench.adapters.python.build_variables import build_variables, package_sources, version_variables
from isobench.adapters.python.built_environment import BuildPlace, BuildRequest
from isobench.adapters.python.derivation import Lineage, find_derivation
from isobench.adapters.python.fresh_environment import FreshEnvironment
from isobench.adapters.python.interpreters import Interpreter
from isobench.adapters.python.wheels import WheelBuilder
from isobench.contracts.reasons import ItemFailure
from isobench.engine.build_plan import Attempt, BuildSteps, Commands, Requirements, Wheel, lock_changes
from isobench.engine.project_metadata import Project

# Without ownership, and writable whatever the tree's modes are: backends write beside the code that they build.
_COPY = 'cp -R --reflink=auto --preserve=mode,timestamps,links "$1/." "$2" && chmod -R u+rwX "$2"'


@dataclass(frozen=True)
class EnvironmentBuild:
    """Builds the environment for a request in ``folder``, which is its own."""

    request: BuildRequest
    project: Project
    steps: BuildSteps
    interpreter: Interpreter
    folder: Path
    lineage: Lineage
    place: BuildPlace

    @property
    def log(self) -> Path:
        """Every command with its output."""
        return self.folder / "build.log"

    @property
    def source(self) -> Path:
        """The copy of the tree that is built; its name tells versioneer the version."""
        prefix, version = self.project.parentdir_prefix, self.request.version
        name = prefix + version if prefix is not None and version else "tree"
        return self.folder / "source" / name

    @property
    def base_lock(self) -> Sequence[str]:
        """Base's versions of dependencies; none for base itself."""
        return self.request.like.lock if self.request.like else ()

    def run(self, ways: Sequence[Attempt]) -> dict[str, Any]:
        """Build by the first of ``ways`` that works; what there is to know of the result, as plain JSON.

        Raises:
            ItemFailure: BuildFailed; the last way failed, or the time was up.
        """
        scratch = self.place.work_root / "tmp" / self.folder.name
        person = build_variables(self.place.person, self.place.work_root, scratch, Path(sys.executable))
        commands = BuildCommands(
            self.request.distribution,
            self.place.uv,
            # No tool of the tree must find the repository that the work root may be in.
            {**person, "GIT_CEILING_DIRECTORIES": str(self.source.parent)},
            self.log,
            deadline=time.monotonic() + self.request.spec.build_timeout_seconds,
            run_command=self.place.run_command,
        )
        try:
            return self._derive(commands) or self._first_that_works(ways, commands, [])
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _derive(self, commands: BuildCommands) -> dict[str, Any] | None:
        """Make it from the newest environment of its lineage; None where that would not give the same."""
        derivation = find_derivation(self.lineage, self.request.tree)
        if derivation is None:
            return None
        derivation.make(self.folder, commands)
        self.lineage.keep(self.folder, derivation.origin)
        donor = read_json(derivation.donor / MARKER)
        return self._facts(donor["lock"], donor["as_of"], donor["fallbacks"])

    def _first_that_works(
        self, ways: Sequence[Attempt], commands: BuildCommands, notes: Sequence[str]
    ) -> dict[str, Any]:
        way, *others = ways
        try:
            environment = self._build(way, commands)
        except ItemFailure as failure:
            if not others or commands.out_of_time:
                raise
            note = f"{_in_words(way)} did not work: {failure.message}"
            return self._first_that_works(others, commands, [*notes, note])
        return self._facts(environment.lock(), way.as_of.isoformat() if way.as_of else None, notes)

    def _build(self, way: Attempt, commands: BuildCommands) -> FreshEnvironment:
        for leftover in ("venv", "source", "wheel"):
            shutil.rmtree(self.folder / leftover, ignore_errors=True)
        variables = {**commands.variables, **self._resolution(way)}
        environment = FreshEnvironment(self.folder, self.source, replace(commands, variables=variables), self.base_lock)
        self.source.mkdir(parents=True)
        copy = ["sh", "-c", _COPY, "copy", str(self.request.tree), str(self.source)]
        here = replace(commands, run_command=run_command)  # by this machine's cp, wherever the rest runs
        here.run(copy, self.folder)
        environment.create(self.interpreter.executable, with_pip=self.steps.runs_commands)
        environment.run_setup(self.steps.setup_commands)
        match self.steps.installation:
            case Commands(install_commands):
                environment.install_by(install_commands, self._versions())
            case Wheel(build_system):
                place = self.place
                decisive = (str(place.work_root), way.as_of, package_sources(place.person), place.system)
                wheels = WheelBuilder(self.folder.parent, self.interpreter, decisive)
                origin = environment.install_wheel(wheels, build_system, self._versions(), self.request.tree)
                if not self.steps.setup_commands:  # what a person's commands read and write is unknown
                    self.lineage.keep(self.folder, origin)
                shutil.rmtree(self.folder / "source")
            case Requirements():
                environment.install_requirements()
        return environment

    def _resolution(self, way: Attempt) -> dict[str, str]:
        variables = {"UV_EXCLUDE_NEWER": f"{way.as_of.isoformat()}T00:00:00Z"} if way.as_of else {}
        if not way.constrained:
            return variables
        constraints = self.folder / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in self.base_lock))
        return {**variables, "UV_CONSTRAINT": str(constraints), "PIP_CONSTRAINT": str(constraints)}

    def _versions(self) -> dict[str, str]:
        """Only the arm's own build sees them: they would name the version of every other source build too."""
        if self.request.version is None or not self.project.versioned_by_history:
            return {}
        return version_variables(self.request.version, self.project, self.request.distribution)

    def _facts(self, lock: Sequence[str], as_of: str | None, fallbacks: Sequence[str]) -> dict[str, Any]:
        digest = hashlib.sha256("\n".join([self.request.tree_hash, self.interpreter.version, *lock]).encode())
        return {
            "install_sha": digest.hexdigest()[:40],
            "lock": lock,
            "as_of": as_of,
            "fallbacks": fallbacks,
            "notes": [*fallbacks, *self._differences_from_base(lock)],
        }

    def _differences_from_base(self, lock: Sequence[str]) -> list[str]:
        base, version = self.request.like, self.interpreter.version
        if base is None:
            return []
        changes = lock_changes(base.lock, lock)
        python = f"base's Python {base.python_version} is not allowed here: built on {version}"
        return [
            *([python] if base.python_version != version else []),
            *([f"dependencies differ from base's: {', '.join(changes)}"] if changes else []),
        ]


def _in_words(way: Attempt) -> str:
    dated = f"resolving dependencies as of {way.as_of}" if way.as_of else "resolving dependencies as of today"
    return f"{dated}, held to base's versions," if way.constrained else dated

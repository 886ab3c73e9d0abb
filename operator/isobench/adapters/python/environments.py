"""Environments of arms, each built once per set of inputs and kept at its final path in the work root.

Three things keep arms comparable. Every arm of an item gets base's Python and base's versions of dependencies where it
allows them (`BuildRequest.like`). Dependencies are resolved as of the commit's date, not today's. And no two arms share
a file: each environment is a build of its own, or a copy of one that its own build would not differ from (a control
arm's only of other control arms').
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import uv

from isobench.adapters.commands import RunCommand, run_command
from isobench.adapters.files import read_json
from isobench.adapters.made_once import MARKER, Made, make_once
from isobench.adapters.python.build_variables import package_sources
from isobench.adapters.python.built_environment import BuildPlace, BuildRequest, BuiltEnvironment
from isobench.adapters.python.derivation import Lineage
from isobench.adapters.python.environment_build import EnvironmentBuild
from isobench.adapters.python.interpreters import Interpreter, interpreters
from isobench.engine.build_plan import attempts, build_steps, cache_key, choose_python, resolve_as_of
from isobench.engine.project_metadata import FILES, Project, read_project

LAYOUT = 2
"""Raised whenever the same inputs would give another environment than before."""


def find_uv() -> Path:
    """The uv that was installed with isobench."""
    return Path(uv.find_uv_bin())


class EnvironmentBuilder:
    """Builds environments below a work root; the same inputs are built once, whoever asks."""

    def __init__(
        self,
        work_root: Path,
        uv: Path,
        person: Mapping[str, str] = os.environ,
        pythons: Callable[[], Sequence[Interpreter]] = interpreters,
        run_command: RunCommand = run_command,
        system: Sequence[object] = (platform.machine(), platform.libc_ver()),
    ) -> None:
        """Keep everything in ``work_root``; of ``person``'s environment variables a short list reaches the builds.

        ``pythons``, ``run_command`` and what distinguishes the ``system`` are this machine's, or a container's.
        """
        self.place = BuildPlace(work_root.resolve(), uv, person, run_command, system)
        self.pythons = pythons

    @property
    def run_command(self) -> RunCommand:
        """How a command is run where environments are built."""
        return self.place.run_command

    def build(self, request: BuildRequest) -> BuiltEnvironment:
        """The environment for ``request``, built now or before.

        Raises:
            ItemFailure: BuildFailed with the last lines, or with what is missing and the remedy; InvalidSpec.
        """
        started = time.monotonic()
        project = read_project(_texts(request.tree))
        steps = build_steps(project, request.spec)
        interpreter = self._interpreter(project, request)
        ways = attempts(steps.installation, _dates(request), has_lock=bool(request.like and request.like.lock))
        but_the_tree: dict[str, object] = {
            "layout": LAYOUT,
            "root": self.place.work_root,
            "steps": steps,
            "interpreter": interpreter,
            "platform": self.place.system,
            "lock": request.like.lock if request.like else (),
            "ways": ways,
            "version": request.version if project.versioned_by_history else None,
            "replica": request.replica,
            "sources": package_sources(self.place.person),
        }
        environments = self.place.work_root / "environments"
        folder = environments / cache_key(tree=request.tree_hash, **but_the_tree)
        lineage = Lineage(environments, cache_key(**but_the_tree))
        build = EnvironmentBuild(request, project, steps, interpreter, folder, lineage, self.place)
        made = make_once(folder, lambda: build.run(ways))
        return _as_built(folder, interpreter.version, made, build.log, time.monotonic() - started)

    def _interpreter(self, project: Project, request: BuildRequest) -> Interpreter:
        here = {interpreter.version: interpreter for interpreter in self.pythons()}
        base = request.like.python_version if request.like else None
        as_of = resolve_as_of(request.committed_at) if request.committed_at else None
        return here[choose_python(project, request.spec.python, list(here), base, as_of)]


def built_before(folder: Path, python_version: str) -> BuiltEnvironment:
    """The environment that was built in ``folder``, on a Python of that version."""
    made = Made(read_json(folder / MARKER), reused=True)
    return _as_built(folder, python_version, made, folder / "build.log", 0.0)


def _as_built(folder: Path, python_version: str, made: Made, log: Path, seconds: float) -> BuiltEnvironment:
    return BuiltEnvironment(
        path=folder,
        python=folder / "venv" / "bin" / "python",
        python_version=python_version,
        key=folder.name,
        install_sha=made.facts["install_sha"],
        reused=made.reused,
        seconds=seconds,
        log=log,
        lock=tuple(made.facts["lock"]),
        as_of=date.fromisoformat(made.facts["as_of"]) if made.facts["as_of"] else None,
        notes=tuple(made.facts["notes"]),
    )


def _texts(tree: Path) -> dict[str, str]:
    return {name: (tree / name).read_text("utf-8", errors="replace") for name in FILES if (tree / name).is_file()}


def _dates(request: BuildRequest) -> list[date | None]:
    base = [request.like.as_of] if request.like else []
    return [*base, *([resolve_as_of(request.committed_at)] if request.committed_at else [])]

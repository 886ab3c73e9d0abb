"""A new virtual environment, and the three ways to install an arm in it."""

import importlib.metadata
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isobench.adapters.python.build_commands import BuildCommands
from isobench.adapters.python.derivation import read_origin
from isobench.adapters.python.wheels import WheelBuilder
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.build_plan import NEEDS_ROOT, was_refused_without_root
from isobench.engine.derivation import Origin
from isobench.engine.project_metadata import BuildSystem


@dataclass(frozen=True)
class FreshEnvironment:
    """`venv` in ``folder``, for the code in ``source``; every method raises ItemFailure when a command fails."""

    folder: Path
    source: Path
    commands: BuildCommands
    base_lock: Sequence[str]
    """Base's versions of dependencies; none for base itself."""

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its distributions are."""
        return next((self.folder / "venv" / "lib").glob("python3*/site-packages"))

    def create(self, interpreter: Path, with_pip: bool) -> None:
        """Make the virtual environment; a person's commands expect pip in it."""
        self.commands.run_uv("venv", "--python", interpreter, self.folder / "venv", cwd=self.folder)
        if with_pip:  # not by `uv venv --seed`, which knows no other index than the public one
            self._install("--compile-bytecode", "pip")

    def run_setup(self, setup_commands: Sequence[str]) -> None:
        """Run a person's commands before the installation; one that wants root is told where it belongs."""
        for command in setup_commands:
            result = self.commands.attempt(command, self.source, self._activated())
            if not result.succeeded and was_refused_without_root(result.tail):
                message = f"the setup command {command!r} needs root: {NEEDS_ROOT}; last lines: {result.tail[-300:]}"
                raise ItemFailure(Reason.BUILD_FAILED, message)
            if not result.succeeded:
                raise self.commands.failure(command, result)

    def install_by(self, install_commands: Sequence[str], versions: Mapping[str, str]) -> None:
        """Run a person's commands that install the arm; ``versions`` take the place of git's answer."""
        for command in install_commands:
            self.commands.run(command, self.source, {**self._activated(), **versions})
        self._compile()

    def install_wheel(
        self, builder: WheelBuilder, build_system: BuildSystem, versions: Mapping[str, str], tree: Path
    ) -> Origin:
        """Build the arm's wheel, and install what it requires and then itself; what of ``tree`` decided the wheel."""
        own = replace(self.commands, variables={**self.commands.variables, **versions})
        wheel = builder.build(self.source, build_system, self.folder / "wheel", own)
        wanted = self.folder / "requirements.in"
        wanted.write_text(f"{wheel.name.partition('-')[0]} @ {wheel.as_uri()}\n")
        self._install_requirements_of(wanted)
        # Past uv's cache, which would keep a copy of every arm that was ever built.
        self._install("--no-deps", "--no-cache", "--compile-bytecode", wheel)
        origin = read_origin(tree, wheel)
        shutil.rmtree(wheel.parent)
        return origin

    def install_requirements(self) -> None:
        """Install the arm's requirements.txt, and put its tree on the path."""
        self._install_requirements_of(self.source / "requirements.txt")
        (self.site_packages / "isobench-arm.pth").write_text(f"{self.source}\n")
        self._compile()

    def lock(self) -> list[str]:
        """`name==version` of what was installed by name; the arm itself came from a file, and says so (PEP 610)."""
        return sorted(
            f"{found.metadata['Name']}=={found.version}"
            for found in importlib.metadata.distributions(path=[str(self.site_packages)])
            if "url" not in json.loads(found.read_text("direct_url.json") or "{}")
        )

    def _activated(self) -> dict[str, str]:
        """What `activate` sets, and uv at the end of PATH."""
        venv = self.folder / "venv"
        path = f"{venv / 'bin'}:{self.commands.variables['PATH']}:{self.commands.uv.parent}"
        return {"VIRTUAL_ENV": str(venv), "PATH": path}

    def _install_requirements_of(self, wanted: Path) -> None:
        """Install what ``wanted`` requires, in base's versions as far as they can be had together."""
        lock = self.folder / "lock.txt"
        lock.write_text("".join(f"{line}\n" for line in self.base_lock))
        options = ("--python", self.python, "--no-header", "--no-annotate", "--output-file", lock)
        self.commands.run_uv("pip", "compile", *options, wanted, cwd=wanted.parent)
        arm_itself = wanted.read_text().splitlines()
        resolved = [line for line in lock.read_text().splitlines() if line not in arm_itself or "==" in line]
        lock.write_text("".join(f"{line}\n" for line in resolved))
        if resolved:
            self._install("--no-deps", "--requirements", lock)

    def _install(self, *arguments: str | Path) -> None:
        self.commands.run_uv("pip", "install", "--python", self.python, *arguments, cwd=self.folder)

    def _compile(self) -> None:
        """Compile all bytecode; what can't be compiled (templates, code for other Pythons) can't be imported either."""
        everything = [str(self.site_packages), str(self.source)]
        # In one process: the semaphores of a pool would lie in the machine's /dev/shm.
        self.commands.attempt([str(self.python), "-m", "compileall", "-q", *everything], self.folder)

"""Wheels of source trees: each is built by the tree's own backend, whose environment is kept for the next tree.

`uv build` makes a fresh environment for every wheel, in which the backend's modules are compiled once more, and throws
it away: for setuptools that is more than half of the time that a build takes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.made_once import make_once
from isobench.adapters.python.build_commands import BuildCommands
from isobench.adapters.python.interpreters import Interpreter
from isobench.adapters.python.wheel_script import MORE_REQUIREMENTS
from isobench.engine.build_plan import cache_key
from isobench.engine.project_metadata import BuildSystem

SCRIPT = Path(__file__).with_name("wheel_script.py")


@dataclass(frozen=True)
class WheelBuilder:
    """Builds wheels on one interpreter, with backends kept in ``folder`` under keys that hold ``decisive`` too."""

    folder: Path
    interpreter: Interpreter
    decisive: Sequence[object]
    """What else decides which releases of a backend are installed: date and package sources."""

    def build(self, source: Path, build_system: BuildSystem, out: Path, commands: BuildCommands) -> Path:
        """The wheel of ``source``, in ``out``.

        Raises:
            ItemFailure: BuildFailed; the backend can't be installed, or it failed.
        """
        out.mkdir()
        granted: list[str] = []
        while True:
            python = self._backend([*build_system.requires, *granted], commands)
            request = {
                "backend": build_system.backend,
                "backend_path": build_system.backend_path,
                "granted": granted,
                "out": str(out),
            }
            command = [str(python), "-I", str(SCRIPT), json.dumps(request)]
            on_path = {"PATH": f"{python.parent}:{commands.variables['PATH']}"}
            result = commands.attempt(command, source, on_path)
            if result.succeeded:
                return next(out.glob("*.whl"))
            if result.exit_code != MORE_REQUIREMENTS:
                raise commands.failure(["the build backend", build_system.backend], result)
            granted += json.loads((out / "requires.json").read_bytes())

    def _backend(self, requires: Sequence[str], commands: BuildCommands) -> Path:
        """The Python of an environment that holds ``requires``."""
        key = cache_key(backend=requires, interpreter=self.interpreter, decisive=self.decisive)
        folder = self.folder / key
        python = folder / "venv" / "bin" / "python"

        def install() -> dict[str, object]:
            commands.run_uv("venv", "--python", self.interpreter.executable, folder / "venv", cwd=folder)
            if requires:
                commands.run_uv("pip", "install", "--python", python, "--compile-bytecode", *requires, cwd=folder)
            return {"requires": requires}

        make_once(folder, install)
        return python

"""The flow that isobench replaces, for one commit: a full clone, then for each arm a fresh environment and an install.

Generous to it: its caches are warm and its own; nothing is compiled, tested or written down; and with the installer uv,
it installs faster than it ever did.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from isobench.adapters.python.build_variables import build_variables


@dataclass(frozen=True)
class OldFlow:
    """Builds the arms of one commit after another in ``folder``, each from nothing but uv's cache."""

    source: str
    python: Path
    folder: Path
    uv: Path
    installer: Literal["uv", "pip"]

    def build(self, arms: Sequence[str]) -> dict[str, float]:
        """Seconds by step for one commit whose arms are at these hashes; what was built is removed, untimed.

        Raises:
            SystemExit: a command failed, so that there is nothing to compare with.
        """
        seconds: dict[str, float] = {}
        work = self.folder / "item"
        clone = work / "clone"
        shutil.rmtree(work, ignore_errors=True)
        variables = self._variables()
        work.mkdir(parents=True)
        with _timed(seconds, "clone"):
            _run(["git", "clone", "--quiet", self.source, clone], variables)
        for number, commit in enumerate(arms):
            environment = work / f"environment-{number}"
            with _timed(seconds, "checkout"):
                _run(["git", "-C", clone, "checkout", "--quiet", "--detach", commit], variables)
            with _timed(seconds, "install"):
                self._create(environment, variables)
                self._install(environment, variables, "setuptools", "wheel", "build")
                self._install(environment, variables, "--editable", clone)
        shutil.rmtree(work)
        return seconds

    def _create(self, environment: Path, variables: Mapping[str, str]) -> None:
        pip = ["--seed"] if self.installer == "pip" else []
        _run([self.uv, "venv", "--quiet", *pip, "--python", self.python, environment], variables)

    def _install(self, environment: Path, variables: Mapping[str, str], *wanted: str | Path) -> None:
        python = environment / "bin" / "python"
        command: list[str | Path] = [self.uv, "pip", "install", "--python", python]
        if self.installer == "pip":
            command = [python, "-m", "pip", "install"]
        _run([*command, "--quiet", *wanted], variables)

    def _variables(self) -> dict[str, str]:
        """The same package sources as isobench's builds; uv links files from its cache, which is fastest."""
        variables = build_variables(os.environ, self.folder, self.folder / "scratch", Path(sys.executable))
        del variables["UV_LINK_MODE"]
        return variables


def _run(command: Sequence[str | Path], variables: Mapping[str, str]) -> None:
    finished = subprocess.run([str(word) for word in command], env=dict(variables), capture_output=True, text=True)
    if finished.returncode != 0:
        raise SystemExit(f"the old flow failed at {' '.join(map(str, command))}: {finished.stderr[-700:].strip()}")


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - started

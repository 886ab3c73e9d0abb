"""A pod's environment container: where arms are built and timed on a cluster, by a stand-in process for each command.

The container has a project's own image, so isobench is not in it. What it needs to have lies in the exchange folder:
the runner that it was started with, the probe, uv, and the scripts that isobench's builds run. Nothing of that folder
is ever run on this side.
"""

import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from isobench.adapters.commands import SUPERVISED, CommandResult, run_command
from isobench.adapters.isolation.probe_archive import build_probe, build_runner
from isobench.adapters.python import api_snapshot, wheels
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.adapters.python.interpreters import EVERY_PYTHON, WHO_ARE_YOU, Interpreter, answers_in
from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import PROBE, RUN, RUNNER, SOCKET, UV
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.runner import standin
from isobench.runner.standin import LOST

SCRIPTS = (wheels.SCRIPT, api_snapshot.SCRIPT)
ANSWER_SECONDS = 120.0
"""How long the container may take to start and answer."""

_PACKAGES = Path(standin.__file__).parents[2]
_STAND_IN = "import sys; sys.path.append(sys.argv.pop(1)); from isobench.runner.__main__ import main; "
_STAND_IN += "sys.exit(main(sys.argv[1:]))"
_CORES = "import os; print(*sorted(os.sched_getaffinity(0)))"


def place_tools(exchange: Path, *, for_builds: bool) -> None:
    """Put what the environment container needs into its exchange folder."""
    (exchange / RUN).mkdir(parents=True, exist_ok=True)
    build_runner(exchange / RUNNER)
    build_probe(exchange / PROBE)
    build_tools = ((find_uv(), UV), *((script, script.name) for script in SCRIPTS))
    for source, name in build_tools if for_builds else ():
        shutil.copyfile(source, exchange / name)
        (exchange / name).chmod(0o755)


@dataclass(frozen=True)
class PodContainer:
    """Runs commands in the environment container of this pod, which sees ``work_root`` where this one does."""

    exchange: Path
    work_root: Path
    image: str

    @cached_property
    def variables(self) -> Mapping[str, str]:
        """The container's own: its image says where packages are and how the network is reached."""
        entries = (entry.partition("=") for entry in self._ask("env", "-0").split("\0") if entry)
        return {name: value for name, _, value in entries}

    @cached_property
    def pythons(self) -> Sequence[Interpreter]:
        """The image's Pythons, newest first.

        Raises:
            InvalidInput: it has none that isobench can use.
        """
        found = answers_in(self._ask("sh", "-c", EVERY_PYTHON, WHO_ARE_YOU).splitlines())
        if not found:
            raise InvalidInput(
                "environment.image", [f"{self.image} has no Python 3.8 or later: take an image that has"]
            )
        return found

    @property
    def cores(self) -> Sequence[int]:
        """The CPUs that the container may use."""
        return [int(core) for core in self._ask(str(self.pythons[0].executable), "-I", "-S", "-c", _CORES).split()]

    def builder(self) -> EnvironmentBuilder:
        """Builds environments for the image's Pythons, with its tools."""
        return EnvironmentBuilder(
            self.work_root,
            self.exchange / UV,
            self.variables,
            lambda: self.pythons,
            self.run,
            (platform.machine(), self.image),
        )

    def run(
        self,
        command: Sequence[str] | str,
        *,
        cwd: Path,
        environment: Mapping[str, str],
        timeout_seconds: float,
        log: Path,
    ) -> CommandResult:
        """Run ``command`` as `run_command` does, in the container.

        Raises:
            ItemFailure: the container was lost, so that the command's end is not known.
        """
        token = secrets.token_hex(8)
        if not isinstance(command, str):
            copies = {str(script): str(self.exchange / script.name) for script in SCRIPTS}
            command = [copies.get(argument, argument) for argument in command]
        result = run_command(
            command,
            cwd=cwd,
            environment=environment,
            timeout_seconds=timeout_seconds,
            log=log,
            wrap=lambda inner: self.stand_in(inner, token),
        )
        if result.exit_code == LOST and result.tail.endswith(f"[{token}]"):
            raise ItemFailure(Reason.INFRASTRUCTURE_ERROR, result.tail.splitlines()[-1].removesuffix(f" [{token}]"))
        return result

    def sandbox(self, facts: Mapping[str, Any], unreachable: Sequence[str]) -> "PodSandbox":
        """Where the probe runs: ``unreachable`` are addresses that it is to find cut off, ``facts`` are recorded."""
        return PodSandbox(self, tuple(unreachable), {"sandbox": "pod", "image": self.image, **facts})

    def connected_sandbox(self) -> "PodSandbox":
        """Where a process is kept in a pod that has a network, which its filter keeps from it."""
        return PodSandbox(self, (), {"sandbox": "pod", "image": self.image}, network="allowed")

    def stand_in(self, command: Sequence[str], token: str, *options: str) -> list[str]:
        """The command line of the process that stands in for ``command``: of this side's own code."""
        own = [sys.executable, "-I", "-S", "-c", _STAND_IN, str(_PACKAGES)]
        return [*own, "--run", str(self.exchange / SOCKET), token, *options, "--", *command]

    def _ask(self, *command: str) -> str:
        """What a command prints that has the container's own variables.

        Raises:
            ItemFailure: it can't be run.
        """
        line = self.stand_in(command, "-", "--own-variables")
        try:
            done = subprocess.run(line, cwd="/", capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            message = f"the environment's container of {self.image} does not answer: {str(said).strip()[-300:]}"
            raise ItemFailure(Reason.INFRASTRUCTURE_ERROR, message) from None
        return done.stdout


@dataclass(frozen=True)
class PodSandbox:
    """The environment container of a pod that a network policy has cut off."""

    container: PodContainer
    unreachable: tuple[str, ...]
    facts: Mapping[str, Any]
    network: str = "policy"

    @property
    def python(self) -> str:
        """The interpreter that runs the probe: the image's."""
        return str(self.container.pythons[0].executable)

    def wrap(self, command: Sequence[str], scratch_mib: int) -> list[str]:
        """``command`` as it is started inside; it dies with the process that started it."""
        return [*SUPERVISED, *self.container.stand_in(command, "-")]

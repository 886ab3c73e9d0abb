"""Containers of one image: where an arm is built (with the network) and where it is timed (without)."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from isobench.adapters.commands import SUPERVISED, CommandResult, run_command
from isobench.adapters.isolation.container_engine import ANSWER_SECONDS, REMEDY, Engine, Image, find_engine
from isobench.adapters.python import api_snapshot, wheels
from isobench.adapters.python.build_variables import PATHS_OF_A_PERSON
from isobench.adapters.python.environments import EnvironmentBuilder, find_uv
from isobench.adapters.python.interpreters import EVERY_PYTHON, WHO_ARE_YOU, Interpreter, answers_in
from isobench.contracts.base import InvalidInput
from isobench.contracts.pod import WRITTEN_BY_BUILDS

# The first process of a build's container: ends with all the others when the command ends, or its client does.
_COMMAND = """
exec 3<&0 </dev/null
trap "exit 143" TERM
"$@" 3<&- &
command=$!
{ read -r _ <&3; kill -KILL -1; } &
wait "$command"
"""


@dataclass(frozen=True)
class Container:
    """Runs commands in containers of ``image``: folders of ``work_root`` are in there where they are out here."""

    engine: Engine
    image: Image
    work_root: Path

    @cached_property
    def pythons(self) -> Sequence[Interpreter]:
        """The image's Pythons, newest first.

        Raises:
            InvalidInput: it has none that isobench can use.
        """
        command = self.engine.run(self.image.identity, ["sh", "-c", EVERY_PYTHON, WHO_ARE_YOU], ["--network=none"])
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        found = answers_in(done.stdout.splitlines())
        if not found:
            why = f" ({done.stderr.strip()[-200:]})" if done.returncode else ""
            raise InvalidInput(
                "environment.image", [f"{self.image.name} has no Python 3.8 or later{why}: take an image that has"]
            )
        return found

    def builder(self) -> EnvironmentBuilder:
        """Builds environments for the image's Pythons, with its tools."""
        return EnvironmentBuilder(
            self.work_root,
            find_uv(),
            {**os.environ, "PATH": self.image.path},
            lambda: self.pythons,
            self.run,
            (platform.machine(), self.image.identity),
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
        """Run ``command`` as `run_command` does, with the network, in a container of its own."""
        # By name, since some hold a password and an argument list is for everyone to read.
        passed = [name if name not in self.engine.variables else f"{name}={environment[name]}" for name in environment]
        written = [self.work_root / name for name in WRITTEN_BY_BUILDS]
        for folder in written:
            folder.mkdir(exist_ok=True)
        read = [self.work_root / "trees", find_uv(), wheels.SCRIPT, api_snapshot.SCRIPT, *_existing(environment)]
        options = [
            "--network=host",
            f"--workdir={cwd}",
            *(f"--env={variable}" for variable in passed),
            *_volumes(read, written),
        ]
        return run_command(
            command,
            cwd=cwd,
            environment={**environment, "PATH": os.environ.get("PATH", os.defpath)},
            timeout_seconds=timeout_seconds,
            log=log,
            wrap=lambda inner: self.engine.run(
                self.image.identity, ["sh", "-c", _COMMAND, "isobench-command", *inner], options
            ),
        )

    def sandbox(self, readable: Sequence[Path], writable: Sequence[Path]) -> "ContainerSandbox":
        """Where the probe runs, with these files and folders."""
        return ContainerSandbox(self, tuple(readable), tuple(writable))


@dataclass(frozen=True)
class ContainerSandbox:
    """A container without a network, which the probe is the first process of."""

    container: Container
    readable: tuple[Path, ...]
    writable: tuple[Path, ...]

    network = "none"
    unreachable = ()

    @property
    def python(self) -> str:
        """The interpreter that runs the probe: the image's."""
        return str(self.container.pythons[0].executable)

    @property
    def facts(self) -> Mapping[str, str]:
        """What the record says of it."""
        return {"sandbox": self.container.engine.name, "image": self.container.image.digest}

    def wrap(self, command: Sequence[str], scratch_mib: int) -> list[str]:
        """``command`` as it is started inside; it dies with the process that started it."""
        options = ["--network=none", f"--shm-size={scratch_mib}m", *_volumes(self.readable, self.writable)]
        image = self.container.image.identity
        return [*SUPERVISED, *self.container.engine.run(image, command, options)]


def open_engine(folder: Path) -> Engine:
    """The container engine of this machine, which keeps what it has to in ``folder``.

    Raises:
        InvalidInput: none works.
    """
    engine = find_engine(folder)
    if engine is None:
        raise InvalidInput("--container=on", [f"no container engine works for this user here: {REMEDY}"])
    return engine


def open_container(engine: Engine, image: str | None, work_root: Path) -> Container:
    """Containers of the image of that name.

    Raises:
        InvalidInput: none is named, or it is not here.
    """
    if image is None:
        problem = "is not given, and --container=on builds and times in an image: name one that has Python and a shell"
        raise InvalidInput("environment.image", [problem])
    found = engine.image(image)
    if found is None:
        raise InvalidInput("environment.image", [f"{image} is not here: `{engine.name} pull {image}` fetches it"])
    return Container(engine, found, work_root)


def _existing(environment: Mapping[str, str]) -> list[Path]:
    named = [Path(environment[name]) for name in PATHS_OF_A_PERSON if name in environment]
    return [path for path in named if path.is_absolute() and path.exists()]


def _volumes(readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
    return [
        *(f"--volume={path}:{path}:ro" for path in dict.fromkeys(readable)),
        *(f"--volume={path}:{path}" for path in dict.fromkeys(writable)),
    ]

"""OpenHands behind the `Agent` protocol: where its Python is, what its child is told, how its end is read."""

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from isobench.adapters.agents.openhands import bootstrap
from isobench.adapters.agents.openhands.bootstrap import PACKAGE
from isobench.adapters.agents.protocol import AgentCommand, AgentEnd, AgentTask
from isobench.engine.agent_end import How
from isobench.engine.money import PRICED_TOKENS

PYTHON_VARIABLE = "ISOBENCH_OPENHANDS_PYTHON"
ENVIRONMENT_FOLDER = ".venv-agent"
END_BYTES = 64 * 1024
IMPORT_SECONDS = 60

IMAGE = Path("/opt/openhands")
"""Where images/agent/Dockerfile puts the SDK, and what of isobench runs beside it."""

# Without egress the SDK's import must not ask for price lists, feature lists or models.
CHILD_ENVIRONMENT: Mapping[str, str] = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "HF_HUB_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "false",
    "OPENHANDS_SUPPRESS_BANNER": "1",
}


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and after how many seconds, the SDK asks again when the provider is busy or broken."""

    times: int = 5
    min_seconds: int = 8
    max_seconds: int = 64


PATIENT = Retries()


class OpenHands:
    """The OpenHands SDK's own loop, with a terminal, an editor of the targets, and `finish`."""

    kind = "openhands"
    asks_a_model = True

    def __init__(
        self,
        python: Path | None = None,
        package: Path = PACKAGE,
        retries: Retries = PATIENT,
        *,
        stream: bool = False,
        api: Literal["auto", "chat", "responses"] = "auto",
    ) -> None:
        """``python`` has the SDK (sought by default), and ``package`` is isobench's folder where the agent runs.

        By default the SDK chooses the ``api`` by the model's name.
        """
        self.python = python or find_python(os.environ)
        self._package = package
        self._retries = retries
        self._stream = stream
        self._api = api

    def missing(self) -> str | None:
        """Why OpenHands can't run here, with the remedy."""
        if self.python is None:
            return (
                f"OpenHands is not installed: run `make agent-env`, or name a Python that has it in {PYTHON_VARIABLE}"
            )
        if not _has_sdk(self.python):
            return f"{self.python} has no OpenHands SDK: run `make agent-env`, or name another in {PYTHON_VARIABLE}"
        return None

    def command(self, task: AgentTask) -> AgentCommand:
        """The child that works on ``task``; it needs a gateway on a socket, a model and its prices."""
        assert self.python is not None  # else `missing` said so
        assert task.gateway is not None
        assert task.gateway.socket is not None
        return AgentCommand(
            arguments=bootstrap.command(self.python, self._package, "child"),
            environment=CHILD_ENVIRONMENT,
            stdin=json.dumps(self._request(task)).encode(),
            readable=(*_installation(self.python), self._package, task.gateway.socket.parent),
        )

    def read_end(self, folder: Path, exit_code: int) -> AgentEnd:
        """How it ended, in its own words; without them it crashed."""
        said = _read_end(folder / "end.json")
        if said is None:
            return AgentEnd("crashed", f"OpenHands ended with exit code {exit_code} and left no word: read its stderr")
        return said

    def _request(self, task: AgentTask) -> dict[str, Any]:
        assert task.gateway is not None  # an agent that asks a model is given one, with its prices
        assert task.prices is not None
        return {
            "repository": str(task.repository),
            "folder": str(task.folder),
            "text": task.text,
            "targets": list(task.targets),
            "model": task.model,
            "input_usd_per_token": float(task.prices.input / PRICED_TOKENS),
            "output_usd_per_token": float(task.prices.output / PRICED_TOKENS),
            "base_url": task.gateway.base_url,
            "socket": str(task.gateway.socket),
            "token": task.gateway.token,
            "max_iterations": task.max_iterations,
            "timeout_seconds": max(1, int(task.timeout_seconds)),
            "retries": self._retries.times,
            "retry_min_seconds": self._retries.min_seconds,
            "retry_max_seconds": self._retries.max_seconds,
            "stream": self._stream,
            "api": self._api,
        }


class OpenHandsInImage(OpenHands):
    """OpenHands in the agent's container, which is another one than that of whoever starts it."""

    def __init__(self) -> None:
        """Where the image has it."""
        super().__init__(IMAGE / "bin" / "python", IMAGE / "isobench")

    def missing(self) -> str | None:
        """Nothing that could be seen from here."""
        return None


def find_python(variables: Mapping[str, str]) -> Path | None:
    """The Python that ``variables`` name, else that of `make agent-env` here or in isobench's own checkout."""
    named = variables.get(PYTHON_VARIABLE)
    if named:
        return Path(named)
    folders = (Path.cwd(), PACKAGE.parents[1])
    candidates = (folder / ENVIRONMENT_FOLDER / "bin" / "python" for folder in folders)
    return next((candidate for candidate in candidates if candidate.exists()), None)


@functools.cache
def _has_sdk(python: Path) -> bool:
    question = "import importlib.util as u, sys; sys.exit(not (u.find_spec('openhands') and u.find_spec('litellm')))"
    try:
        answer = subprocess.run(
            [python, "-I", "-c", question], capture_output=True, timeout=IMPORT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def _installation(python: Path) -> tuple[Path, ...]:
    """The folders that ``python`` reads: its environment's, and that of the interpreter it was made from."""
    return python.absolute().parents[1], python.resolve().parents[1]


def _read_end(path: Path) -> AgentEnd | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        content = os.read(descriptor, END_BYTES)
    except OSError:  # it is no file
        return None
    finally:
        os.close(descriptor)
    try:
        said = json.loads(content)
        how, message, iterations = said["how"], str(said["message"]), int(said["iterations"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return AgentEnd(how, message, iterations) if how in get_args(How) else None

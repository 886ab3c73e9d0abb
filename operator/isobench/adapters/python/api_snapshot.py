"""The snapshot of an arm's public names and signatures, taken by the environment's own Python."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.commands import RunCommand, run_command
from isobench.adapters.files import read_json
from isobench.adapters.python.built_environment import BuiltEnvironment
from isobench.contracts.record import ApiSummary

SCRIPT = Path(__file__).with_name("snapshot_script.py")
MEMORY = "modules.json"
"""What was read in an environment's modules; an environment that is made from it starts from that."""
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class ApiSnapshot:
    """Where the snapshot is, how much it covers, and the public names of each module."""

    path: Path
    summary: ApiSummary
    names: Mapping[str, frozenset[str]]


def take_snapshot(
    environment: BuiltEnvironment,
    tree: Path,
    timeout_seconds: float = TIMEOUT_SECONDS,
    run_command: RunCommand = run_command,
) -> ApiSnapshot | None:
    """The snapshot of the arm in ``environment``, taken once and kept beside it.

    ``tree`` is read where the arm is not installed as files of its own. None: it could not be taken, and the build's
    log says why.
    """
    path = environment.path / "api.json"
    if not path.is_file() and not _take(environment, tree, path, timeout_seconds, run_command):
        return None
    content = read_json(path)
    modules: Mapping[str, Mapping[str, str]] = content["modules"]
    summary = ApiSummary(
        modules_scanned=len(modules),
        symbols_collected=sum(len(names) for names in modules.values()),
        errors=len(content["errors"]),
    )
    return ApiSnapshot(path, summary, read_names(path))


def read_names(path: Path) -> Mapping[str, frozenset[str]]:
    """The public names of each module, as the snapshot at ``path`` has them."""
    modules: Mapping[str, Mapping[str, str]] = read_json(path)["modules"]
    return {module: frozenset(names) for module, names in modules.items()}


def _take(
    environment: BuiltEnvironment, tree: Path, path: Path, timeout_seconds: float, run_command: RunCommand
) -> bool:
    unfinished = path.with_name(f".api.{secrets.token_hex(4)}.json")
    result = run_command(
        [
            str(environment.python),
            "-I",
            str(SCRIPT),
            str(tree.resolve()),
            str(unfinished),
            str(environment.path / MEMORY),
        ],
        cwd=environment.path,
        environment={"PATH": os.defpath},
        timeout_seconds=timeout_seconds,
        log=environment.log,
    )
    if not result.succeeded:
        unfinished.unlink(missing_ok=True)
        return False
    unfinished.replace(path)
    return True

"""Where environments are built, what is asked of their builder, and what it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from isobench.adapters.commands import RunCommand
from isobench.contracts.spec import EnvironmentSpec


@dataclass(frozen=True)
class BuildPlace:
    """The work root that everything is kept in, and the machine or the container that builds there."""

    work_root: Path
    uv: Path
    person: Mapping[str, str]
    """Environment variables, of which a short list reaches the builds."""
    run_command: RunCommand
    system: Sequence[object]
    """What distinguishes it from another one that is given the same commands."""


@dataclass(frozen=True)
class BuiltEnvironment:
    """An environment as it lies in the work root; nothing writes to it once it is there."""

    path: Path
    """Its folder: `venv`, `build.log`, and `source` where the environment refers to it."""
    python: Path
    python_version: str
    key: str
    install_sha: str
    """Digest of the tree and of every other distribution with its version: equal for arms that hold the same."""
    reused: bool
    seconds: float
    """What it took to build it, or to find it."""
    log: Path
    lock: tuple[str, ...]
    """Every distribution but the arm's own, `name==version`, sorted."""
    as_of: date | None
    """The day before which releases had to be out to be considered; None: all are."""
    notes: tuple[str, ...]
    """What was not as wished, one sentence each: for the journal."""


@dataclass(frozen=True)
class BuildRequest:
    """Everything that decides an arm's environment."""

    tree: Path
    """The arm's code, without a repository; it is only read."""
    tree_hash: str
    distribution: str
    """What messages call it: the repository's name."""
    spec: EnvironmentSpec
    version: str | None = None
    """The version that base's real history gives, for projects that ask git for it."""
    replica: int = 0
    """1 for the control arm: the same inputs, built separately."""
    like: BuiltEnvironment | None = None
    """Base's environment: its Python and its dependencies' versions are kept as far as the arm allows."""
    committed_at: datetime | None = None
    """The arm's commit date: dependencies are resolved as they were then, where that works."""

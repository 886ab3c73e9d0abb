"""Environments of finished arms: builds share the folder that they lie in, and none may write to another arm's.

All arms are built in one container, whose mounts are as they were when it started. So a build is not kept from writing
there, it is found out: nothing of isobench writes to an environment that is finished, so that any change is one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from isobench.adapters.made_once import MARKER, forget
from isobench.adapters.python.derivation import ORIGIN
from isobench.contracts.prepared import PreparedArm
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.probe.trees import tree_fingerprint

_DECISIVE = ("venv", "source", MARKER, ORIGIN)
"""What an arm runs, and what others are built from. Logs and names that are read of it come later."""


def looks_of(arms: Iterable[PreparedArm]) -> dict[str, str]:
    """How the environment of every arm that has one looks; the same as long as nothing writes to it."""
    return {arm.name: _fingerprint(arm.environment) for arm in arms if arm.environment is not None}


def touched(arms: Iterable[PreparedArm], looks: Mapping[str, str]) -> Sequence[str]:
    """The arms of ``looks`` whose environment looks otherwise now."""
    return [name for name, look in looks_of(arms).items() if looks.get(name, look) != look]


def require_untouched(arms: Sequence[PreparedArm], looks: Mapping[str, str], meanwhile: str) -> None:
    """Go on only if nothing has written to an environment of ``looks``; ``meanwhile`` says what was done.

    Raises:
        ItemFailure: BuildFailed; something has, and the environment will be built anew for whoever asks next.
    """
    changed = touched(arms, looks)
    for arm in arms:
        if arm.name in changed and arm.environment is not None:
            forget(Path(arm.environment))
    if changed:
        message = f"while {meanwhile}, the finished environment of {' and '.join(changed)} changed"
        remedy = "a build may write to its own only: read what the build script does, or leave this commit out"
        raise ItemFailure(Reason.BUILD_FAILED, f"{message}; {remedy}")


@contextmanager
def untouched(arms: Sequence[PreparedArm], looks: Mapping[str, str], meanwhile: str) -> Iterator[None]:
    """`require_untouched` at the end of the block, however it ends."""
    try:
        yield
    finally:
        require_untouched(arms, looks, meanwhile)


def _fingerprint(environment: str) -> str:
    return tree_fingerprint(*(f"{environment}/{part}" for part in _DECISIVE))

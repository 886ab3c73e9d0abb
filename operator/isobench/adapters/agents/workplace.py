"""An agent's room: a repository with base's tree, the efficiency test in it, a home, and nothing else in its reach."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from isobench.adapters.git.command import Git
from isobench.adapters.isolation.folders import clear
from isobench.engine.workspace import Room

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOMES = {
    "HOME": "home",
    "TMPDIR": "tmp",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
}


def empty_room(room: Room) -> None:
    """Make the room's folders, without anything of an earlier attempt."""
    if room.root.exists():
        clear(room.root)
    for folder in (room.folder, room.control, room.socket.parent, *(room.scratch / leaf for leaf in _HOMES.values())):
        folder.mkdir(parents=True)


def begin_branch(repository: Path, branch: str, test_name: str, test: str) -> None:
    """Put the agent's repository on its ``branch``, with an identity to commit by and the test that git ignores."""
    git = Git.of_repository(repository / ".git")
    git.output("update-ref", f"refs/heads/{branch}", "HEAD")
    git.output("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    git.output("config", "user.name", "agent")
    git.output("config", "user.email", "agent@localhost")
    (repository / test_name).write_text(test, encoding="utf-8")
    excluded = repository / ".git" / "info" / "exclude"
    excluded.parent.mkdir(exist_ok=True)
    excluded.write_text(f"/{test_name}\n", encoding="utf-8")


def agent_environment(room: Room, python: Path, import_roots: Sequence[str]) -> Mapping[str, str]:
    """All variables of an agent's process: a home of its own, base's ``python``, and its worktree to import."""
    variables = {
        **{name: str(room.scratch / leaf) for name, leaf in _HOMES.items()},
        "PATH": f"{python.parent}:{_SYSTEM_PATH}",
        "VIRTUAL_ENV": str(python.parent.parent),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
    if import_roots:
        roots = (os.path.normpath(room.repository / root) for root in import_roots)
        variables["PYTHONPATH"] = os.pathsep.join(roots)
    return variables

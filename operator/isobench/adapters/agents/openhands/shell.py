"""The agent's shell: bash under a Landlock ruleset of its own, narrower than that of the process which starts it.

Out of its reach is what may hold later releases of the task's own package: the SDK's installation, and the packages of
the system's Pythons, pip and what it brings along among them. So is the agent's own folder. A program by itself, which
becomes bash with the arguments that it is given.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":  # by its file: the folder that isobench lies in is not readable for an agent
    _found = importlib.util.spec_from_file_location("isobench", Path(__file__).parents[3] / "__init__.py")
    assert _found is not None
    sys.modules["isobench"] = importlib.util.module_from_spec(_found)

from isobench.probe import kernel, landlock

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin", "/etc", "/nix/store", "/proc", "/sys", "/dev")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm")
PACKAGES = ("lib*/python*/*-packages", "local/lib*/python*/*-packages", "lib*/python*/ensurepip/_bundled")
WHEELS = "share/python-wheels"
OWN = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


def main() -> None:
    """Confine this process for good, then become bash."""
    kernel.renounce_privileges()
    abi = landlock.version()
    if abi:
        rules = list(_reading({Path(path).resolve() for path in _readable()}))
        rules += [(path, landlock.READ | landlock.WRITE) for path in _writable()]
        landlock.restrict_self(landlock.create_ruleset(abi, [rule for rule in rules if Path(rule[0]).exists()]))
    os.execvp("bash", ["bash", *sys.argv[1:]])  # noqa: S606 - bash is what this is for


def _reading(roots: set[Path]) -> Iterator[tuple[str, int]]:
    """Rules for all that is below ``roots`` but the packages in them, and for base's environment with its packages."""
    if environment := os.environ.get("VIRTUAL_ENV"):
        yield environment, landlock.READ
    hidden = {found for root in roots for pattern in (*PACKAGES, WHEELS) for found in root.glob(pattern)}
    for root in roots:
        yield from _around(hidden, root)


def _around(hidden: set[Path], path: Path) -> Iterator[tuple[str, int]]:
    """A rule for ``path``, or for all in it that is not hidden; names can be seen, as imports need that."""
    if not any(found.is_relative_to(path) for found in hidden):
        yield str(path), landlock.READ
        return
    yield str(path), landlock.LIST
    for entry in path.iterdir():
        if entry not in hidden and not entry.is_symlink():
            yield from _around(hidden, entry)


def _readable() -> Iterator[str]:
    """The system, and the installation that base's environment was made from."""
    yield from SYSTEM
    environment = os.environ.get("VIRTUAL_ENV")
    if environment:
        yield str(Path(environment, "bin", "python").resolve().parents[1])


def _writable() -> Iterator[str]:
    """The worktree, in which it was started, and what is the agent's own."""
    yield str(Path.cwd())
    yield from DEVICES
    yield from (os.environ[name] for name in OWN if name in os.environ)

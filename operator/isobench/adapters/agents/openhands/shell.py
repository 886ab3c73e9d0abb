"""The agent's shell: bash under a Landlock ruleset of its own, narrower than that of the process which starts it.

Out of its reach are the SDK's installation, which holds later releases of packages that may be the task, and the
agent's own folder. A program by itself, which becomes bash with the arguments that it is given.
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
OWN = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


def main() -> None:
    """Confine this process for good, then become bash."""
    kernel.renounce_privileges()
    abi = landlock.version()
    if abi:
        rules = [(path, landlock.READ) for path in _readable()]
        rules += [(path, landlock.READ | landlock.WRITE) for path in _writable()]
        landlock.restrict_self(landlock.create_ruleset(abi, [rule for rule in rules if Path(rule[0]).exists()]))
    os.execvp("bash", ["bash", *sys.argv[1:]])  # noqa: S606 - bash is what this is for


def _readable() -> Iterator[str]:
    """The system, and base's environment with the installation that it was made from."""
    yield from SYSTEM
    environment = os.environ.get("VIRTUAL_ENV")
    if environment:
        yield environment
        yield str(Path(environment, "bin", "python").resolve().parents[1])


def _writable() -> Iterator[str]:
    """The worktree, in which it was started, and what is the agent's own."""
    yield str(Path.cwd())
    yield from DEVICES
    yield from (os.environ[name] for name in OWN if name in os.environ)

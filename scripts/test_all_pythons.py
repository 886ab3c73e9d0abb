"""Runs the fast tests on every supported Python, each in an environment of its own; a missing Python is a failure."""

import os
import subprocess
import sys
from pathlib import Path

from isobench.adapters.python.environments import find_uv
from isobench.adapters.python.interpreters import interpreters

SUPPORTED = ("3.11", "3.12", "3.13")


def main() -> int:
    """Test on each of `SUPPORTED` but the one that runs this: `make check` tests on that."""
    here = "{}.{}".format(*sys.version_info)
    failed = [version for version in SUPPORTED if version != here and not passes(version)]
    if failed:
        print(f"the fast tests did not pass on Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def passes(version: str) -> bool:
    """Whether the fast tests pass on ``version``."""
    found = next((python for python in interpreters() if python.version.startswith(f"{version}.")), None)
    if found is None:
        print(f"Python {version} is not on this machine: install it to test on it", file=sys.stderr)
        return False
    print(f"Python {found.version}", flush=True)
    folder = Path(f".venv-{version}")
    environment = os.environ | {"VIRTUAL_ENV": str(folder.absolute())}
    uv = str(find_uv())
    commands = (
        [uv, "venv", "--quiet", "--clear", "--python", str(found.executable), str(folder)],
        [uv, "pip", "install", "--quiet", "--require-hashes", "-r", "requirements/dev.txt"],
        [uv, "pip", "install", "--quiet", "--no-deps", "--editable", "."],
        [str(folder / "bin" / "pytest"), "-n", "2", "tests/unit"],
    )
    return all(subprocess.run(command, env=environment, check=False).returncode == 0 for command in commands)


if __name__ == "__main__":
    sys.exit(main())

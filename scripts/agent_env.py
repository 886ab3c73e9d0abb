"""Makes the agent's own environment, `.venv-agent`, from requirements/agent.txt and the newest Python that fits."""

import os
import subprocess
import sys
from pathlib import Path

from isobench.adapters.python.interpreters import Interpreter, interpreters

OLDEST = (3, 12)
ENVIRONMENT = Path(".venv-agent")
LOCK = Path("requirements/agent.txt")


def main() -> int:
    """0 when the environment is there; 1 and a sentence when no Python is new enough."""
    python = newest()
    if python is None:
        wanted = ".".join(map(str, OLDEST))
        print(f"OpenHands needs Python {wanted} or newer, and this machine has none: install one", file=sys.stderr)
        return 1
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", python.executable, ENVIRONMENT], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--compile-bytecode", "-r", LOCK]
    subprocess.run(install, check=True, env={**os.environ, "VIRTUAL_ENV": str(ENVIRONMENT.absolute())})
    print(f"{ENVIRONMENT}: OpenHands on Python {python.version}")
    return 0


def newest() -> Interpreter | None:
    """The newest Python here that OpenHands runs on."""
    fitting = (found for found in interpreters() if tuple(map(int, found.version.split(".")[:2])) >= OLDEST)
    return next(fitting, None)


if __name__ == "__main__":
    sys.exit(main())

"""kubectl as tests call it, and `kubectl isobench` as a person does."""

import os
import subprocess
import sys
from pathlib import Path

from cluster import binaries

_SCRIPTS = Path(__file__).parents[2] / "scripts"


def kubectl(kubeconfig: Path, *arguments: str, input: str | None = None, check: bool = True) -> str:
    """What kubectl prints; its standard error too where it fails and may."""
    command = [str(binaries.ensure(("kubectl",)) / "kubectl"), f"--kubeconfig={kubeconfig}", *arguments]
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout + (done.stderr if done.returncode else "")


def isobench(kubeconfig: Path, namespace: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """How the plug-in of this source tree answers; ``variables`` are the environment's."""
    places = (binaries.ensure(("kubectl",)), _SCRIPTS, Path(sys.executable).parent, os.environ["PATH"])
    own = {"PATH": os.pathsep.join(map(str, places)), "KUBECONFIG": str(kubeconfig)}
    command = ["kubectl", "isobench", *arguments, "-n", namespace]
    return subprocess.run(command, env=os.environ | own | variables, capture_output=True, text=True, check=False)

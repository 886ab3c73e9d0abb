"""kubectl as tests call it."""

import subprocess
from pathlib import Path

from cluster import binaries


def kubectl(kubeconfig: Path, *arguments: str, input: str | None = None, check: bool = True) -> str:
    """What kubectl prints; its standard error too where it fails and may."""
    command = [str(binaries.ensure(("kubectl",)) / "kubectl"), f"--kubeconfig={kubeconfig}", *arguments]
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout + (done.stderr if done.returncode else "")

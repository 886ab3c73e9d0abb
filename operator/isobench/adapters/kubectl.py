"""kubectl, by its command: it has the person's cluster, context, namespace and credentials."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from isobench.contracts.base import InvalidInput

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The program with the flags that a person gave: --namespace, --context, --kubeconfig."""

    flags: Sequence[str] = ()
    program: str = "kubectl"

    def text(self, *arguments: str) -> str:
        """What it prints.

        Raises:
            InvalidInput: it is not installed, or refuses; with its sentence.
        """
        done = self._run(arguments, capture=True)
        if done.returncode:
            raise InvalidInput(f"kubectl {arguments[0]}", [done.stderr.strip().removeprefix("Error from server ")])
        return str(done.stdout)

    def items(self, kind: str, *arguments: str) -> list[Object]:
        """The objects of ``kind``.

        Raises:
            InvalidInput: kubectl refuses.
        """
        found: list[Object] = json.loads(self.text("get", kind, "--output=json", *arguments))["items"]
        return found

    def item(self, kind: str, name: str) -> Object:
        """One object.

        Raises:
            InvalidInput: kubectl refuses; there is none of that name.
        """
        found: Object = json.loads(self.text("get", kind, name, "--output=json"))
        return found

    def show(self, *arguments: str) -> int:
        """Let it print to the terminal; its exit code."""
        return self._run(arguments, capture=False).returncode

    def _run(self, arguments: Sequence[str], *, capture: bool) -> "subprocess.CompletedProcess[str]":
        command = [self.program, *self.flags, *arguments]
        try:
            return subprocess.run(command, capture_output=capture, text=True, check=False)
        except FileNotFoundError:
            raise InvalidInput(self.program, ["is not installed here; put it on PATH"]) from None

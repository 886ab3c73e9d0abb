"""Builds the wheel of the tree in the working folder by the tree's own backend; runs in the backend's Python (>= 3.8).

It is a PEP 517 front end of one process: the backend is imported once, and asked for its further requirements in a fork
of that process, as hooks may leave traces. The argument is the request as JSON: {"backend", "backend_path", "granted",
"out"}. It exits with `MORE_REQUIREMENTS` when the backend asks for something that is not here, having written it to
out/requires.json.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

MORE_REQUIREMENTS = 75


def main(request: dict[str, Any]) -> int:
    """Build the wheel into request["out"]; the exit code."""
    sys.path[:0] = [str(Path(folder).resolve()) for folder in request["backend_path"]]
    module, _, attributes = request["backend"].partition(":")
    backend = functools.reduce(getattr, filter(None, attributes.split(".")), importlib.import_module(module))
    further = [wanted for wanted in _ask(backend) if wanted not in request["granted"] and not _is_installed(wanted)]
    if further:
        Path(request["out"], "requires.json").write_text(json.dumps(further), encoding="utf-8")
        return MORE_REQUIREMENTS
    backend.build_wheel(request["out"])
    return 0


def _ask(backend: Any) -> list[str]:
    """The backend's answer to get_requires_for_build_wheel, asked in a child."""
    if not hasattr(backend, "get_requires_for_build_wheel"):
        return []
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(backend, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        answer = stream.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the backend failed to say what it requires")
    requirements: list[str] = json.loads(answer)
    return requirements


def _answer(backend: Any, writer: int) -> None:
    """Ends this process: the child must never run on into the build."""
    try:
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            json.dump(list(backend.get_requires_for_build_wheel()), stream)
        sys.stdout.flush()
        os._exit(0)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _is_installed(requirement: str) -> bool:
    """Whether a requirement that is a bare name is here; one with a version is for the resolver to judge."""
    try:
        importlib.metadata.distribution(requirement)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))

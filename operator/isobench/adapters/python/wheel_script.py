"""Builds the wheel of the tree in the working folder by the tree's own backend; runs in the backend's Python (>= 3.8).

It is a PEP 517 front end of one process: the backend is imported once, and asked for its further requirements in a fork
of that process, as hooks may leave traces. The argument is the request as JSON: {"backend", "backend_path", "granted",
"out"}. It exits with `MORE_REQUIREMENTS` when the backend asks for something that is not here, having written it to
out/requires.json. Beside the wheel it leaves out/reads.json: how often the backend opened each file of the tree, what
it had compiled, and whether it started other programs.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any

MORE_REQUIREMENTS = 75
_STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")


class Notes:
    """What the backend reads; an audit hook, which no code of the backend can take away."""

    def __init__(self, tree: Path) -> None:
        """Note files below ``tree``."""
        self.tree = f"{tree.resolve()}/"
        self.opened: dict[str, int] = {}
        self.compiled: set[str] = set()
        self.started = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take one audit event."""
        if event == "open":
            self._open(arguments[0])
        elif event == "compile" and isinstance(arguments[0], (str, bytes)):
            source = arguments[0]
            self.compiled.add(hashlib.sha256(source.encode() if isinstance(source, str) else source).hexdigest())
        elif event in _STARTS:
            self.started = True

    def _open(self, path: Any) -> None:
        if isinstance(path, (str, bytes)):
            found = os.path.realpath(os.fsdecode(path))
            if found.startswith(self.tree):
                name = found[len(self.tree) :]
                self.opened[name] = self.opened.get(name, 0) + 1

    def merge(self, other: dict[str, Any]) -> None:
        """Add what a child noted, every file of which counts as read for its content."""
        for name in other["opened"]:
            self.opened[name] = self.opened.get(name, 0) + 2
        self.compiled.update(other["compiled"])
        self.started |= other["started"]

    def as_json(self) -> dict[str, Any]:
        """The notes, plain."""
        return {"opened": self.opened, "compiled": sorted(self.compiled), "started": self.started}


def main(request: dict[str, Any]) -> int:
    """Build the wheel into request["out"]; the exit code."""
    notes = Notes(Path.cwd())
    sys.addaudithook(notes)
    sys.path[:0] = [str(Path(folder).resolve()) for folder in request["backend_path"]]
    module, _, attributes = request["backend"].partition(":")
    backend = functools.reduce(getattr, filter(None, attributes.split(".")), importlib.import_module(module))
    wanted = _ask(backend, notes)
    further = [one for one in wanted if one not in request["granted"] and not _is_installed(one)]
    if further:
        Path(request["out"], "requires.json").write_text(json.dumps(further), encoding="utf-8")
        return MORE_REQUIREMENTS
    backend.build_wheel(request["out"])
    Path(request["out"], "reads.json").write_text(json.dumps(notes.as_json()), encoding="utf-8")
    return 0


def _ask(backend: Any, notes: Notes) -> list[str]:
    """The backend's answer to get_requires_for_build_wheel, asked in a child whose reads are noted too."""
    if not hasattr(backend, "get_requires_for_build_wheel"):
        return []
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(backend, notes, writer)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as stream:
        answer = stream.read()
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the backend failed to say what it requires")
    told = json.loads(answer)
    notes.merge(told["reads"])
    requirements: list[str] = told["requires"]
    return requirements


def _answer(backend: Any, notes: Notes, writer: int) -> None:
    """Ends this process: the child must never run on into the build."""
    try:
        with os.fdopen(writer, "w", encoding="utf-8") as stream:
            requires = list(backend.get_requires_for_build_wheel())
            json.dump({"requires": requires, "reads": notes.as_json()}, stream)
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

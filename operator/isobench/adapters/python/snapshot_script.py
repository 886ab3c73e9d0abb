"""Lists the public names of an arm's modules, by reading their source; runs in the environment's Python (>= 3.8).

Nothing of the arm is imported, so nothing of it runs, and a snapshot takes no longer than parsing. Compiled modules are
listed without names. Arguments: the arm's tree, for what is not installed as files of its own (an editable install),
the file that the snapshot is written to, as JSON: {"python", "distributions": {name: version}, "modules": {module:
{name: signature, or "" for other things}}, "errors": {module: why}}, and a file of what was read in modules before,
which need not be there: what has not changed since is not parsed again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.machinery
import importlib.metadata
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
_NOT_THE_PACKAGE = {"tests", "test", "testing", "docs", "doc", "examples", "benchmarks", "build", "dist", "setup"}


def main(tree: Path, out: Path, memory: Path) -> None:
    """Write the snapshot of the arm that is installed in this Python, or lies in ``tree``, to ``out``."""
    own = [found for found in importlib.metadata.distributions() if _is_the_arm(found)]
    files = dict(_installed_files(own)) or dict(_files_of_tree(tree))
    known = json.loads(memory.read_text(encoding="utf-8")) if memory.is_file() else {}
    keys = {module: _key(module, file, sorted(files)) for module, file in files.items()}
    read = {
        module: known[keys[module]] if keys[module] in known else _read(module, file, set(files))
        for module, file in sorted(files.items())
    }
    remembered = out.with_suffix(".memory")
    remembered.write_text(json.dumps({keys[module]: found for module, found in read.items()}), encoding="utf-8")
    remembered.replace(memory)
    modules = {module: found["names"] for module, found in read.items() if not found["error"]}
    _follow_stars(modules, {module: read[module]["stars"] for module in modules})
    snapshot = {
        "python": platform.python_version(),
        "distributions": {found.metadata["Name"]: found.version for found in own},
        "modules": modules,
        "errors": {module: found["error"] for module, found in read.items() if found["error"]},
    }
    out.write_text(json.dumps(snapshot, indent=1, sort_keys=True), encoding="utf-8")


def _key(module: str, file: Path, modules: list[str]) -> str:
    """The digest of everything that decides what is read in a module: which others there are, too."""
    try:
        content = file.read_bytes() if file.suffix == ".py" else b""
    except OSError:
        content = b""
    told = json.dumps([module, file.name, modules]).encode()
    return hashlib.sha256(told + content).hexdigest()


def _read(module: str, file: Path, modules: set[str]) -> dict[str, Any]:
    """The names that a module has of its own, the modules that it takes all names from, and what was wrong with it."""
    found = _Names(module, file.name.startswith("__init__."), modules)
    error = ""
    try:
        if file.suffix == ".py":
            found.visit_body(ast.parse(file.read_bytes()))
    except (SyntaxError, ValueError, RecursionError, OSError) as problem:
        error = f"{type(problem).__name__}: {problem}"
    return {"names": found.public(), "stars": found.stars, "error": error}


def _is_the_arm(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it was installed from a local file or folder, which it says by PEP 610."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return str(origin.get("url", "")).startswith("file:")


def _installed_files(own: list[importlib.metadata.Distribution]) -> Iterator[tuple[str, Path]]:
    for distribution in own:
        for path in distribution.files or ():
            module = _module_name(path.parts)
            if module and not module.startswith("__editable__"):
                yield module, Path(str(path.locate()))


def _files_of_tree(tree: Path) -> Iterator[tuple[str, Path]]:
    """The packages and modules at the top of ``tree`` or of its `src`."""
    for root in (tree / "src", tree):
        for top in sorted(root.glob("*")):
            if top.stem in _NOT_THE_PACKAGE or (top.is_dir() and not (top / "__init__.py").is_file()):
                continue
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                module = _module_name(path.relative_to(root).parts)
                if module and path.is_file():
                    yield module, path


def _module_name(parts: tuple[str, ...]) -> str | None:
    """The module that a file is, if it is one outside the tests."""
    suffix = next((suffix for suffix in _SUFFIXES if parts[-1].endswith(suffix)), None)
    if suffix is None:
        return None
    names = [*parts[:-1], parts[-1].split(".")[0]]
    if names[-1] == "__init__" and len(names) > 1:
        names.pop()
    if not all(name.isidentifier() for name in names) or {"tests", "test", "conftest"} & set(names):
        return None
    return ".".join(names)


class _Names:
    """The names that a module binds at its top level, and the modules that it takes all names from."""

    def __init__(self, module: str, is_package: bool, modules: set[str]) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.modules = modules
        self.names: dict[str, str] = {}
        self.listed: list[str] = []
        self.stars: list[str] = []

    def public(self) -> dict[str, str]:
        """What `__all__` lists, and whatever else has no leading underscore: it can be imported all the same."""
        unlisted = {name: signature for name, signature in self.names.items() if not name.startswith("_")}
        return {**{name: self.names.get(name, "") for name in self.listed}, **unlisted}

    def visit_body(self, node: Any) -> None:
        """Take the names of a body and of the branches in it: `if`, `try`, `with`, loops."""
        for field in ("body", "orelse", "finalbody", "handlers"):
            for statement in getattr(node, field, []):
                self._visit(statement)

    def _visit(self, node: Any) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.names[node.name] = _signature(node.args)
        elif isinstance(node, ast.ClassDef):
            self.names[node.name] = _class_signature(node)
        elif isinstance(node, ast.ImportFrom):
            self._visit_import(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            self._visit_assignment(node)
        else:
            self.visit_body(node)

    def _visit_import(self, node: ast.ImportFrom) -> None:
        """Names that come from the arm's own modules are names of this one too; other people's are not."""
        source = self._absolute(node)
        if source not in self.modules and source.split(".")[0] not in self.modules:
            return
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(source)
            else:
                self.names[alias.asname or alias.name] = ""

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])

    def _visit_assignment(self, node: Any) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    self.names[name.id] = ""
                    if name.id == "__all__" and node.value:
                        constants = (item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant))
                        self.listed += [value for value in constants if isinstance(value, str)]


def _follow_stars(modules: dict[str, dict[str, str]], stars: dict[str, list[str]]) -> None:
    """Give each module the names of those that it imports all names from, however long the chain."""
    changed = True
    while changed:
        changed = False
        for module, sources in stars.items():
            for source in sources:
                missing = {name: text for name, text in modules.get(source, {}).items() if name not in modules[module]}
                modules[module].update(missing)
                changed = changed or bool(missing)


def _signature(arguments: ast.arguments) -> str:
    return f"({getattr(ast, 'unparse', _names_of)(arguments)})"


def _names_of(arguments: ast.arguments) -> str:
    """What Python 3.8, which can't unparse, gives: the parameters' names."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return ", ".join(argument.arg for argument in every)


def _class_signature(node: ast.ClassDef) -> str:
    """The signature of its `__init__`, without self."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            statement.args.args = statement.args.args[1:]
            return _signature(statement.args)
    return "()"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))

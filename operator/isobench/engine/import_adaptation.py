"""The adaptation of a test to an arm whose public names are in other modules than those the test imports them from."""

import ast
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

Names = Mapping[str, Set[str]]
"""Module to its public names, as an API snapshot gives them."""


_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Adapted:
    """The script for one arm, and what was rewritten in it: `module.name` to `module.name`."""

    text: str
    rewrites: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Edit:
    statement: ast.ImportFrom | ast.Import
    text: str


def adapt_imports(script: str, arm: Names, *others: Names) -> Adapted:
    """``script`` with each import that ``arm`` no longer satisfies taken from the module that has the name in it.

    Rewritten are `from M import name` and `import M as alias`, and only where one of the ``others`` (the other arms'
    names) has the import as written: then the name is one that snapshots see, and it moved. Of several modules that
    have the name, it is taken from a public one before a private one, then from the nearest to the old module (longest
    common path), then from the one with the shortest path, then from the first by alphabet. Everything but the
    rewritten statements stays as it is, byte for byte; a script with syntax errors stays as it is altogether.
    """
    body = script.removeprefix(_BYTE_ORDER_MARK)
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError, RecursionError):
        return Adapted(script, {})
    rewrites: dict[str, str] = {}
    edits: list[_Edit] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            edits += _edit_from(node, node.module, arm, others, rewrites)
        elif isinstance(node, ast.Import):
            edits += _edit_import(node, arm, others, rewrites)
    return Adapted(script[: len(script) - len(body)] + _apply(body, edits), rewrites)


def _edit_from(
    node: ast.ImportFrom, module: str, arm: Names, others: tuple[Names, ...], rewrites: dict[str, str]
) -> Iterator[_Edit]:
    by_module: dict[str, list[str]] = {}
    for alias in node.names:
        target = _new_home(module, alias.name, arm, others)
        if target != module:
            rewrites[f"{module}.{alias.name}"] = f"{target}.{alias.name}"
        by_module.setdefault(target, []).append(_alias_text(alias))
    if set(by_module) != {module}:
        yield _Edit(node, "; ".join(f"from {target} import {', '.join(names)}" for target, names in by_module.items()))


def _edit_import(node: ast.Import, arm: Names, others: tuple[Names, ...], rewrites: dict[str, str]) -> Iterator[_Edit]:
    moved: dict[str, str] = {}
    for alias in node.names:
        parent, _, name = alias.name.rpartition(".")
        if alias.asname and parent:
            target = _new_home(parent, name, arm, others)
            if target != parent and f"{target}.{name}" in arm:
                moved[alias.name] = f"{target}.{name}"
    if moved:
        rewrites.update(moved)
        texts = [_alias_text(ast.alias(moved.get(alias.name, alias.name), alias.asname)) for alias in node.names]
        yield _Edit(node, f"import {', '.join(texts)}")


def _alias_text(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _new_home(module: str, name: str, arm: Names, others: tuple[Names, ...]) -> str:
    """The module to take ``name`` from; ``module`` itself unless the name is known to have moved."""
    if _has(arm, module, name) or not any(_has(other, module, name) for other in others):
        return module
    homes = [home for home in _parents(arm) if _has(arm, home, name)]
    return min(homes, key=lambda home: _distance(module, home), default=module)


def _parents(names: Names) -> set[str]:
    return {*names, *(module.rpartition(".")[0] for module in names)} - {""}


def _has(names: Names, module: str, name: str) -> bool:
    return name in names.get(module, ()) or f"{module}.{name}" in names


def _distance(old: str, new: str) -> tuple[bool, int, int, str]:
    """How far a module is from where the name was: smaller is better."""
    old_path, new_path = old.split("."), new.split(".")
    common = next((i for i, pair in enumerate(zip(old_path, new_path, strict=False)) if pair[0] != pair[1]), None)
    shared = common if common is not None else min(len(old_path), len(new_path))
    return any(part.startswith("_") for part in new_path), -shared, len(new_path), new


def _apply(script: str, edits: list[_Edit]) -> str:
    """Positions of `ast` count lines and UTF-8 bytes in them."""
    lines = script.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    content = script.encode()
    for edit in sorted(edits, key=lambda edit: (edit.statement.lineno, edit.statement.col_offset), reverse=True):
        node = edit.statement
        begin = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        content = content[:begin] + edit.text.encode() + content[end:]
    return content.decode()

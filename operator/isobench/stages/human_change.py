"""The human change of an item, as a scan for leaks looks for it: what base holds anyway gives nothing away."""

import os
from collections.abc import Iterator
from pathlib import Path

from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import Prepared
from isobench.engine.leaks import HumanChange, added_lines, without_lines_of

LARGEST_SOURCE = 4 * 2**20


def human_change(prepared: Prepared, extraction: Extraction | None) -> HumanChange:
    """What would give the change away."""
    commits = prepared.commits
    lines = added_lines(commits.patch)
    base = prepared.arm("base")
    for source in _sources(Path(base.tree)) if base is not None else ():
        if not lines:
            break
        lines = without_lines_of(source.read_text(encoding="utf-8", errors="replace"), lines)
    return HumanChange(commits.head_commit, commits.subject, extraction.pr_url if extraction else None, lines)


def _sources(tree: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(tree):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST_SOURCE:
                yield path

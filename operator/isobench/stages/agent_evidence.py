"""What an attempt left behind, as evidence: what was tampered with, what is off target, and the patch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from isobench.adapters.agents.worktree import changes, read_file, repository_state
from isobench.adapters.git.patches import Content, ignored_by, patch_between
from isobench.contracts.attempt import Assignment, Ended
from isobench.engine.agent_end import AgentEnd
from isobench.engine.agent_outcome import Evidence
from isobench.engine.worktree_rules import Change, RepositoryState, Sorted, compare_repositories, sort_changes

PATCH_BYTES = 4 * 2**20
TARGET_BYTES = 16 * 2**20
"""A changed target is read whole; a sparse file may claim more than there is memory."""


@dataclass(frozen=True)
class Left:
    """The changes of an attempt, sorted, and its patch: tree(worktree) - tree(base), targets only."""

    changes: Sorted
    tampering: tuple[str, ...]
    patch: bytes
    oversize: str | None = None
    """Why there is no patch: a target that is too long to be read."""

    @property
    def too_large(self) -> str | None:
        """Why the patch can't be taken, if it can't."""
        if self.oversize is not None or len(self.patch) <= PATCH_BYTES:
            return self.oversize
        return f"the patch has {len(self.patch)} bytes and may have {PATCH_BYTES}"


def look_at(
    worktree: Path, base: Path, before: RepositoryState, assignment: Assignment, test: str, scratch: Path
) -> Left:
    """Look at ``worktree`` once all of the agent's processes are dead; nothing of it is run."""
    found = [change for change in changes(base, worktree) if not _is_test_as_given(change, worktree, assignment, test)]
    if not (worktree / assignment.test).is_file():
        found.append(Change(assignment.test, "removed"))
    added = [change.path for change in found if change.kind == "added" and change.path not in assignment.targets]
    ignored = ignored_by(base, added, scratch)
    judged = sort_changes(found, assignment.targets, ignored, assignment.test)
    repository = compare_repositories(before, repository_state(worktree), f"refs/heads/{assignment.branch}")
    tampering = (*judged.tampering, *repository)
    oversize = _oversize(worktree, judged.in_target)
    if oversize is not None:
        return Left(judged, tampering, b"", oversize)
    patch = patch_between(_files(base, judged.in_target), _files(worktree, judged.in_target), scratch)
    return Left(judged, tampering, patch)


def evidence_of(ended: Ended, left: Left) -> Evidence:
    """What an outcome is judged by, before the patch is tried."""
    return Evidence(
        end=AgentEnd(ended.how, ended.message, ended.iterations),
        stopped=ended.stopped or left.too_large,
        out_of_time=ended.out_of_time,
        tampering=left.tampering,
        off_target=left.changes.off_target,
        changed=left.changes.in_target if left.patch else (),
    )


def _is_test_as_given(change: Change, worktree: Path, assignment: Assignment, test: str) -> bool:
    if change.path != assignment.test or change.kind != "added" or change.link is not None or change.special:
        return False
    given = test.encode()
    return (worktree / assignment.test).lstat().st_size == len(given) and read_file(worktree, change.path)[0] == given


def _oversize(worktree: Path, paths: tuple[str, ...]) -> str | None:
    for path in paths:
        if (worktree / path).is_file() and (size := (worktree / path).lstat().st_size) > TARGET_BYTES:
            return f"{path} has {size} bytes and may have {TARGET_BYTES}"
    return None


def _files(tree: Path, paths: tuple[str, ...]) -> Mapping[str, Content]:
    return {path: read_file(tree, path) for path in paths if (tree / path).is_file()}

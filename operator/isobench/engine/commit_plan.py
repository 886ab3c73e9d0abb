"""Commit plans: what a `commits.txt` asks for, line by line, and what is wrong with the lines that can't be read."""

import re
from dataclasses import dataclass

_HASH = re.compile(r"[0-9a-f]{7,40}")
_PARENT = re.compile(r"parent=([1-9][0-9]*)")

_FORMS = "write `<human_sha>`, `<human_sha> <pre_sha>` or `<human_sha> parent=N`"


@dataclass(frozen=True, slots=True)
class PlannedCommit:
    """One pair: `head`, and its `base` either by hash or as the `parent`-th parent of head (1 is the first)."""

    line: int
    head: str
    base: str | None = None
    parent: int = 1


@dataclass(frozen=True, slots=True)
class PlanProblem:
    """A line that can't be read, and what to write instead."""

    line: int
    text: str
    message: str

    def __str__(self) -> str:
        """One sentence for a person."""
        return f"line {self.line}, {self.text!r}: {self.message}"


@dataclass(frozen=True, slots=True)
class CommitPlan:
    """All lines of a plan, in its order."""

    commits: tuple[PlannedCommit, ...]
    problems: tuple[PlanProblem, ...]


def parse_commit_plan(text: str) -> CommitPlan:
    """Read a plan; `#` starts a comment, blank lines are skipped, and a bad line stops no other."""
    commits: list[PlannedCommit] = []
    problems: list[PlanProblem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        read = _read(number, words)
        if isinstance(read, PlannedCommit):
            commits.append(read)
        else:
            problems.append(PlanProblem(number, line.strip()[:80], read))
    return CommitPlan(tuple(commits), tuple(problems))


def _read(number: int, words: list[str]) -> PlannedCommit | str:
    if len(words) > 2:
        return f"{len(words)} words where at most two belong; {_FORMS}"
    head, *rest = (word.lower() for word in words)
    if not _HASH.fullmatch(head):
        return f"{words[0][:50]!r} isn't a commit hash of 7 to 40 hexadecimal digits; {_FORMS}"
    if not rest:
        return PlannedCommit(number, head)
    if parent := _PARENT.fullmatch(rest[0]):
        return PlannedCommit(number, head, parent=int(parent[1]))
    if _HASH.fullmatch(rest[0]):
        return PlannedCommit(number, head, base=rest[0])
    return f"{words[1][:50]!r} is neither a commit hash nor parent=N with N from 1; {_FORMS}"

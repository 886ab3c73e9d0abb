"""Whether a test script gives the human change away to somebody who has not seen it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from isobench.contracts.reasons import ItemFailure, Reason

SHORTEST_LINE = 20
SHORTEST_HASH = 7
SHORTEST_SUBJECT = 12
SHOWN = 3


@dataclass(frozen=True, slots=True)
class HumanChange:
    """What would give the human change away."""

    head_commit: str
    subject: str
    pr_url: str | None
    added_lines: frozenset[str]


def added_lines(patch: str) -> frozenset[str]:
    """The lines of 20 characters and more that ``patch`` adds, blanks collapsed."""
    added = (line[1:] for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++ "))
    return frozenset(line for line in map(_collapsed, added) if len(line) >= SHORTEST_LINE)


def without_lines_of(text: str, lines: frozenset[str]) -> frozenset[str]:
    """Those of ``lines`` that ``text`` lacks."""
    return lines - {_collapsed(line) for line in text.splitlines()}


def refuse_leaks(script: str, change: HumanChange) -> None:
    """Look for ``change`` in the code, the strings and the comments of ``script``.

    Raises:
        ItemFailure: LEAK_IN_TEST, with what was found.
    """
    found = list(_leaks(script, change))
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise ItemFailure(
            Reason.LEAK_IN_TEST,
            f"the test gives the change away: it holds {'; '.join(found[:SHOWN])}{more}; write it without",
        )


def _leaks(script: str, change: HumanChange) -> Iterator[str]:
    if _names_hash(script, change.head_commit):
        yield "the commit's hash"
    if change.pr_url is not None:
        yield from _pull_request(script, change.pr_url)
    if len(change.subject) >= SHORTEST_SUBJECT and _collapsed(change.subject).lower() in _collapsed(script).lower():
        yield "the commit's title"
    for line in map(_collapsed, script.splitlines()):
        for added in change.added_lines:
            if added in line:
                yield f"the added line {added[:100]!r}"


def _names_hash(script: str, head: str) -> bool:
    words = re.findall(rf"(?<![0-9a-fA-F])[0-9a-fA-F]{{{SHORTEST_HASH},40}}(?![0-9a-fA-F])", script)
    return any(head.startswith(word.lower()) for word in words)


def _pull_request(script: str, url: str) -> Iterator[str]:
    if url.rstrip("/") in script:
        yield "the pull request's address"
    number = re.search(r"/(?:pull|pulls|merge_requests|pull-requests)/(\d+)", url)
    if number and re.search(rf"(?i)(?:#|\bpr[ #-]?|\bpull(?: request)?[ /#]|\bgh-){number[1]}\b", script):
        yield f"the pull request's number, {number[1]}"


def _collapsed(text: str) -> str:
    return " ".join(text.split())

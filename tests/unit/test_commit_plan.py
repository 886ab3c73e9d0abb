"""Commit plans: every line is read or said to be wrong, and no line is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.engine.commit_plan import PlannedCommit, parse_commit_plan

HEAD = "0123456789abcdef0123456789abcdef01234567"
PRE = "fedcba9876543210fedcba9876543210fedcba98"


def test_the_three_forms_of_a_line() -> None:
    plan = parse_commit_plan(f"{HEAD}\n{HEAD} {PRE}\n{HEAD[:8]} parent=2\n")
    assert plan.commits == (
        PlannedCommit(1, HEAD),
        PlannedCommit(2, HEAD, base=PRE),
        PlannedCommit(3, HEAD[:8], parent=2),
    )
    assert plan.problems == ()


def test_comments_blank_lines_and_the_marks_of_other_editors_are_skipped() -> None:
    plan = parse_commit_plan(f"\ufeff# a plan\r\n\r\n  {HEAD.upper()}\t{PRE}  # the fast one\r\n")
    assert plan.commits == (PlannedCommit(3, HEAD, base=PRE),)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("main", "'main' isn't a commit hash"),
        ("012345", "'012345' isn't a commit hash"),
        (f"{HEAD}0", "isn't a commit hash"),
        (f"{HEAD} parent=0", "'parent=0' is neither"),
        (f"{HEAD} parent=", "'parent=' is neither"),
        (f"{HEAD} --upload-pack=x", "'--upload-pack=x' is neither"),
        (f"{HEAD} {PRE} parent=1", "3 words where at most two belong"),
        ("\x00\x01", "isn't a commit hash"),
    ],
)
def test_a_bad_line_is_named_and_stops_no_other(line: str, complaint: str) -> None:
    plan = parse_commit_plan(f"{PRE}\n{line}\n{HEAD}\n")
    assert [commit.head for commit in plan.commits] == [PRE, HEAD]
    (problem,) = plan.problems
    assert problem.line == 2
    assert complaint in problem.message
    assert "<human_sha>" in problem.message
    assert str(problem).startswith("line 2, ")


@given(st.text())
def test_any_text_is_read_without_an_exception_and_every_line_is_accounted_for(text: str) -> None:
    plan = parse_commit_plan(text)
    meant = [line for line in text.removeprefix("\ufeff").splitlines() if line.partition("#")[0].split()]
    assert len(plan.commits) + len(plan.problems) == len(meant)

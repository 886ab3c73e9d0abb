"""A test script must not give the human change away."""

import pytest

from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.leaks import HumanChange, added_lines, refuse_leaks, without_lines_of

HEAD = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
PATCH = """diff --git a/m.py b/m.py
--- a/m.py
+++ b/module_with_long_name.py
@@ -1,3 +1,4 @@
 def f(values):
-    return sorted(list(values))
+    cache = collections.OrderedDict()
+    short = 1
+from package import something_long
"""
CHANGE = HumanChange(
    head_commit=HEAD,
    subject="Use an ordered dict in f",
    pr_url="https://example.invalid/o/n/pull/4711",
    added_lines=added_lines(PATCH),
)


def test_only_long_added_lines_count_and_no_file_header_does() -> None:
    assert added_lines(PATCH) == {"cache = collections.OrderedDict()", "from package import something_long"}


def test_a_line_that_base_has_is_no_leak() -> None:
    left = without_lines_of("x = 1\n    from  package import something_long\n", added_lines(PATCH))
    assert left == {"cache = collections.OrderedDict()"}


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (f"# measures {HEAD}\n", "hash"),
        (f"COMMIT = '{HEAD[:7].upper()}'\n", "hash"),
        ("# see https://example.invalid/o/n/pull/4711\n", "address"),
        ("# PR 4711\n", "number, 4711"),
        ("# fixes #4711\n", "number, 4711"),
        ("name = 'pull request 4711'\n", "number, 4711"),
        ('"""use an   ordered dict\nin f"""\n', "title"),
        ("    cache  =  collections.OrderedDict()  # same\n", "added line 'cache = collections.OrderedDict()'"),
        ("# cache = collections.OrderedDict()\n", "added line"),
    ],
)
def test_what_names_the_change_is_found_in_code_strings_and_comments(script: str, named: str) -> None:
    with pytest.raises(ItemFailure) as failure:
        refuse_leaks(script, CHANGE)
    assert failure.value.reason is Reason.LEAK_IN_TEST
    assert named in failure.value.message


@pytest.mark.parametrize(
    "script",
    [
        "import collections\nshort = 1\n",
        "n = 4711\n",
        "x = 0xabcdef0\n",
        f"digest = '{'0a1b2c3' + 'f' * 57}'\n",
        "",
    ],
)
def test_what_only_looks_like_it_is_let_through(script: str) -> None:
    refuse_leaks(script, CHANGE)


def test_a_long_list_of_findings_stays_one_sentence() -> None:
    many = HumanChange(HEAD, "", None, frozenset(f"a line that was added, {n:03}" for n in range(50)))
    with pytest.raises(ItemFailure, match="and 47 more"):
        refuse_leaks("\n".join(many.added_lines), many)


def test_a_short_subject_alone_is_no_leak() -> None:
    refuse_leaks("speed = 'Speed up'\n", HumanChange(HEAD, "Speed up", None, frozenset()))

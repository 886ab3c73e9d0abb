"""The operating pages: every block says whether it is run and by which test, and what is named is there."""

import re
from pathlib import Path

import pytest

from isobench.cli.kubectl_plugin import isobench

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "faults.md"
PAGES = [
    *sorted((ROOT / "docs" / "operating").iterdir()),
    *sorted((ROOT / "docs" / "runbooks").iterdir()),
    ROOT / "docs" / "security.md",
    ROOT / "docs" / "observing.md",
    FAULTS,
]
NAMED = re.compile(r"`(?:((?:tests/[\w/]+|test_\w+)\.py)(?:::(\w+))?|(test_\w+))`")
OPERATING = [page for page in PAGES if page.parent.name == "operating"]


@pytest.mark.parametrize("page", OPERATING, ids=lambda page: page.name)
def test_every_block_is_run_by_a_test_or_marked_as_not_run(page):
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"^```(?:sh|yaml)\n[\s\S]+?^```\n+(.*)", text, re.MULTILINE):
        after = block[1]
        if after.startswith("```"):
            continue
        named = re.search(r"^Run by `(tests/\S+\.py)`", after)
        assert named or after.startswith("Not run here"), f"{page.name}: nothing is said after {block[0][:80]!r}"
        if named:
            assert (ROOT / named[1]).exists(), f"{page.name} names {named[1]}"


def named_on(page):
    """Every file of tests that the page names, with the test in it if one is named: `file`, `file::test`, or `test`.

    A file without a folder is one of the cluster's, and a test without a file is in the file named before it.
    """
    path = None
    for found in NAMED.finditer(page.read_text(encoding="utf-8")):
        file, test = found[1], found[2] or found[3]
        if file is not None:
            path = ROOT / file if "/" in file else ROOT / "tests" / "cluster" / file
        assert path is not None, f"{test} is in no file"
        yield path, test


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page):
    for path, test in named_on(page):
        assert path.exists(), path
        assert test is None or f"def {test}(" in path.read_text(encoding="utf-8"), f"{path.name}::{test}"


def test_every_fault_names_a_test():
    _, _, *rows = [line for line in FAULTS.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert [row for row in rows if not NAMED.search(row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_plug_in_are_those_there_are(page):
    named = re.findall(r"kubectl isobench (\w+)", page.read_text(encoding="utf-8"))
    assert set(named) <= set(isobench.commands)

"""The operating pages: every block says whether it is run and by which test, and what is named is there."""

import re
from pathlib import Path

import pytest

from isobench.cli.kubectl_plugin import isobench

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted((ROOT / "docs" / "operating").iterdir()),
    *sorted((ROOT / "docs" / "runbooks").iterdir()),
    ROOT / "docs" / "security.md",
    ROOT / "docs" / "observing.md",
]
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text(encoding="utf-8"))
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), test


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_plug_in_are_those_there_are(page):
    named = re.findall(r"kubectl isobench (\w+)", page.read_text(encoding="utf-8"))
    assert set(named) <= set(isobench.commands)

"""Versions from tags: the values are those of setuptools_scm's default scheme without the local part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from isobench.engine.version import DescribedVersion, described_version, untagged_version


@pytest.mark.parametrize(
    ("tag", "distance", "version"),
    [
        ("1.2", 0, "1.2"),
        ("1.2", 5, "1.3.dev5"),
        ("v1.2.3", 5, "1.2.4.dev5"),
        ("10.9", 5, "10.10.dev5"),
        ("v1", 5, "2.dev5"),
        ("1.2.3.4", 5, "1.2.3.5.dev5"),
        ("1.0rc1", 0, "1.0rc1"),
        ("1.0rc1", 5, "1.0rc2.dev5"),
        ("1.0b2", 5, "1.0b3.dev5"),
        ("1.0.post1", 5, "1.0.post2.dev5"),
        ("1.0.dev0", 5, "1.0.dev5"),
        ("project-1.9", 5, "1.10.dev5"),
        ("1.2+local", 0, "1.2"),
    ],
)
def test_the_version_so_many_commits_after_a_tag(tag: str, distance: int, version: str) -> None:
    described = described_version(tag, distance)
    assert described is not None
    assert described.version == version


@pytest.mark.parametrize(("tag", "after"), [("v1.2", "v1.3.dev2"), ("rel/1.2", "rel/1.3.dev2"), ("1.2", "1.3.dev2")])
def test_the_tag_keeps_the_projects_style(tag: str, after: str) -> None:
    assert described_version(tag, 2) == DescribedVersion("1.3.dev2", after)


@pytest.mark.parametrize("tag", ["stable", "1.2-what-is-this", "v", "release_1_2_x", ""])
def test_a_tag_that_is_no_version_gives_none(tag: str) -> None:
    assert described_version(tag, 3) is None


def test_a_history_without_version_tags_counts_its_commits() -> None:
    assert untagged_version(7).version == "0.1.dev7"


@given(
    st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}((a|b|rc)[0-9]{1,2})?(\.dev[0-9]{1,2})?", fullmatch=True),
    st.integers(1, 999),
)
def test_a_later_commit_has_a_later_version(tag: str, distance: int) -> None:
    at_tag, after, later = (described_version(tag, d) for d in (0, distance, distance + 1))
    assert at_tag is not None
    assert after is not None
    assert later is not None
    assert Version(at_tag.version) < Version(after.version) < Version(later.version)

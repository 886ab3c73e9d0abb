"""Names: what a repository, an instance, an item and a run are called."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.engine.identity import instance_id, item_id, path_part, pull_request_number, repo_slug, run_id

HEAD = "0123456789abcdef0123456789abcdef01234567"
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}", fullmatch=True).filter(lambda name: not name.endswith(".git"))
HASHES = st.from_regex(r"[0-9a-f]{40}", fullmatch=True)


@pytest.mark.parametrize(
    ("origin", "slug"),
    [
        ("https://example.com/owner/name.git", "owner/name"),
        ("https://example.com/owner/name", "owner/name"),
        ("https://example.com/owner/name/", "owner/name"),
        ("https://example.com/group/sub/name.git", "sub/name"),
        ("git@example.com:owner/name.git", "owner/name"),
        ("ssh://git@example.com:22/owner/name.git", "owner/name"),
        ("https://user:secret@example.com/owner/name", "owner/name"),
        ("https://user:secret@example.com/name", "example.com/name"),
        ("/srv/mirrors/name.git", "mirrors/name"),
        ("../mirrors/name", "mirrors/name"),
        ("file:///srv/mirrors/name", "mirrors/name"),
        ("git@example.com:name.git", "git@example.com/name"),
    ],
)
def test_a_repository_is_named_by_the_last_two_parts_of_its_origin(origin: str, slug: str) -> None:
    assert repo_slug(origin, "/home/me/clone") == slug


@pytest.mark.parametrize("origin", [None, ""])
def test_a_clone_without_origin_is_local(origin: str | None) -> None:
    assert repo_slug(origin, "/home/me/clone") == "local/clone"


@given(NAMES, NAMES)
def test_every_way_to_write_an_address_gives_one_name(owner: str, name: str) -> None:
    ways = ("https://h.example/{}/{}.git", "git@h.example:{}/{}.git", "ssh://git@h.example/{}/{}", "/srv/{}/{}.git")
    assert {repo_slug(way.format(owner, name), "/x") for way in ways} == {f"{owner}/{name}"}


def test_an_instance_is_named_by_the_pull_request_that_brought_it_in() -> None:
    subjects = ["Merge branch 'topic'", "Merge pull request #41 from a/b", "Merge pull request #42 from c/d"]
    assert instance_id("owner/name", HEAD, subjects) == "owner__name-PR-41"


def test_an_instance_without_pull_request_is_named_by_seven_digits_of_head() -> None:
    assert instance_id("owner/name", HEAD, ["Merge branch 'topic' (#9)"]) == "owner__name-0123456"


@pytest.mark.parametrize(("before", "number"), [(9, 7), (10, None)])
def test_only_the_first_ten_merges_are_read(before: int, number: int | None) -> None:
    assert pull_request_number(["Merge branch 'x'"] * before + ["Merge pull request #7 from a/b"]) == number


def test_a_pull_request_merge_without_number_names_none() -> None:
    assert pull_request_number(["Merge pull request from fork", "Merge pull request #7 from a/b"]) is None


@given(st.text(max_size=40), NAMES, HASHES, st.lists(st.one_of(st.none(), st.text(), st.integers()), max_size=4))
def test_an_item_is_a_dns_label_of_at_most_thirty_characters(
    owner: str, name: str, head: str, variant: list[object]
) -> None:
    name = item_id(f"{owner}/{name}", head, *variant)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", name)


@given(st.text(), HASHES, st.lists(st.text(alphabet="ab/", max_size=2), max_size=2), st.integers(0, 3))
def test_equal_items_share_a_name_and_different_ones_do_not(
    slug: str, head: str, variant: list[str], sample: int
) -> None:
    name = item_id(slug, head, *variant, sample)
    assert name == item_id(slug, head, *variant, sample)
    assert name != item_id(slug, head, *variant, sample + 1)
    assert name != item_id(f"{slug}x", head, *variant, sample)


def test_a_thousand_heads_of_one_repository_have_a_thousand_names() -> None:
    assert len({item_id("owner/name", f"{HEAD[:36]}{number:04x}") for number in range(1000)}) == 1000


def test_a_run_is_named_by_repository_agent_model_and_moment_in_utc() -> None:
    moment = datetime(2024, 4, 1, 7, 26, 16, tzinfo=timezone(timedelta(hours=2)))
    assert run_id("o/n", "openhands", "lab/model-1", moment) == "o__n/openhands/lab__model-1/2024-04-01_05-26-16"
    assert run_id("o/n", None, None, moment) == "o__n/none/none/2024-04-01_05-26-16"


@given(st.text(), st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_a_run_never_leaves_the_folder_it_is_put_in(slug: str, agent: str | None, model: str | None) -> None:
    parts = run_id(slug, agent, model, datetime(2024, 1, 1, tzinfo=UTC)).split("/")
    assert len(parts) == 4
    assert all(part not in ("", ".", "..") for part in parts)


@given(st.text())
def test_a_path_part_is_one_ordinary_name(name: str) -> None:
    part = path_part(name)
    assert PurePosixPath("/root", part).parent == PurePosixPath("/root")
    assert part.isascii()
    assert part not in ("", ".", "..")

"""What every kind of store does: inherited by the tests of each, which give the fixture `store`."""

import pytest

from isobench.adapters.store import Store, split_uri


class StoreContract:
    """Needs a fixture `store`, empty."""

    def test_what_is_put_can_be_read_again(self, store: Store):
        store.put("a/b.json", b"{}")
        assert store.get("a/b.json") == b"{}"
        store.put("a/b.json", b"[1]")
        assert store.get("a/b.json") == b"[1]"

    def test_what_is_not_there_is_nothing(self, store: Store, tmp_path):
        assert store.get("none") is None
        assert store.fetch("none", tmp_path / "none") is False
        assert list(store.keys("none/")) == []

    def test_a_limit_bounds_what_is_read(self, store: Store):
        store.put("long", b"x" * 1000)
        assert store.get("long", limit=10) == b"x" * 10

    def test_a_file_is_stored_and_fetched_whole(self, store: Store, tmp_path):
        content = bytes(range(256)) * 2**16  # 16 MiB: boto3 sends it in parts
        (tmp_path / "file").write_bytes(content)
        store.put_file("folder/file", tmp_path / "file")
        assert store.fetch("folder/file", tmp_path / "copy") is True
        assert (tmp_path / "copy").read_bytes() == content

    def test_keys_are_listed_by_how_they_begin(self, store: Store):
        for key in ("a/2", "a/1", "a/b/3", "ab", "b"):
            store.put(key, b"")
        assert list(store.keys("a/")) == ["a/1", "a/2", "a/b/3"]
        assert sorted(store.keys("a")) == ["a/1", "a/2", "a/b/3", "ab"]

    @pytest.mark.parametrize("key", ["with space", "größe", "a+b=c&d?e#f%20", "2026-01-01T12:00:00Z/x"])
    def test_a_key_may_hold_what_names_hold(self, store: Store, key):
        store.put(key, b"1")
        assert store.get(key) == b"1"
        assert list(store.keys(key)) == [key]

    def test_an_objects_address_names_it(self, store: Store):
        assert split_uri(store.uri("a/b.json"))[1] == "b.json"

"""A store that is a folder, and addresses that are none."""

import socket
from contextlib import closing

import pytest

from building.store_contract import StoreContract
from isobench.adapters.store import open_store, split_uri
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason


class TestFolder(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return open_store((tmp_path / "store").as_uri())

    def test_a_failed_write_leaves_what_was_there(self, store, tmp_path):
        store.put("key", b"old")
        with pytest.raises(ItemFailure) as failure:
            store.put("key/below", b"new")
        assert failure.value.reason is Reason.STORE_UNAVAILABLE
        assert store.get("key") == b"old"
        assert [path.name for path in (tmp_path / "store").iterdir()] == ["key"]

    def test_a_folder_that_can_not_be_is_unavailable(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ItemFailure) as failure:
            open_store((tmp_path / "file").as_uri()).put("key", b"")
        assert failure.value.reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize("uri", ["ftp://host/folder", "s3://", "data", "s3:bucket"])
def test_another_address_is_no_store(uri):
    with pytest.raises(InvalidInput, match="is no store"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["s3://bucket/", "data", "s3://"])
def test_an_address_without_a_key_names_no_object(uri):
    with pytest.raises(InvalidInput, match="names no object"):
        split_uri(uri)


def test_a_server_that_is_away_is_unavailable_by_every_method(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    store = open_store("s3://bucket/prefix", f"http://127.0.0.1:{port}", attempts=1)
    (tmp_path / "file").write_bytes(b"")
    for ask in (
        lambda: store.put("key", b""),
        lambda: store.put_file("key", tmp_path / "file"),
        lambda: store.get("key"),
        lambda: store.fetch("key", tmp_path / "copy"),
        lambda: list(store.keys("")),
    ):
        with pytest.raises(ItemFailure) as failure:
            ask()
        assert failure.value.reason is Reason.STORE_UNAVAILABLE
        assert "s3://bucket/prefix/" in failure.value.message

"""The store that `helm test` brings serves isobench's own client of S3 stores."""

import sys
from pathlib import Path

import pytest

from building.loopback import LOOPBACK
from generate_chart import CHART
from isobench.adapters.store import open_store


@pytest.fixture
def store(monkeypatch):
    """A client of a running one."""
    monkeypatch.setattr(sys, "path", [str(CHART / "files"), *sys.path])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    from selftest_store import Store

    return open_store("s3://selftest/records", f"http://{LOOPBACK}:{Store().serve(0)}")


def test_it_keeps_what_is_put_and_lists_it(store, tmp_path: Path):
    (tmp_path / "log").write_bytes(b"many lines\n" * 1000)
    store.put("runs/one/record.json", b"{}")
    store.put_file("runs/one/log.txt", tmp_path / "log")
    assert store.get("runs/one/record.json") == b"{}"
    assert list(store.keys("runs/one/")) == ["runs/one/log.txt", "runs/one/record.json"]
    assert store.fetch("runs/one/log.txt", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "log").read_bytes()


def test_what_is_not_there_is_missing(store, tmp_path: Path):
    assert store.get("nothing") is None
    assert not store.fetch("nothing", tmp_path / "copy")

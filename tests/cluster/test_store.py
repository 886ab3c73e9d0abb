"""A store that is a bucket of a real S3 server, also one that goes away for a while; and an item collected into it."""

import json
import secrets
import threading

import pytest

from building.items import prepared, spec
from building.pods import ITEM_ID, RUN_ID, pods_of, status_after
from building.store_contract import StoreContract
from cluster.s3_server import KEYS, s3_server
from isobench.adapters.files import write_model
from isobench.adapters.store import open_store
from isobench.contracts.pod import ExportRequest
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import StageName
from isobench.contracts.timed import Timed
from isobench.engine.artifacts import MIB

BUCKET = "records"
AWAY = 60.0  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        (server.folder / BUCKET).mkdir()
        yield server


@pytest.fixture
def prefix():
    return f"s3://{BUCKET}/{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


class TestBucket(StoreContract):
    @pytest.fixture
    def store(self, server, prefix):
        return open_store(prefix, server.endpoint)


@pytest.mark.parametrize(("mib", "parts"), [(7, 1), (20, 3)])
def test_a_large_file_is_sent_in_parts_that_the_server_puts_together(server, prefix, tmp_path, mib, parts):
    store = open_store(prefix, server.endpoint)
    content = b"".join(bytes([number]) * MIB for number in range(mib))
    (tmp_path / "file").write_bytes(content)
    store.put_file("file", tmp_path / "file")
    bucket, _, key = store.uri("file").removeprefix("s3://").partition("/")
    told = store.client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    assert int(told.partition("-")[2] or 1) == parts, "an ETag ends with the number of parts, if there are any"
    assert store.get("file") == content


def test_the_root_of_a_bucket_is_a_store_too(server):
    store = open_store(f"s3://{BUCKET}", server.endpoint)
    store.put("at-the-root", b"1")
    assert (store.get("at-the-root"), store.uri("at-the-root")) == (b"1", f"s3://{BUCKET}/at-the-root")


@pytest.mark.parametrize(
    ("uri", "key"), [("s3://no-such-bucket/prefix", "isobench-test"), (f"s3://{BUCKET}/prefix", "somebody")]
)
def test_a_bucket_that_is_not_there_and_credentials_that_are_wrong_are_said(server, monkeypatch, uri, key):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    with pytest.raises(ItemFailure, match="check address, bucket and credentials") as failure:
        open_store(uri, server.endpoint, attempts=1).put("key", b"")
    assert failure.value.reason is Reason.STORE_UNAVAILABLE


def test_a_server_that_is_away_for_a_minute_is_waited_for(server, prefix):
    store = open_store(prefix, server.endpoint)
    server.stop()
    returning = threading.Timer(AWAY, server.start)
    returning.start()
    store.put("key", b"late")
    returning.join()
    assert store.get("key") == b"late"


def test_an_item_is_collected_and_exported(server, prefix):
    store = open_store(prefix, server.endpoint)
    with pods_of(spec(output={"store": prefix, "endpoint": server.endpoint, "dataset": "demo"})) as pods:
        pods.item.mkdir()
        write_model(pods.item / "prepared.json", prepared())
        write_model(pods.item / "timed.json", Timed(durations={"base": [2.0], "head": [1.0], "main": [1.0]}))
        (pods.item / "test.py").write_text("print('Execution time: 1.0s')\n")
        status = status_after(StageName.PREPARE, StageName.TIMING)
        first, again = (pods.collect(status, **KEYS) for _ in range(2))
        places = pods.pod(StageName.COLLECT).places
        request = ExportRequest(store=prefix, endpoint=server.endpoint, dataset="demo", batch="demo", places=places)
        exported = pods.run("export", request, **KEYS)
    assert (first.code, again.code, exported.code) == (0, 0, 0), first.log + again.log + exported.log
    result = first.result(StageName.COLLECT)
    assert result.artifacts.record_uri == f"{prefix}/runs/{RUN_ID}/{ITEM_ID}/record.json"
    assert result.artifacts == again.result(StageName.COLLECT).artifacts
    record = json.loads(store.get(f"runs/{RUN_ID}/{ITEM_ID}/record.json"))
    assert [json.loads(line) for line in store.get("demo/dataset.jsonl").splitlines()] == [record]
    assert json.loads(store.get("demo/summary.json"))["records"] == 1
    assert exported.pod_result.facts == {"records": 1, "items": 1, "missing": 0}


def test_the_credentials_are_taken_from_the_variables_alone(server, prefix, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store(prefix, server.endpoint).put("key", b"1")
    assert list(tmp_path.iterdir()) == []

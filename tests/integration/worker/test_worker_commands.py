"""The commands beside an item's way: inputs, paid work, a batch's end, the sweep, the canary; and bad usage."""

import hashlib
import json
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from building.git_servers import answering
from building.items import NOON, heads, prepared, record, spec
from building.pods import Pods, asked, pods_of, status_after
from building.swift_history import TEST
from hubserver import READ_TOKEN, WRITE_TOKEN, running_hub
from isobench.adapters.files import write_model
from isobench.adapters.inputs_archive import write_archive
from isobench.adapters.store import open_store
from isobench.contracts.configuration import Configuration
from isobench.contracts.objects import PublishSpec
from isobench.contracts.pod import (
    WRITTEN_BY_BUILDS,
    Argument,
    ExportRequest,
    PodRequest,
    PublishRequest,
    SweepRequest,
)
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.contracts.stored import DatasetEntry
from isobench.engine.artifacts import entry_key, item_prefix
from isobench.worker.__main__ import COMMANDS, PARTING_SECONDS
from isobench.worker.canary import ANSWER, serve
from isobench.worker.git_credentials import with_credentials
from isobench.worker.sweep import MARGIN_SECONDS, sweep
from llmserver import Says, running_model

pytestmark = pytest.mark.slow

KEY = "sk-key-of-the-person-who-pays"
SCRIPT = 'import json\nprint(json.dumps({"avg_ms": 2.5, "iterations": 4, "result_sha256": "00", "seed": 7}))\n'


def batchwide(pods: Pods, request: Argument) -> Argument:
    """A request of a pod that belongs to no item."""
    return request.model_copy(update={"places": pods.pod(StageName.COLLECT).places})


def worker(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isobench.worker", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [[], ["dance", "{}"], ["place", "{}", "{}"]])
def test_what_is_no_command_is_answered_by_those_there_are(arguments):
    ended = worker(*arguments)
    assert (ended.returncode, ended.stderr) == (2, f"usage: isobench-worker {'|'.join(COMMANDS)} REQUEST\n")


@pytest.mark.parametrize(("asked_", "why"), [("{", "is not JSON"), ('{"dance": 1}', "dance: no such key")])
def test_a_request_that_is_none_is_said_in_a_sentence(asked_, why):
    ended = worker("place", asked_)
    assert ended.returncode == 2
    assert why in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_request_survives_the_command_line_and_may_be_a_file(pods, tmp_path):
    request = pods.pod(StageName.TIMING, api_server="10.0.0.1:443", status=status_after(StageName.PREPARE))
    assert PodRequest.parse(json.loads(request.argument()), "an argument") == request
    (tmp_path / "request.json").write_text(request.argument())
    assert worker("place", tmp_path / "request.json").returncode == 0
    assert (request.places.exchange / "runner.pyz").exists()


def archive_of(folder, members):
    path = folder / "inputs.tar.gz"
    return path, write_archive(path, members)


@pytest.fixture
def supplied(swift, tmp_path):
    """The manifest's part that names an archive with a test and an extraction file for the merged commit."""
    extraction = {"commit_hash": swift.merged, "commit_subject": "Halve the passes"}
    members = [
        (f"extractions/{swift.merged}.json", json.dumps(extraction).encode()),
        (f"tests/{swift.merged}_test_case_generator.py", TEST.encode()),
    ]
    path, sha256 = archive_of(tmp_path, members)
    return {"uri": path.as_uri(), "sha256": sha256}


def test_a_test_from_the_batchs_inputs_is_the_items_and_generate_has_nothing_to_do(swift, tmp_path, supplied):
    test = {"generate": {"provider": "scripted"}}
    with pods_of(asked(swift, tmp_path / "store", test=test, inputs=supplied)) as pods:
        request = pods.pod(StageName.PREPARE)
        unpacked, fetched = (pods.run(command, request) for command in ("inputs", "fetch"))
        assert (unpacked.code, fetched.code) == (0, 0), unpacked.log + fetched.log
        assert (pods.item / "test.py").read_text() == TEST
        assert json.loads((pods.item / "extraction.json").read_text())["commit_subject"] == "Halve the passes"
        write_model(pods.item / "prepared.json", prepared(test_supplied=True))
        generated = pods.run("generate", pods.pod(StageName.GENERATE))
        assert generated.result(StageName.GENERATE).message == "a test was supplied"
        assert not (pods.item / "ledger").exists()


def test_another_archive_than_the_manifests_is_refused(swift, tmp_path, supplied):
    other = supplied | {"sha256": hashlib.sha256(b"other").hexdigest()}
    with pods_of(asked(swift, tmp_path / "store", inputs=other)) as pods:
        ended = pods.run("inputs", pods.pod(StageName.PREPARE))
    assert ended.result(StageName.PREPARE).reason is Reason.INVALID_SPEC
    assert "plan again" in ended.message


def test_a_test_that_a_config_map_holds_is_the_items(swift, tmp_path):
    test = {"configMapKeyRef": {"name": "tests", "key": "test.py"}}
    with pods_of(asked(swift, tmp_path / "store", test=test)) as pods:
        (pods.folder / "test.py").write_text(TEST)
        assert pods.run("fetch", pods.pod(StageName.PREPARE)).code == 0
        assert (pods.item / "test.py").read_text() == TEST


def test_a_repeated_prepare_trusts_nothing_that_an_earlier_one_left_but_what_was_paid(swift, tmp_path):
    with pods_of(asked(swift, tmp_path / "store")) as pods:
        elsewhere = pods.folder / "elsewhere"
        elsewhere.mkdir()
        (pods.item / "ledger").mkdir(parents=True)
        (pods.item / "ledger" / "generate.jsonl").write_text("")
        (pods.item / "fetched.json").write_text("forged")
        (pods.workspace / "trees").symlink_to(elsewhere)
        (pods.workspace / "environments" / "key").mkdir(parents=True)
        (pods.workspace / "lost+found").mkdir()
        assert pods.run("fetch", pods.pod(StageName.PREPARE, attempt=2)).code == 0
        assert {path.name for path in pods.workspace.iterdir()} == {"item", "trees", "lost+found", *WRITTEN_BY_BUILDS}
        assert list((pods.workspace / "environments").iterdir()) == []
        assert (pods.item / "ledger" / "generate.jsonl").exists()
        assert not (pods.workspace / "trees").is_symlink()
        assert list(elsewhere.iterdir()) == []


def test_a_shared_cache_is_used_where_there_is_one(swift, tmp_path):
    with pods_of(asked(swift, tmp_path / "store")) as pods:
        request = pods.pod(StageName.PREPARE, cache=True)
        assert pods.run("fetch", request).code == 0
        assert list((pods.folder / "cache" / "repos").glob("*.git"))
        assert not (request.places.scratch / "repos").exists()


@pytest.mark.parametrize(
    ("secret", "url", "with_them"),
    [
        ({"username": "me", "password": "p@ss\n"}, "https://h.example/a/b", "https://me:p%40ss@h.example/a/b"),
        ({"token": "t"}, "https://h.example/a/b.git", "https://x-access-token:t@h.example/a/b.git"),
        ({"password": "p"}, "https://you:q@h.example/a", "https://you:q@h.example/a"),
        ({"password": "p"}, "git@h.example:a/b", "git@h.example:a/b"),
        ({}, "https://h.example/a", "https://h.example/a"),
    ],
)
def test_credentials_go_into_the_address_that_they_are_for(tmp_path, secret, url, with_them):
    for name, value in secret.items():
        (tmp_path / name).write_text(value)
    variables = {}
    assert with_credentials(url, tmp_path, variables) == with_them
    assert variables == {}


def test_the_server_gets_the_mounted_credentials_and_nobody_else_hears_of_them():
    seen = []
    with answering(401, seen) as url, pods_of(spec(repository={"url": f"{url}/owner/name.git"})) as pods:
        (pods.folder / "git").mkdir()
        (pods.folder / "git" / "username").write_text("me")
        (pods.folder / "git" / "password").write_text(KEY)
        ended = pods.run("fetch", pods.pod(StageName.PREPARE))
    assert ended.result(StageName.PREPARE).reason is Reason.REPOSITORY_UNREACHABLE
    assert f"Basic {b64encode(f'me:{KEY}'.encode()).decode()}" in seen
    assert KEY not in ended.log + ended.message


def test_a_stage_that_runs_past_its_time_says_so(pods):
    request = pods.pod(StageName.TIMING, isolation_seconds=1000.0)
    late = request.item.model_copy(update={"deadline_seconds": 0.1 - PARTING_SECONDS})
    result = pods.run("isolate", request.model_copy(update={"item": late})).result(StageName.TIMING)
    assert result.reason is Reason.STAGE_TIMED_OUT


def test_an_ssh_key_is_named_to_git(tmp_path):
    (tmp_path / "ssh-privatekey").write_text("key")
    variables = {}
    assert with_credentials("git@h.example:a/b", tmp_path, variables) == "git@h.example:a/b"
    assert f"-i {tmp_path}/ssh-privatekey" in variables["GIT_SSH_COMMAND"]


def test_a_model_writes_the_test_with_the_configuration_and_the_key_of_its_pod():
    test = {"generate": {"provider": "scripted", "budgetUsd": 1.0}}
    answer = Says(f"```python\n{SCRIPT}```\n", prompt_tokens=2_000, completion_tokens=500)
    with running_model([answer]) as provider, pods_of(spec(test=test)) as pods:
        pods.item.mkdir()
        write_model(pods.item / "prepared.json", prepared(test_supplied=False))
        llm = {"provider": "scripted", "model": "m", "base_url": provider.base_url, "api_key_env": "SCRIPTED_KEY"}
        configuration = Configuration.model_validate({"llm": llm, "pricing": {"m": {"input": 2.0, "output": 8.0}}})
        request = pods.pod(StageName.GENERATE, configuration=configuration)
        ended = pods.run("generate", request, ISOBENCH_API_KEY=KEY)
        result = ended.result(StageName.GENERATE)
        assert result.succeeded, ended.log
        assert result.cost.measured_usd == pytest.approx(2_000 * 2e-6 + 500 * 8e-6)
        assert "avg_ms" in (pods.item / "test.py").read_text()
        again = pods.run("generate", request, ISOBENCH_API_KEY=KEY).result(StageName.GENERATE)
        assert (again.succeeded, len(provider.asked)) == (True, 1), "paid once"


def test_a_provider_that_the_operator_does_not_know_is_said(pods):
    write_model(pods.item / "prepared.json", prepared(test_supplied=False))
    result = pods.run("generate", pods.pod(StageName.GENERATE)).result(StageName.GENERATE)
    assert result.reason is Reason.INVALID_SPEC
    assert "add it to the release's values" in result.message


def put_item(store, item: str, row=None, *, run="owner__name/none/none/20260101T120000Z", seconds=0, recorded=True):
    """One item of the dataset `demo`, as collect leaves it."""
    reason = Reason.RECORDED if recorded else Reason.BUILD_FAILED
    status = status_after(StageName.PREPARE, failed=None if recorded else {StageName.PREPARE: reason})
    outcome = {"type": "Succeeded", "status": "True" if recorded else "False", "reason": reason}
    entry = DatasetEntry(
        run_id=run,
        item_id=item,
        recorded=recorded,
        finished_at=NOON + timedelta(seconds=seconds),
        status=type(status).model_validate(status.model_dump() | {"conditions": [outcome]}),
    )
    store.put(entry_key("demo", run, item), entry.model_dump_json(exclude_none=True).encode())
    if row is not None:
        store.put(f"{item_prefix(run, item)}/record.json", json.dumps(row.row()).encode())


def test_an_export_is_merged_as_one_machine_would(pods, tmp_path):
    store = open_store((tmp_path / "store").as_uri())
    one, two, three, four = heads(4)
    put_item(store, "first", record(one, api="first"), seconds=2)
    put_item(store, "again", record(one, api="again"), seconds=3)
    put_item(store, "earliest", record(two), seconds=1)
    put_item(store, "offline", record(three, api="offline"), seconds=4)
    put_item(store, "online", record(three, api="online", agent_success=True), seconds=5)
    put_item(store, "failed", seconds=6, recorded=False)
    put_item(store, "lost", seconds=7)
    put_item(store, "elsewhere", record(four), run="other/none/none/20260101T120000Z", seconds=8)
    request = batchwide(pods, ExportRequest(store=(tmp_path / "store").as_uri(), dataset="demo", batch="demo"))
    ended = pods.run("export", request)
    assert ended.code == 0, ended.log
    assert ended.pod_result.facts == {"records": 4, "items": 8, "missing": 1}
    rows = [json.loads(line) for line in store.get("demo/dataset.jsonl").splitlines()]
    assert [(row["head_commit"], row["api"]) for row in rows] == [
        (two, None),
        (one, "first"),
        (three, "online"),
        (four, None),
    ]
    summary = json.loads(store.get("demo/summary.json"))
    assert summary["reasons"] == {"Recorded": 7, "BuildFailed": 1}


def test_an_export_of_nothing_is_an_empty_dataset(pods, tmp_path):
    request = batchwide(pods, ExportRequest(store=(tmp_path / "store").as_uri(), dataset="demo", batch="demo"))
    assert pods.run("export", request).pod_result.facts == {"records": 0, "items": 0, "missing": 0}
    assert (tmp_path / "store" / "demo" / "dataset.jsonl").read_bytes() == b""


@pytest.fixture
def exported(pods, tmp_path):
    """An exported dataset of two records, and the request to publish it."""
    store = open_store((tmp_path / "store").as_uri())
    lines = "".join(json.dumps(record(head).row()) + "\n" for head in heads(2))
    store.put("demo/dataset.jsonl", lines.encode())

    def publish(token, endpoint, **changes):
        wish = PublishSpec(repo="lab/fast-commits", **changes)
        request = PublishRequest(store=(tmp_path / "store").as_uri(), dataset="demo", publish=wish)
        return pods.run("publish", batchwide(pods, request), HF_TOKEN=token, HF_ENDPOINT=endpoint)

    return publish


def test_a_dataset_is_published_once_however_often_that_is_asked(exported):
    with running_hub() as hub:
        first, again = (exported(WRITE_TOKEN, hub.endpoint) for _ in range(2))
        assert (first.code, again.code) == (0, 0), first.log
        assert first.pod_result.message == "2 added, 0 replaced, 0 unchanged"
        assert again.pod_result.message == "0 added, 0 replaced, 2 unchanged"
        assert WRITE_TOKEN not in first.log + first.message


def test_what_may_not_be_published_is_said_and_nothing_is_sent(exported):
    with running_hub() as hub:
        few = exported(WRITE_TOKEN, hub.endpoint, min_records=3)
        forbidden = exported(READ_TOKEN, hub.endpoint)
        assert (few.code, few.pod_result.reason) == (1, Reason.INVALID_SPEC)
        assert (forbidden.code, forbidden.pod_result.succeeded) == (1, False)
        assert READ_TOKEN not in forbidden.log + forbidden.message
        assert hub.storage.repositories == {}


def test_a_sweep_removes_old_directories_of_items_that_are_gone_and_no_others(tmp_path):
    root = tmp_path / "claim"
    for name in ("team/11111111-live", "team/22222222-gone", "other/33333333-of-others"):
        (root / name / "item").mkdir(parents=True)
    decided = datetime.now(UTC) + timedelta(seconds=2 * MARGIN_SECONDS)
    request = SweepRequest(namespace="team", keep=["11111111"], decided_at=decided)
    request = request.model_copy(update={"places": request.places.model_copy(update={"workspace": root})})

    def left():
        return sorted(str(path.relative_to(root)) for path in root.glob("*/*"))

    assert sweep(request).facts == {"removed": 0}, "nothing is older than a clock may be wrong"
    assert len(left()) == 3
    old = root.parent / "old"
    root.rename(old)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("isobench.worker.sweep.time.time", lambda: datetime.now(UTC).timestamp() + 3600)
        later = request.model_copy(update={"places": request.places.model_copy(update={"workspace": old})})
        assert sweep(later).facts == {"removed": 1}
        assert sweep(later).facts == {"removed": 0}
    assert sorted(path.name for path in old.glob("*/*")) == ["11111111-live", "33333333-of-others"]


def test_a_sweep_of_a_claim_without_the_namespace_has_nothing_to_do(tmp_path):
    request = SweepRequest(namespace="team", keep=[], decided_at=NOON)
    request = request.model_copy(update={"places": request.places.model_copy(update={"workspace": tmp_path})})
    assert sweep(request).succeeded


@pytest.fixture
def canary():
    """The address of a canary, which goes before its socket's number is anybody else's."""

    def sings(listener):
        with suppress(OSError):  # it was shut down
            serve(listener)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=sings, args=[listener])
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_canary_answers_whoever_connects(canary):
    for _ in range(3):
        with closing(socket.create_connection(canary)) as connection:
            assert connection.makefile("rb").read() == ANSWER

"""Publishing to a hub with the real client: what a reader loads afterwards, and what every failure leaves behind."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from hubserver import READ_TOKEN, WRITE_TOKEN, Fault, running_hub
from isobench.adapters.hub.publishing import HubTarget, PublishError, publish
from isobench.contracts.base import InvalidInput
from isobench.contracts.record import Measurement, Record
from isobench.engine.merging import present

pytestmark = pytest.mark.slow

REPOSITORY = "lab/fast-commits"

LOAD = """
import json, sys
from datasets import load_dataset
json.dump(load_dataset(sys.argv[1], split=sys.argv[2], revision=sys.argv[3]).to_list(), sys.stdout)
"""

SEED = """
import json, sys
from datasets import Dataset
rows = Dataset.from_list(json.load(sys.stdin))
rows.push_to_hub(sys.argv[1], split=sys.argv[2], num_shards=int(sys.argv[3]))
"""

SPY = """
import socket
def getaddrinfo(host, *arguments, go=socket.getaddrinfo, **options):
    if not str(host).startswith("127."):
        open(HEARD, "a").write(f"{host}\\n")
    return go(host, *arguments, **options)
socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture
def hub():
    with running_hub() as server:
        yield server


@pytest.fixture
def target(hub, tmp_path):
    return HubTarget(REPOSITORY, WRITE_TOKEN, tmp_path / "hub", endpoint=hub.endpoint)


def record(number, **fields):
    values = {
        "repo": "pallets/jinja",
        "instance_id": f"pallets__jinja-PR-{number}",
        "created_at": "2021-01-31T20:17:49+00:00",
        "base_commit": f"{number:039x}b",
        "head_commit": f"{number:039x}a",
        "patch": "diff --git a/x b/x\n+naïve \u2028 line\n",
        "efficiency_test": ["print('Execution time: 0.1s')\n"],
        "duration_changes": [{"base": [120.1, 0.1 + 0.2, 1 / 3], "head": [0.5], "main": []}],
        "human_performance": 240.2,
        "version": "python==3.11.9;arch=x86_64;image=local;install_sha=na",
        "gt_commit_message": "speed up urlize",
        "install_commands": ["pip install -e ."],
        "api_manifest_paths": {"base": "api/base.json", "head": "api/head.json"},
        "api_manifest_summaries": {"base": {"modules_scanned": 3, "symbols_collected": 70, "errors": 0}},
        "test_failed": "No",
    }
    return Record(**values | fields).row()


def measured(number, **fields):
    comparison = {"arms": ("base", "head"), "speedup": 1 / 0.7, "ci_low": 1.4, "ci_high": 1.5, "pairs": 60}
    measurement = Measurement(
        verdict="faster",
        comparisons=[comparison | {"confidence": 0.99, "verdict": "faster", "noisy": False}],
        arms={"base": {"result_sha256": "ab"}, "main": {"message": "it failed"}},
        sampling={"seed": 2**62, "blocks": 60, "warmup": 2, "stop": "Precise", "cores": [1]},
        machine={"model": "a cpu", "flags": [], "mhz": 2400.25, "governor": None},
        adapted_imports={"main": {"jinja2.utils": "jinja2._utils"}},
        **fields,
    )
    return record(number, agent_success=True, agent_cost_estimate=0.1, agent_iterations=3, measurement=measurement)


def client(hub, tmp_path, script, *arguments, stdin=""):
    """Run `script` with the hub's own client, as anybody else would."""
    settings = {
        "HF_HOME": str(tmp_path / "reader"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": WRITE_TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    }
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | settings,
    ).stdout


def loaded(hub, tmp_path, split="test"):
    revision = hub.repository(REPOSITORY).head.oid  # without one, the client asks a third party for exported files
    return json.loads(client(hub, tmp_path, LOAD, REPOSITORY, split, revision))


def go(rows, target, *, min_records=1, dry_run=False):
    return publish(rows, target, min_records=min_records, dry_run=dry_run)


def fates(report):
    return [row.change for row in report.changes]


def same(rows, expected):
    return [present(row) for row in rows] == [present(row) for row in expected]


def assert_refused(rows, target, *words):
    with pytest.raises(PublishError) as refusal:
        go(rows, target)
    sentence = str(refusal.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert target.token is None or target.token not in sentence


def test_what_a_reader_loads_is_the_file_field_by_field(hub, target, tmp_path):
    rows = [json.loads(json.dumps(row)) for row in (record(1), measured(2), record(3, human_performance=None))]
    report = go(rows, target)
    assert (report.existing, report.total, fates(report)) == (0, 3, ["added"] * 3)
    assert report.commit_url is not None
    assert hub.repository(REPOSITORY).private
    read_back = loaded(hub, tmp_path)
    for row, stored in zip(rows, read_back, strict=True):
        for field in row.keys() | stored.keys():
            assert present(stored.get(field)) == present(row.get(field)), field
    assert isinstance(read_back[0]["efficiency_test"], list)
    assert isinstance(read_back[0]["duration_changes"][0]["base"], list)


def test_publishing_again_writes_nothing(hub, target):
    rows = [record(1), measured(2)]
    go(rows, target)
    written = len(hub.writes)
    report = go(rows, target)
    assert (report.existing, report.total, fates(report), report.commit_url) == (2, 2, ["unchanged"] * 2, None)
    assert len(hub.writes) == written


def test_a_later_publish_adds_and_replaces_and_keeps_the_rest(hub, target, tmp_path):
    go([record(1), record(2)], target)
    report = go([measured(2), record(3)], target)
    assert (report.existing, report.total, fates(report)) == (2, 3, ["replaced", "added"])
    assert same(loaded(hub, tmp_path), [record(1), measured(2), record(3)])


def test_a_record_that_lost_its_measurement_is_replaced_without_it(hub, target, tmp_path):
    go([measured(1)], target)
    go([record(1)], target)
    assert same(loaded(hub, tmp_path), [record(1)])


def test_rows_columns_and_shards_of_somebody_else_are_kept(hub, target, tmp_path):
    old = {name: record(1)[name] for name in ("repo", "head_commit", "patch", "efficiency_test", "test_functions")}
    theirs = [old | {"label": "kept", "n": 2**53 + 1}, {**old, "repo": None, "label": "no key"}, {"label": "bare"}]
    client(hub, tmp_path, SEED, REPOSITORY, "test", "2", stdin=json.dumps(theirs))
    report = go([record(1), record(2)], target)
    assert (report.existing, report.total, fates(report)) == (3, 4, ["replaced", "added"])
    assert same(loaded(hub, tmp_path), [record(1) | {"label": "kept", "n": 2**53 + 1}, *theirs[1:], record(2)])
    assert [path for path in hub.repository(REPOSITORY).head.files if path.endswith(".parquet")] == [
        "data/test-00000-of-00001.parquet"
    ]


def test_rows_in_another_format_and_the_cards_text_are_kept(hub, target, tmp_path):
    card = b"---\nlicense: mit\n---\nWritten by hand.\n"
    row = {name: record(1)[name] for name in ("repo", "head_commit", "efficiency_test", "duration_changes")}
    hub.holds(REPOSITORY, {"test.jsonl": json.dumps(row).encode() + b"\n", "README.md": card})
    assert go([record(2)], target).existing == 1
    assert same(loaded(hub, tmp_path), [row, record(2)])
    written = hub.repository(REPOSITORY).head.files["README.md"].content.decode()
    assert "license: mit" in written
    assert "Written by hand." in written


def test_other_splits_stay_readable_when_the_measurement_grows(hub, target, tmp_path):
    client(hub, tmp_path, SEED, REPOSITORY, "train", "1", stdin=json.dumps([{"repo": "a/b", "extra": 1}]))
    go([measured(1)], replace(target, split="validation"))
    go([measured(2, cost={"measured_usd": 0.25})], target)
    assert same(loaded(hub, tmp_path, "train"), [{"repo": "a/b", "extra": 1}])
    assert same(loaded(hub, tmp_path, "validation"), [measured(1)])
    assert same(loaded(hub, tmp_path), [measured(2, cost={"measured_usd": 0.25})])


def test_two_publishers_at_once_lose_no_row(hub, target, tmp_path):
    go([record(1)], target)
    hub.meet("/preupload/", parties=2)
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda number: go([record(number)], target), (2, 3)))
    assert [report.total for report in sorted(reports, key=lambda report: report.total)] == [2, 3]
    assert sorted(row["instance_id"][-1] for row in loaded(hub, tmp_path)) == ["1", "2", "3"]
    assert [asked.status for asked in hub.wire.log if "/commit/" in asked.path].count(412) == 1


def test_whoever_is_always_too_late_stops_with_a_sentence(hub, target):
    hub.fail(Fault("POST", "/commit/", status=412, times=99))
    assert_refused([record(1)], target, "others wrote to lab/fast-commits")
    assert sum("/commit/" in asked.path for asked in hub.writes) == 5


def test_an_upload_that_is_cut_off_is_sent_again(hub, target, tmp_path):
    hub.fail(Fault("PUT", "/objects/", kind="cut off"))
    assert go([record(1)], target).count("added") == 1
    assert same(loaded(hub, tmp_path), [record(1)])


@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub, target, status):
    hub.fail(Fault("POST", "/preupload/", status=status, headers={"Retry-After": "0"}))
    assert go([record(1)], target).total == 1


def test_a_commit_that_fails_leaves_the_split_as_it_was(hub, target, tmp_path):
    go([record(1)], target)
    hub.fail(Fault("POST", "/commit/", status=500))
    assert_refused([record(1), record(2)], target, "500", "nothing was published")
    assert same(loaded(hub, tmp_path), [record(1)])
    assert fates(go([record(1), record(2)], target)) == ["unchanged", "added"]


def test_a_commit_whose_answer_is_lost_is_found_done_the_next_time(hub, target, tmp_path):
    hub.fail(Fault("POST", "/commit/", kind="answer lost"))
    assert_refused([record(1)], target, "hung up", "publish again, which repeats nothing")
    assert fates(go([record(1)], target)) == ["unchanged"]
    assert same(loaded(hub, tmp_path), [record(1)])


def test_a_dry_run_says_what_would_change_and_writes_nothing(hub, target):
    go([record(1), record(2)], target)
    written = len(hub.writes)
    report = go([record(1), measured(2), record(3)], target, dry_run=True)
    assert (report.existing, report.total, report.commit_url) == (2, 3, None)
    assert fates(report) == ["unchanged", "replaced", "added"]
    assert len(hub.writes) == written


def test_a_dry_run_creates_no_repository(hub, target):
    assert fates(go([record(1)], target, dry_run=True)) == ["added"]
    assert hub.writes == []
    assert hub.storage.repositories == {}


def test_too_few_records_ask_the_hub_nothing(hub, target):
    with pytest.raises(InvalidInput, match=r"publish\.min_records"):
        go([record(1)], target, min_records=2)
    assert hub.wire.log == []


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_token_the_variable_is_named_and_the_hub_asked_nothing(hub, target, token):
    with pytest.raises(PublishError, match="set the variable HF_TOKEN"):
        go([record(1)], replace(target, token=token))
    assert hub.wire.log == []


def test_without_the_client_the_extra_is_named(target, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert_refused([record(1)], target, "pip install 'isobench[publish]'")


def test_a_token_that_the_hub_does_not_know_is_refused(target):
    assert_refused([record(1)], replace(target, token="hf_nobody"), "HF_TOKEN", "401")


def test_a_token_that_may_only_read_is_refused_before_and_after_there_is_a_repository(hub, target):
    reader = replace(target, token=READ_TOKEN)
    assert_refused([record(1)], reader, "HF_TOKEN", "403", "write access")
    assert hub.storage.repositories == {}
    hub.holds(REPOSITORY, {})
    assert_refused([record(1)], reader, "HF_TOKEN", "403", "write access")


def test_a_hub_that_cannot_be_reached_is_named(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert_refused([record(1)], replace(target, endpoint=endpoint), endpoint, "cannot be reached")


@pytest.mark.parametrize("content", [b"", b"PAR1 this is not one"])
def test_a_broken_published_file_is_left_alone(hub, target, content):
    held = hub.holds(REPOSITORY, {"data/test-00000-of-00001.parquet": content}).head
    assert_refused([record(1)], target, "split test of lab/fast-commits cannot be read")
    assert hub.repository(REPOSITORY).head == held


def test_a_published_column_of_another_type_is_left_alone(hub, target, tmp_path):
    client(hub, tmp_path, SEED, REPOSITORY, "test", "1", stdin=json.dumps([{"efficiency_test": "text"}]))
    held = hub.repository(REPOSITORY).head
    assert_refused([record(1)], target, "efficiency_test", "publish to another repository")
    assert hub.repository(REPOSITORY).head == held


def test_a_repository_whose_only_configuration_is_another_is_left_alone(hub, target):
    card = b"---\nconfigs:\n- config_name: english\n  data_files: e.jsonl\n---\n"
    held = hub.holds(REPOSITORY, {"e.jsonl": b'{"a": 1}\n', "README.md": card}).head
    assert_refused([record(1)], target, "'english'", "a repository of its own")
    assert hub.repository(REPOSITORY).head == held


def test_a_record_that_no_column_can_hold_is_refused_before_the_hub_is_asked(hub, target):
    row = record(1, measurement={"verdict": None, "machine": {"cores": [1, "two"]}})
    assert_refused([row], target, "mend the dataset's file")
    assert hub.wire.log == []


def test_a_client_that_dies_is_a_sentence_too(target, monkeypatch):
    monkeypatch.setattr("isobench.adapters.hub.publishing.CLIENT_MODULE", "isobench.adapters.no_such_client")
    assert_refused([record(1)], target, "nothing was published", "no_such_client")


def test_nobody_but_the_hub_is_asked_anything(target, tmp_path, monkeypatch):
    heard = tmp_path / "heard"
    (tmp_path / "sitecustomize.py").write_text(SPY.replace("HEARD", repr(str(heard))))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    go([record(1)], target)
    assert go([record(1), record(2)], target).total == 2
    assert not heard.exists()


def test_nothing_is_written_outside_the_cache_folder_and_nothing_stays_in_it(target, tmp_path, monkeypatch):
    elsewhere = tmp_path / "home"
    elsewhere.mkdir()
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(elsewhere))
    go([record(1)], target)
    go([record(2)], target)
    assert list(elsewhere.iterdir()) == []
    assert list(target.cache_dir.iterdir()) == []

"""The dataset file under everything that may happen to a writer: whole lines, one per commit, none lost."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from building.items import heads, record
from isobench.adapters.dataset import DatasetFile, Stored
from isobench.contracts.base import InvalidInput

SPAWN = multiprocessing.get_context("spawn")
PATCH = "+ fast\n" * 20_000


@pytest.fixture
def dataset(tmp_path):
    return DatasetFile(tmp_path / "data" / "demo.jsonl")


def stored_heads(path):
    """The commits of all lines, each of which must be whole."""
    return [json.loads(line)["head_commit"] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_record_is_a_line_of_strict_json_and_the_lock_is_not_beside_it(dataset):
    assert dataset.store(record(gt_commit_message="schnell – 速い\n")) is Stored.APPENDED
    (line,) = dataset.path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == record(gt_commit_message="schnell – 速い\n").row()
    assert [entry.name for entry in dataset.path.parent.iterdir()] == ["demo.jsonl"]


def test_the_first_offline_record_of_a_commit_stays(dataset):
    assert dataset.store(record(api="first")) is Stored.APPENDED
    assert dataset.store(record(api="second")) is Stored.KEPT
    assert [row["api"] for row in dataset.rows()] == ["first"]


def test_the_same_commit_of_another_repository_is_another_record(dataset):
    assert dataset.store(record()) is Stored.APPENDED
    assert dataset.store(record(repo="other/name")) is Stored.APPENDED
    assert len(list(dataset.rows())) == 2


def test_an_online_record_replaces_an_offline_one_in_its_place(dataset):
    first, second, third = heads(3)
    for head in (first, second, third):
        dataset.store(record(head))
    assert dataset.store(record(second, agent_success=True)) is Stored.REPLACED
    assert stored_heads(dataset.path) == [first, second, third]
    assert [row.get("agent_success") for row in dataset.rows()] == [None, True, None]


@pytest.mark.parametrize("later", [{}, {"agent_success": True}, {"agent_error": "AgentError"}])
def test_nothing_replaces_an_online_record(dataset, later):
    dataset.store(record(agent_success=False))
    assert dataset.store(record(**later)) is Stored.KEPT
    assert [row["agent_success"] for row in dataset.rows()] == [False]


def test_what_another_writer_did_meanwhile_is_seen(dataset):
    other = DatasetFile(dataset.path)
    first, second, third = heads(3)
    dataset.store(record(first))
    other.store(record(first, agent_success=True, agent_error="a longer line than before"))
    other.store(record(second))
    assert dataset.holds("owner/name", second)
    assert dataset.store(record(second)) is Stored.KEPT
    assert dataset.store(record(first, agent_success=False)) is Stored.KEPT
    assert dataset.store(record(third)) is Stored.APPENDED
    assert stored_heads(dataset.path) == [first, second, third]


def test_a_file_that_somebody_removed_is_begun_anew(dataset):
    dataset.store(record())
    dataset.path.unlink()
    assert not dataset.holds("owner/name", record().head_commit)
    assert dataset.store(record()) is Stored.APPENDED


@pytest.mark.parametrize("kept", [1, 100, -1], ids=["its first byte", "100 bytes", "all but the newline"])
def test_a_torn_last_line_is_no_record_and_is_cut_off_by_the_next_writer(dataset, kept):
    first, second = heads(2)
    dataset.store(record(first))
    whole = dataset.path.read_bytes()
    dataset.path.write_bytes(whole + whole[:kept])
    torn = DatasetFile(dataset.path)
    assert [row["head_commit"] for row in torn.rows()] == [first]
    assert torn.store(record(second)) is Stored.APPENDED
    assert stored_heads(dataset.path) == [first, second]


@pytest.mark.parametrize("line", ["{", "3", "{}", '{"repo": "owner/name"}', ""])
def test_a_line_that_is_no_record_is_named_and_left_as_it_is(dataset, line):
    dataset.store(record())
    content = dataset.path.read_text() + line + "\n"
    dataset.path.write_text(content)
    with pytest.raises(InvalidInput, match=r"demo\.jsonl: line 2 is not a record"):
        dataset.store(record(heads(1)[0]))
    assert dataset.path.read_text() == content


def store_all(path, all_heads, told):
    """Store a record per commit, and tell of each that is stored."""
    dataset = DatasetFile(path)
    for head in all_heads:
        dataset.store(record(head, patch=PATCH))
        told.send(head)
    told.close()


@pytest.mark.slow
def test_four_processes_lose_and_duplicate_nothing(tmp_path):
    path = tmp_path / "data" / "demo.jsonl"
    shared, *own = heads(161)
    writers = [[shared, *own[start : start + 40], *own[:10]] for start in range(0, 160, 40)]
    told, processes = [], []
    for mine in writers:
        receiver, sender = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=store_all, args=(path, mine, sender))
        process.start()
        sender.close()
        told.append(receiver)
        processes.append(process)
    for receiver, mine in zip(told, writers, strict=True):
        assert [receiver.recv() for _ in mine] == mine
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(stored_heads(path)) == sorted([shared, *own])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_writer_loses_nothing_that_it_told_of_and_the_next_one_finishes(tmp_path, seed):
    path = tmp_path / "data" / "demo.jsonl"
    wanted = heads(40)
    receiver, sender = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=store_all, args=(path, wanted, sender))
    process.start()
    sender.close()
    told = [receiver.recv() for _ in range(random.Random(seed).randrange(1, 30))]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while receiver.poll():
        try:
            told.append(receiver.recv())
        except EOFError:
            break
    survived = [row["head_commit"] for row in DatasetFile(path).rows()]
    assert survived[: len(told)] == told
    assert len(survived) <= len(told) + 1
    dataset = DatasetFile(path)
    for head in wanted:
        dataset.store(record(head, patch=PATCH))
    assert stored_heads(path) == wanted


FILL = """
import errno, json, sys
from pathlib import Path
from building.items import heads, record
from isobench.adapters.dataset import DatasetFile

disk = Path(sys.argv[1])
ballast = disk / "ballast"
ballast.write_bytes(bytes(100_000))
dataset = DatasetFile(disk / "demo.jsonl")
stored, refused = [], None
for head in heads(1000):
    try:
        dataset.store(record(head, patch="x" * 10_000))
    except OSError as error:
        refused = error.errno
        break
    stored.append(head)
full = dataset.path.read_text()
ballast.unlink()
dataset.store(record(head, patch="x" * 10_000))
again = [json.loads(line)["head_commit"] for line in dataset.path.read_text().splitlines()]
assert refused == errno.ENOSPC, refused
assert [json.loads(line)["head_commit"] for line in full.splitlines()] == stored, "a part of a line was left"
assert again == [*stored, head]
print(len(stored))
"""


def test_a_full_disk_leaves_whole_lines_and_the_record_can_be_stored_once_there_is_space(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=256k tmpfs "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", disk, sys.executable, FILL]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 5 < int(done.stdout) < 30

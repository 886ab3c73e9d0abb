"""A workspace in which builds and tests left whatever they liked: what collect takes of it, and what it does not."""

import os
from pathlib import Path

import pytest

from building.items import prepared, spec
from building.pods import ITEM_ID, RUN_ID, pods_of, status_after, strict
from isobench.adapters.beneath import NotTaken, take
from isobench.adapters.files import remove, write_model
from isobench.contracts.reasons import Reason
from isobench.contracts.status import StageName
from isobench.contracts.timed import Timed

KEY = "store-secret-key"
STAGES = (StageName.PREPARE, StageName.TIMING)


@pytest.fixture
def pods(tmp_path):
    """An item that was timed."""
    with pods_of(spec(output={"store": (tmp_path / "store").as_uri()})) as pods:
        pods.item.mkdir()
        write_model(pods.item / "prepared.json", prepared())
        write_model(pods.item / "timed.json", Timed(durations={"base": [2.0], "head": [1.0], "main": [1.0]}))
        (pods.item / "test.py").write_text("print('Execution time: 1.0s')\n")
        yield pods


def collected(pods, status=None):
    return pods.collect(status or status_after(*STAGES), AWS_SECRET_ACCESS_KEY=KEY)


def stored(tmp_path: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def marker(tmp_path: Path):
    return strict(tmp_path / "store" / "runs" / RUN_ID / ITEM_ID / "done.json")


def test_a_link_to_what_only_this_container_has_is_not_followed(pods, tmp_path):
    (pods.item / "probe").mkdir()
    (pods.item / "probe" / "timing").symlink_to("/proc/self")
    (pods.item / "openhands_stdout.txt").symlink_to("/proc/self/environ")
    (pods.item / "task.txt").symlink_to("test.py")
    ended = collected(pods)
    assert ended.code == 0, ended.log
    left_out = marker(tmp_path)["left_out"]
    linked = {"item/openhands_stdout.txt", "item/task.txt"}
    assert linked < {sentence.split()[0] for sentence in left_out}
    assert all("is a link" in sentence for sentence in left_out)
    assert not [name for name, content in stored(tmp_path / "store").items() if KEY.encode() in content]
    assert KEY not in ended.log + ended.message


def test_an_environment_that_leads_out_of_the_workspace_has_no_log(pods, tmp_path):
    arms = prepared().arms
    moved = arms[0].model_copy(update={"environment": "/workspace/environments/../../../etc"})
    write_model(pods.item / "prepared.json", prepared(moved, *arms[1:]))
    assert collected(pods).code == 0
    assert not [name for name in marker(tmp_path)["files"] if name.startswith("build/")]


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_left_out_and_waited_for_by_nobody(pods, tmp_path, kind):
    path = pods.item / "extraction.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o140600)
    assert collected(pods).code == 0
    (sentence,) = marker(tmp_path)["left_out"]
    assert sentence.startswith("item/extraction.json")
    assert sentence.endswith("no regular file")


def test_a_file_beyond_its_bound_is_left_out_and_named(pods, tmp_path):
    with (pods.item / "task.txt").open("wb") as stream:
        stream.truncate(2**30)
    assert collected(pods).code == 0
    assert marker(tmp_path)["left_out"] == ["item/task.txt has 1073741824 bytes, more than the 16777216 that are taken"]


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"version": 1}', b"NaN"])
def test_a_measurement_that_is_none_is_no_record_and_said_so(pods, tmp_path, content):
    (pods.item / "timed.json").write_bytes(content)
    ended = collected(pods)
    result = ended.result(StageName.COLLECT)
    assert (ended.code, result.succeeded) == (1, False)
    assert not (tmp_path / "store" / "runs" / RUN_ID / ITEM_ID / "done.json").exists()


def test_where_nothing_was_prepared_the_journal_alone_is_stored(pods, tmp_path):
    remove(pods.item)
    ended = collected(pods, status_after(StageName.PREPARE, failed={StageName.PREPARE: Reason.STAGE_LOST}))
    assert ended.code == 0, ended.log
    assert set(marker(tmp_path)["files"]) == {"journal.json"}


def test_a_store_that_is_away_is_said_so(pods, tmp_path):
    (tmp_path / "store").write_text("not a folder")
    ended = collected(pods)
    assert (ended.code, ended.result(StageName.COLLECT).reason) == (1, Reason.STORE_UNAVAILABLE)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "link/inside", "a/../../outside"])
def test_nothing_outside_of_a_folder_is_taken(tmp_path, name):
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "inside").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotTaken):
        take(folder, name, tmp_path / "copy", 1000)
    assert not (tmp_path / "copy").exists()


def test_a_file_is_taken_whole(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 3_000_000)
    assert take(tmp_path, "a/file", tmp_path / "copies" / "file", 3_000_000)
    assert (tmp_path / "copies" / "file").read_bytes() == b"x" * 3_000_000
    assert not take(tmp_path, "a/none", tmp_path / "copy", 1000)
    assert not take(tmp_path, "a/file/none", tmp_path / "copy", 1000)


def test_a_folder_goes_whatever_its_modes_and_what_it_links_to_stays(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("")
    folder = tmp_path / "folder"
    (folder / "locked").mkdir(parents=True)
    (folder / "locked" / "file").write_text("")
    (folder / "link").symlink_to(kept)
    (folder / "locked").chmod(0o000)
    remove(folder)
    assert (folder.exists(), (kept / "file").exists()) == (False, True)


def test_a_folder_that_root_made_for_our_group_goes_too(tmp_path, monkeypatch):
    """As a kubelet makes an item's folder on a shared claim: only its owner may change its modes."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_text("")

    def refused(path, mode):
        raise PermissionError(f"{path} is root's")

    monkeypatch.setattr(Path, "chmod", refused)
    remove(folder)
    assert not folder.exists()

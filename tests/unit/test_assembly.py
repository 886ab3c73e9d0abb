"""The record, assembled: the keys and values of the old pipeline, given what the stages found."""

import pytest

from building.items import BASE, HEAD, arm, prepared, spec
from isobench.contracts.reasons import Reason
from isobench.contracts.record import ApiSummary, Measurement
from isobench.contracts.timed import Timed
from isobench.engine.assembly import assemble, human_performance, needs_gpu, version_of

DURATIONS = {"base": [3.0, 5.0], "head": [1.0, 3.0], "main": [2.0, 2.0], "control": [9.0, 9.0], "agent": [7.0]}


def assembled(asked=None, found=None, durations=DURATIONS, measurement=None):
    timed = Timed(durations=durations, measurement=measurement)
    return assemble(asked or spec(), found or prepared(), "print(1)\n", timed, "x86_64", "state/runs/r/i")


def test_the_row_is_the_old_pipelines_key_by_key_and_value_by_value():
    asked = spec(
        api="pandas.read_csv",
        environment={"image": "python:3.11", "setupCommands": ["apt"], "installCommands": ["pip install ."]},
    )
    assert list(assembled(asked, prepared(image="python:3.11")).row().items()) == [
        ("repo", "owner/name"),
        ("instance_id", "owner__name-PR-7"),
        ("created_at", "2024-04-01T05:26:16+00:00"),
        ("base_commit", BASE),
        ("head_commit", HEAD),
        ("patch", "diff --git a/a.py b/a.py"),
        ("test_patch", ""),
        ("efficiency_test", ["print(1)\n"]),
        ("duration_changes", [{"base": [3.0, 5.0], "head": [1.0, 3.0], "main": [2.0, 2.0]}]),
        ("human_performance", 2.0),
        ("version", "python==3.11.7;arch=x86_64;image=python:3.11;install_sha=0123abcd"),
        ("patch_functions", None),
        ("test_functions", []),
        ("api", "pandas.read_csv"),
        ("gt_commit_message", "make it fast\n\nby far"),
        ("setup_commands", ["apt"]),
        ("install_commands", ["pip install ."]),
        ("notes", None),
        ("api_manifest_paths", None),
        ("api_manifest_summaries", None),
        ("test_failed", "No"),
    ]


def test_samples_of_the_control_and_of_an_agent_are_no_part_of_the_durations():
    (durations,) = assembled().row()["duration_changes"]
    assert list(durations) == ["base", "head", "main"]


@pytest.mark.parametrize("failed", ["base", "head", "main"])
def test_an_arm_without_samples_is_an_empty_list_and_the_test_has_failed(failed):
    row = assembled(durations=DURATIONS | {failed: []}).row()
    assert row["duration_changes"][0][failed] == []
    assert row["test_failed"] == "Yes"
    assert (row["human_performance"] is None) == (failed != "main")


def test_an_arm_that_was_never_timed_is_like_one_that_failed():
    row = assembled(durations={"base": [1.0], "head": [1.0]}).row()
    assert row["duration_changes"] == [{"base": [1.0], "head": [1.0], "main": []}]
    assert row["test_failed"] == "Yes"


def test_a_slower_pair_is_recorded_like_any_other():
    assert assembled(durations=DURATIONS | {"head": [40.0, 40.0]}).row()["human_performance"] == 0.1


def test_the_measurement_comes_last_and_only_where_there_is_one():
    measured = assembled(measurement=Measurement(reason=Reason.TOO_SLOW)).row()
    assert list(measured)[-1] == "measurement"
    assert measured["measurement"]["reason"] == "TooSlow"
    assert "measurement" not in assembled().row()


def test_snapshots_of_public_names_are_listed_per_recorded_arm_that_has_one():
    summary = ApiSummary(modules_scanned=3, symbols_collected=20, errors=1)
    found = prepared(
        arm("base", api_manifest="api/base.json", api_summary=summary),
        arm("head", api_manifest="api/head.json", api_summary=summary),
        arm("main"),
        arm("control", api_manifest="api/control.json", api_summary=summary),
    )
    row = assembled(found=found).row()
    assert row["api_manifest_paths"] == {"base": "state/runs/r/i/api/base.json", "head": "state/runs/r/i/api/head.json"}
    assert row["api_manifest_summaries"]["head"] == {"modules_scanned": 3, "symbols_collected": 20, "errors": 1}
    assert set(row["api_manifest_summaries"]) == {"base", "head"}


@pytest.mark.parametrize(
    ("base", "head", "ratio"),
    [([4.0], [2.0], 2.0), ([1.0, 3.0], [4.0], 0.5), ([], [1.0], None), ([1.0], [], None), ([1.0], [0.0], None)],
)
def test_human_performance_is_the_ratio_of_the_means_or_null(base, head, ratio):
    assert human_performance(base, head) == ratio


@pytest.mark.parametrize(
    ("base", "version"),
    [
        (arm("base", python_version="3.8.18"), "python==3.8.18;arch=aarch64;image=local;install_sha=0123abcd"),
        (arm("base", install_sha=None), "python==3.11.7;arch=aarch64;image=local;install_sha=na"),
        (arm("base", python_version=None), "python==unknown;arch=aarch64;image=local;install_sha=0123abcd"),
        (None, "python==unknown;arch=aarch64;image=local;install_sha=na"),
    ],
)
def test_the_version_says_what_is_known_of_the_base_arm(base, version):
    assert version_of(base, "aarch64", None) == version


@pytest.mark.parametrize(
    ("script", "asks"),
    [
        ("x = torch.ones(3).cuda()", True),
        ("if torch.cuda.is_available(): pass", True),
        ("f(device='cuda:0')", True),
        ('x.to("cuda")', True),
        ("print('no cuda here')", False),
        ("barracuda = 1", False),
        ("", False),
    ],
)
def test_a_test_that_asks_for_cuda_in_so_many_words_needs_a_gpu(script, asks):
    assert needs_gpu(script) is asks

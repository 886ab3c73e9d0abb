"""The operator's flags: what they mean, and the sentence for each that can't be taken."""

from dataclasses import fields
from pathlib import Path

import click
import pytest

from isobench.contracts.base import InvalidInput
from isobench.controller.__main__ import BAD_FLAGS, run
from isobench.controller.settings import ControllerSettings, settings_from


def test_no_flag_gives_the_defaults(monkeypatch):
    monkeypatch.delenv("POD_NAME", raising=False)
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert settings_from([]) == ControllerSettings()


def test_flags_arrive_in_their_types():
    given = settings_from(
        [
            *("--namespace", "team-a", "--namespace", "team-b"),
            *("--workers", "4", "--kubeconfig", "/etc/kubeconfig", "--no-leader-election"),
            *("--namespace-dollars", "12.5", "--image-pull-policy", "Never", "--log-format", "text"),
        ]
    )
    assert given.namespaces == ("team-a", "team-b")
    assert given.watches("team-b")
    assert not given.watches("team-c")
    assert (given.workers, given.kubeconfig, given.leader_election) == (4, Path("/etc/kubeconfig"), False)
    assert (given.namespace_dollars, given.image_pull_policy, given.log_format) == (12.5, "Never", "text")


def test_the_pod_says_who_it_is(monkeypatch):
    monkeypatch.setenv("POD_NAME", "isobench-7d9f")
    monkeypatch.setenv("POD_NAMESPACE", "ops")
    assert (settings_from([]).identity, settings_from([]).release_namespace) == ("isobench-7d9f", "ops")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--workers", "0"], r"--workers must be at least 2 \(got 0\)"),
        (["--controller-name", "Big_Name"], "--controller-name must be lower-case letters, digits and dashes"),
        (["--namespace", "a/b"], r"--namespace must be lower-case.*got 'a/b'"),
        (["--canary-address", "canary"], "--canary-address must be host:port, such as 10.0.0.1:443"),
        (["--worker-image", ""], "--worker-image must name an image"),
        (["--namespace-dollars", "-1"], "--namespace-dollars must be at least 0"),
    ],
)
def test_a_value_that_no_release_can_run_with_is_refused_by_its_flag(flags, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        settings_from(flags)


def test_an_unknown_flag_ends_the_process_with_a_sentence_and_no_traceback(capsys):
    def never(parts):
        raise AssertionError(parts)

    assert run(["--wrokers", "4"], never) == BAD_FLAGS
    assert "--wrokers" in capsys.readouterr().err


def test_without_a_cluster_the_process_says_how_to_name_one(capsys, tmp_path):
    def never(parts):
        raise AssertionError(parts)

    missing = tmp_path / "kubeconfig"
    assert run(["--kubeconfig", str(missing), "--log-format", "text"], never) == 1
    told = capsys.readouterr().err
    assert str(missing) in told
    assert "Traceback" not in told


def test_every_setting_has_a_flag_and_a_help_text(capsys):
    with pytest.raises(click.exceptions.Exit):
        settings_from(["--help"])
    shown = capsys.readouterr().out
    assert [setting.name for setting in fields(ControllerSettings) if not setting.metadata["help"]] == []
    assert shown.count("--") >= len(fields(ControllerSettings))

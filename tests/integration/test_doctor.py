"""`isobench doctor`: what it finds on this machine, and on one that lacks something, with a remedy for each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

KEY, TOKEN = "sk-key-that-nobody-may-see", "hf_token-that-nobody-may-see"
SUBJECTS = ["git", "uv", "Python versions", "network isolation", "cores", "noise", "container engine", "agents"]
NO_MODEL = "model, for generated tests and agents"
ASKS = ["key of scripted, to write tests", "token of the hub, to publish"]


@pytest.fixture
def doctor(tmp_path):
    """Run it in a folder of its own, looking at the noise for a moment."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "main_openai.toml").write_text(
        '[llm]\nprovider = "scripted"\nmodel = "model-1"\napi_key_env = "SCRIPTED_KEY"\n'
    )

    def examined(*flags, **variables):
        command = [sys.executable, "-m", "isobench", "doctor", "--noise-seconds", "0.1", *flags]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "160"} | variables
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return examined


@pytest.fixture
def tools(tmp_path):
    """A PATH with the tools that are linked into it."""
    folder = tmp_path / "tools"
    folder.mkdir()

    def link(*names):
        for name in names:
            path = next(Path(place, name) for place in os.environ["PATH"].split(":") if Path(place, name).exists())
            (folder / name).symlink_to(path)
        return str(folder)

    return link


def findings(done):
    assert done.stderr == ""
    return {finding["subject"]: finding for finding in json.loads(done.stdout)}


def test_every_finding_has_a_grade_and_what_does_not_suffice_a_remedy(doctor):
    done = doctor("--json")
    found = findings(done)
    assert list(found) == SUBJECTS + ASKS
    assert found["git"]["found"].startswith("git version 2.")
    assert found["uv"]["found"].startswith("uv ")
    assert "3.11" in found["Python versions"]["found"]
    assert "robust spread of paired log ratios" in found["noise"]["found"]
    for finding in found.values():
        assert finding["found"]
        assert finding["grade"] == "good" or finding["remedy"]
    assert done.returncode == any(finding["grade"] == "missing" for finding in found.values())


def test_a_person_gets_the_same_as_a_table(doctor):
    found, shown = findings(doctor("--json")), doctor()
    assert shown.returncode == 0
    for subject, finding in found.items():
        (line,) = [line for line in shown.stdout.splitlines() if f" {subject} " in line]
        if subject != "noise":
            assert line.strip().startswith(finding["grade"])
    assert "what to do" in shown.stdout.splitlines()[0]


def test_without_git_and_without_namespaces_both_are_missing_and_said_how_to_be_had(doctor, tools):
    done = doctor("--json", PATH=tools("sh"))
    found = findings(done)
    assert done.returncode == 1
    assert (found["git"]["grade"], found["git"]["found"]) == ("missing", "not found")
    assert "install git 2.27 or later" in found["git"]["remedy"]
    assert found["network isolation"]["grade"] == "missing"
    assert "user namespaces" in found["network isolation"]["remedy"]
    assert found["container engine"]["grade"] == "limited"
    assert found["uv"]["grade"] == "good"


def test_a_git_that_can_not_clone_partially_is_missing_too(doctor, tmp_path, tools):
    path = tools("unshare", "sh", "mount", "true")
    (tmp_path / "tools" / "git").write_text("#!/bin/sh\necho git version 2.25.1\n")
    (tmp_path / "tools" / "git").chmod(0o755)
    done = doctor("--json", PATH=path)
    found = findings(done)
    assert done.returncode == 1
    assert (found["git"]["grade"], found["git"]["found"]) == ("missing", "git version 2.25.1")


def test_a_key_is_told_to_be_there_and_never_shown(doctor, tmp_path):
    (tmp_path / "config" / ".env").write_text(f"SCRIPTED_KEY={KEY}\n")
    for flags in ((), ("--json",)):
        done = doctor(*flags, HF_TOKEN=TOKEN)
        assert KEY not in done.stdout + done.stderr
        assert TOKEN not in done.stdout + done.stderr
    found = findings(done)
    assert [(found[ask]["grade"], found[ask]["found"]) for ask in ASKS] == [
        ("good", "SCRIPTED_KEY is set"),
        ("good", "HF_TOKEN is set"),
    ]


def test_a_key_that_is_not_there_is_named(doctor, tmp_path):
    (tmp_path / "config" / ".env").write_text("SCRIPTED_KEY=\n")
    found = findings(doctor("--json"))
    assert [(found[ask]["grade"], found[ask]["found"]) for ask in ASKS] == [
        ("limited", "SCRIPTED_KEY is not set"),
        ("limited", "HF_TOKEN is not set"),
    ]


def test_a_model_that_wants_no_key_is_not_asked_for_one(doctor, tmp_path):
    (tmp_path / "config" / "main_openai.toml").write_text('[llm]\nprovider = "scripted"\nmodel = "model-1"\n')
    found = findings(doctor("--json"))
    assert ASKS[0] not in found
    assert NO_MODEL not in found


def test_where_no_model_is_configured_it_says_where_one_is(doctor, tmp_path):
    (tmp_path / "config" / "main_openai.toml").unlink()
    found = findings(doctor("--json"))[NO_MODEL]
    assert (found["grade"], found["found"]) == ("limited", "none is configured here")
    assert "--provider or --config" in found["remedy"]


@pytest.mark.parametrize("seconds", ["0", "601", "long"])
def test_a_time_that_can_not_be_taken_is_refused(doctor, seconds):
    done = doctor("--noise-seconds", seconds)
    assert done.returncode == 2
    assert "--noise-seconds" in done.stderr

"""`scripts/commit_to_dataset.py`: the old entry point with its old files and flags, on isobench's own code."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from building.command_line import CommandLine
from building.projects import write_project
from building.repositories import RepositoryBuilder
from hubserver import WRITE_TOKEN, running_hub

SCRIPT = Path(__file__).parents[2] / "scripts" / "commit_to_dataset.py"
TEST = """
import time
from swift import work
began = time.perf_counter()
work.work()
print(f"Execution time: {time.perf_counter() - began:.6f}s")
"""
SLOW = "def work():\n    return sum(range(400_000))\n"
FAST = "def work():\n    return sum(range(100_000))\n"


@pytest.fixture
def project(tmp_path):
    """Two performance commits of a project that builds without a registry; the clone's origin is lab/project."""
    project = RepositoryBuilder(tmp_path / "clone")
    for number, code in enumerate((SLOW, FAST, FAST + "# faster still\n")):
        write_project(project.path, {"__init__.py": "", "work.py": code})
        project.commit(f"step {number}")
    return project.origin("https://git.example/lab/project.git")


@pytest.fixture
def folder(tmp_path, project):
    """A folder as a user of the old pipeline has it: the YAML, extraction files, and a test for each commit."""
    here = tmp_path / "here"
    (here / "extractions").mkdir(parents=True)
    (here / "misc/experiments/generated_test_generators_v4").mkdir(parents=True)
    for sha in (project.head, project.sha("HEAD~1")):
        (here / f"extractions/{sha}.json").write_text(json.dumps({"commit_hash": sha, "repo_path": "/not/here"}))
        (here / f"misc/experiments/generated_test_generators_v4/{sha[:8]}_test_case_generator.py").write_text(TEST)
    write_legacy(here, project)
    return here


def write_legacy(folder, project, **changes):
    values = {
        "repo_path": str(project.path),
        "extractions_dir": "extractions",
        "use_docker": False,
        "docker_image": "me/image:latest",
        "dataset_name": "lab/set",
        "push_to_hf": False,
        "api": "swift.work",
        "notes": "as ever",
    }
    (folder / "commit_to_dataset.yaml").write_text(json.dumps(values | changes))


def run(folder, *arguments, **variables):
    inherited = {name: os.environ[name] for name in ("PATH", "HOME")}
    settings = {"ISOBENCH_TIMING_PROTOCOL": "single"}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=inherited | settings | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def records(folder, name="lab__set"):
    return [json.loads(line) for line in (folder / "data" / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture
def script(folder, monkeypatch, capsys):
    """The script in this process: for what ends before anything is built."""
    place = importlib.util.spec_from_file_location("commit_to_dataset", SCRIPT)
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return partial(CommandLine(folder, monkeypatch, capsys), command=module.command)


def refusal(answer):
    """The one sentence that a person gets, besides the notice."""
    assert answer.code == 2
    (line,) = [line for line in answer.err.splitlines() if "legacy configuration" not in line]
    return line


@pytest.mark.slow
def test_the_legacy_file_becomes_the_dataset_it_names_and_running_again_adds_nothing(folder, project):
    flags = ("--mode=offline", "--iterations=7", "--budget-usd=0.25", "--timeout-min=3", "--container=off")
    done = run(folder, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "commit_to_dataset.yaml is a legacy configuration and is still read" in done.stderr
    made = records(folder)
    assert {row["head_commit"] for row in made} == {project.head, project.sha("HEAD~1")}
    assert {row["base_commit"] for row in made} == {project.sha("HEAD~1"), project.sha("HEAD~2")}
    for row in made:
        assert row["repo"] == "lab/project"
        assert row["api"] == "swift.work"
        assert row["notes"] is None
        assert row["efficiency_test"] == [TEST]
        assert row["test_failed"] == "No"
        assert "image=local" in row["version"]
    planned = yaml.safe_load((folder / ".work/plans/lab-set.yaml").read_text())["spec"]["template"]
    assert planned["agent"] == {"maxIterations": 7, "budgetUsd": 0.25, "timeoutMinutes": 3.0}
    assert run(folder, *flags).returncode == 0
    assert records(folder) == made
    assert {path.name for path in folder.iterdir()} == {
        ".work", "data", "extractions", "misc", "commit_to_dataset.yaml",
    }  # fmt: skip


@pytest.mark.slow
def test_the_dataset_goes_to_the_hub_where_the_file_says_so(folder, project):
    with running_hub() as hub:
        write_legacy(folder, project, push_to_hf=True, hf_repo="https://hub.example/datasets/lab/fast-commits")
        done = run(folder, HF_TOKEN=WRITE_TOKEN, HF_ENDPOINT=hub.endpoint)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "published fast-commits.jsonl: 2 records, 2 of them new" in done.stderr
        assert WRITE_TOKEN not in done.stdout + done.stderr
    assert len(records(folder, "fast-commits")) == 2


@pytest.mark.slow
def test_a_hub_that_refuses_loses_no_record(folder, project):
    write_legacy(folder, project, push_to_hf=True, hf_repo="lab/fast-commits")
    done = run(folder)
    assert done.returncode == 1
    assert "fast-commits.jsonl is not published: publishing to lab/fast-commits needs a token" in done.stderr
    assert len(records(folder, "fast-commits")) == 2


def test_a_dry_run_says_what_would_be_asked_and_calls_nothing(script, folder, project):
    (folder / "config").mkdir()
    (folder / "config/main_openai.toml").write_text(
        '[llm]\nmodel = "model-1"\nbase_url = "http://127.0.0.1:9/v1"\nbudget_usd = 0.5\n'
        '[pricing."model-1"]\ninput = 1000\noutput = 1000\n'
    )
    (folder / f"misc/experiments/generated_test_generators_v4/{project.head[:8]}_test_case_generator.py").unlink()
    answer = script("--mode=dry")
    assert answer.code == 0, answer.err
    *items, total = answer.out.splitlines()
    supplied, asked = sorted(items, key=lambda line: "would be asked" in line)
    assert supplied == f"{project.sha('HEAD~1')[:12]}: its test is supplied"
    assert asked.startswith(f"{project.head[:12]}: model-1 would be asked for a test: about ")
    assert total.endswith("$0.50 at most; nothing was asked")
    assert not (folder / "data").exists()


def test_a_dry_run_with_a_model_without_a_price_says_so(script, folder, project):
    (folder / "config").mkdir()
    (folder / "config/main_openai.toml").write_text('[llm]\nmodel = "model-1"\n')
    (folder / f"misc/experiments/generated_test_generators_v4/{project.head[:8]}_test_case_generator.py").unlink()
    assert "model 'model-1' has no price" in refusal(script("--mode=dry"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--agent-all",), "needs --mode=online: offline no agent runs"),
        (("none.yaml",), "none.yaml: can't be read"),
        (("none.toml",), "none.toml: can't be read"),
        (("--iterations=0",), "0 is not in the range x>=1"),
        (("--timeout-min=-1",), "flag --timeout-min: agent.timeout_minutes: "),
    ],
)
def test_what_can_not_be_done_is_said_before_anything_is(script, folder, arguments, said):
    answer = script(*arguments)
    assert answer.code == 2
    assert said in answer.err.splitlines()[-1]
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_docker": True, "docker_image": "not/here:none"}, "not/here:none"),
        ({"repo_path": None}, "repository.url: is missing"),
        ({"repo_path": "nowhere"}, "isn't a git repository"),
        ({"extractions_dir": "none"}, "none: can't be read"),
        ({"push_to_hf": True}, "publish.hf_repo: is missing and push_to_hf is on"),
        ({"hf_repo": "a/b/c"}, "names no dataset repository"),
        ({"llm_temprature": 1}, "did you mean 'llm_temperature'?"),
    ],
)
def test_what_is_wrong_in_the_legacy_file_is_one_sentence(script, folder, project, changes, said):
    write_legacy(folder, project, **changes)
    assert said in refusal(script())

"""README's promises: every command block in it is run here, as it stands there.

But for the one on a cluster, which is run by tests/cluster/test_chart.py.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from building.swift_history import TEST

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
DEMO, THREE_COMMANDS, DEMO_AGENT, PROVIDER, _, CHECK = BLOCKS
A_COMMIT = "1a2b3c4"
DEMO_ATTEMPTS = {
    "idna-contextj": (True, "", 0.079),
    "packaging-requirements": (False, "no_change", 0.0168),
    "more-itertools-all-equal": (False, "budget_exhausted", 0.1096),
    "pathspec-neutral": (None, "HumanNotFaster", 0.0),
}
"""Of the agent's demo: whether the attempt succeeded, how its error begins, and what it cost at list prices."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fresh_clone(tmp_path_factory):
    """What a visitor has after `git clone`, with what is not committed yet."""
    clone = tmp_path_factory.mktemp("visitor") / "isobench"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    return clone


def run_block(block, folder, **variables):
    """Run a README block as a person's shell would, and stop at the first command that fails."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(900)
def test_the_demo_on_a_fresh_clone_finds_the_known_fixes(fresh_clone):
    done = run_block(DEMO, fresh_clone)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (fresh_clone / "data" / "demo.jsonl").read_text().splitlines()]
    verdicts = {row["repo"].rpartition("/")[2]: row["measurement"]["verdict"] for row in rows}
    neutral = verdicts.pop("pathspec-neutral")
    assert set(verdicts.values()) == {"faster"}
    assert neutral in ("same", "inconclusive")


@pytest.mark.timeout(900)
def test_the_agents_demo_on_a_fresh_clone_has_a_real_commit_for_each_outcome_with_its_cost(fresh_clone):
    done = run_block(DEMO_AGENT, fresh_clone)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (fresh_clone / "data" / "demo-agent.jsonl").read_text().splitlines()]
    assert len({row["head_commit"] for row in rows}) == len(rows) == len(DEMO_ATTEMPTS)
    for row in rows:
        success, said, dollars = DEMO_ATTEMPTS[row["repo"].rpartition("/")[2]]
        (sample,) = row["measurement"]["samples"]
        assert row.get("agent_success") is success
        assert row.get("agent_error", "").startswith(said)
        assert sample["measured_usd"] == pytest.approx(dollars)
        assert f"${dollars:.4f} of $0.15" in done.stdout
    (succeeded,) = [row for row in rows if row.get("agent_success")]
    comparisons = {tuple(found["arms"]): found["verdict"] for found in succeeded["measurement"]["comparisons"]}
    assert comparisons["base", "agent"] == "faster"
    told = re.search(r"isobench show idna\S+ --agent", done.stdout)
    assert told is not None
    shown = run_block(f".venv-demo/bin/{told[0]}", fresh_clone)
    for part in ("2. A label of 60 letters", "file_editor: ", "terminal: ", '| {"avg_ms"', "$0.0176", "cost $0.0790"):
        assert part in shown.stdout, shown.stdout + shown.stderr


@pytest.mark.timeout(900)
def test_a_providers_three_lines_without_a_key_say_which_is_missing_and_go_on(fresh_clone, swift, tmp_path):
    shutil.copytree(fresh_clone / "config", tmp_path / "config", ignore=shutil.ignore_patterns(".env"))
    commit = {"head": swift.merged, "test": {"inline": TEST}}
    template = {"repository": {"url": str(swift.path)}, "agent": {"requireHumanSpeedup": False}}
    write_batch(tmp_path / "batch.yaml", {"commits": [commit], "template": template})
    bin_folder = Path(sys.executable).parent
    block = PROVIDER.replace("make agent-env", "true")  # the agent's demo has run it
    done = run_block(block, tmp_path, EDITOR="true", PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr
    [dataset] = (tmp_path / "data").glob("*.jsonl")
    [record] = map(json.loads, dataset.read_text().splitlines())
    assert "OPENAI_API_KEY" in record["agent_error"]
    assert "agent_success" not in record, "no agent has tried"


@pytest.mark.timeout(900)
def test_the_fast_checks_on_a_fresh_clone_pass_and_change_nothing(fresh_clone):
    before = tracked_changes(fresh_clone)
    done = run_block(CHECK, fresh_clone)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert tracked_changes(fresh_clone) == before


def test_your_own_repository_in_three_commands(swift, tmp_path):
    place = tmp_path / "place"
    (place / "tests").mkdir(parents=True)
    (tmp_path / "project").symlink_to(swift.path)
    (place / "commits.txt").write_text(f"{swift.merged}\n")
    (place / "tests" / f"{swift.merged}_test_case_generator.py").write_text(TEST)
    block = THREE_COMMANDS.replace(A_COMMIT, swift.merged[:7])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = run_block(block, place, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "faster" in done.stdout
    (dataset,) = (place / "data").iterdir()
    (record,) = dataset.read_text().splitlines()
    assert json.loads(record)["head_commit"] == swift.merged


def write_batch(path, spec):
    """A batch manifest."""
    manifest = {"apiVersion": "isobench.dev/v1alpha1", "kind": "CommitBenchmarkBatch"}
    path.write_text(json.dumps({**manifest, "metadata": {"name": "online"}, "spec": spec}))


def tracked_changes(clone):
    """What git says of the working tree, ignored files left out."""
    return subprocess.run(
        ["git", "-C", str(clone), "status", "--porcelain"], check=True, capture_output=True, text=True
    ).stdout

"""The library's own call: OpenHands on a repository, confined as any agent is, without an item around it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from isobench import LLMConfigManager, OpenHandsOrchestrator, OptimizationResult, create_opensource_task
from isobench.adapters.agents.openhands.adapter import PYTHON_VARIABLE, OpenHands
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from llmserver import Asked, Reply, Says, running_model
from llmserver.metered import KEY
from llmserver.server import Script

SLOW = "def total():\n    return sum(list(range(10_000)))\n"
TASK = create_opensource_task("Speed it up", "Make total() faster.", ["fast.py"], ["Keep its name."])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    (folder / "fast.py").write_text(SLOW)
    who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    subprocess.run(["git", "-C", folder, "add", "."], check=True)
    subprocess.run(["git", "-C", folder, *who, "commit", "--quiet", "-m", "slow"], check=True)
    return folder


def optimize(tmp_path: Path, repository: Path, script: Script, **changes: object) -> OptimizationResult:
    with running_model(script) as provider:
        sections = {
            "llm": {"model": "m", "base_url": provider.base_url, "api_key_env": "KEY", "provider": "scripted"},
            "pricing": {"m": {"input": 2.0, "output": 8.0}},
        }
        models = LLMConfigManager(Configuration.parse(sections, "the test"), {"KEY": KEY})
        orchestrator = OpenHandsOrchestrator(models, tmp_path / "work")
        return orchestrator.optimize_repository(repository, **{**TASK, "max_iterations": 8, **changes})


def needs_openhands() -> None:
    if (missing := OpenHands().missing()) is not None:
        pytest.fail(missing)


def worktree_of(asked: Asked) -> Path:
    """Where the agent works, as the SDK tells its model."""
    text = json.dumps(dict(asked.body))
    start = text.index("Your current working directory is: ") + len("Your current working directory is: ")
    return Path(text[start:].partition("\\n")[0])


def edit(asked: Asked) -> Reply:
    path = str(worktree_of(asked) / "fast.py")
    arguments = {"command": "str_replace", "path": path, "old_str": "sum(list(range(10_000)))", "new_str": "49995000"}
    return Says.tool("file_editor", **arguments)


def test_openhands_optimizes_a_repository_that_is_only_read(tmp_path: Path, repository: Path) -> None:
    needs_openhands()
    before = {path: path.lstat().st_mtime_ns for path in repository.rglob("*")}
    run = Says.tool("terminal", command="python3 -c 'import fast; print(fast.total())'")
    result = optimize(tmp_path, repository, [edit, run, Says.finish("a constant")])
    assert (result.success, result.error_message) == (True, None)
    assert "+    return 49995000" in result.patch
    assert result.iterations_used == 3
    assert result.measured_usd == pytest.approx(3 * (100 * 2 + 20 * 8) / 1e6)
    assert result.agent_branch.startswith("agent/speed-it-up/")
    assert {path: path.lstat().st_mtime_ns for path in repository.rglob("*")} == before
    assert result.journal is not None
    steps = [json.loads(line) for line in next(result.journal.rglob("steps.jsonl")).read_text().splitlines()]
    assert "49995000" in steps[1]["result"]


def test_its_shell_has_no_network_and_sees_nothing_else_and_the_key_is_nowhere(
    tmp_path: Path, repository: Path
) -> None:
    needs_openhands()
    installation = OpenHands().python
    assert installation is not None
    socket = 'python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)"'
    looks = [socket, f"ls {repository}", f"ls {installation.parents[1]}", "env; cat /proc/*/environ /proc/*/cmdline"]
    result = optimize(tmp_path, repository, [*(Says.tool("terminal", command=look) for look in looks), Says.finish()])
    assert result.error_message == "no_change: no target was changed"
    assert result.journal is not None
    steps = [json.loads(line) for line in next(result.journal.rglob("steps.jsonl")).read_text().splitlines()]
    assert "Permission" in steps[0]["result"]
    assert "fast.py" not in steps[1]["result"]
    assert "pyvenv.cfg" not in steps[2]["result"]
    for path in tmp_path.rglob("*"):
        if stat.S_ISREG(path.lstat().st_mode):
            assert KEY.encode() not in path.read_bytes(), path
    assert KEY not in os.environ.values()


PACKAGES = """
prefix=$(dirname $(dirname $(readlink -f $VIRTUAL_ENV/bin/python)))
grep -rIl import $prefix/lib/python3*/*-packages /usr/lib/python3*/*-packages /usr/local/lib/python3*/*-packages
grep -rl . $prefix/lib/python3*/ensurepip/_bundled /usr/share/python-wheels
$VIRTUAL_ENV/bin/python -c 'import json, sqlite3, venv; print("a Python of", *"its own")'
"""


def test_its_shell_reads_no_later_release_that_the_systems_pythons_have(tmp_path: Path, repository: Path) -> None:
    needs_openhands()
    here = {"PATH": os.environ["PATH"], "VIRTUAL_ENV": sys.prefix}
    outside = subprocess.run(["sh", "-c", PACKAGES], env=here, capture_output=True, text=True, check=False).stdout
    assert "/pip/" in outside, "there is something to hide"
    result = optimize(tmp_path, repository, [Says.tool("terminal", command=f"({PACKAGES}) 2>/dev/null"), Says.finish()])
    assert result.journal is not None
    steps = [json.loads(line) for line in next(result.journal.rglob("steps.jsonl")).read_text().splitlines()]
    assert "-packages/" not in steps[0]["result"]
    assert ".whl" not in steps[0]["result"]
    assert "a Python of i t s" in steps[0]["result"]


def test_what_is_missing_is_said_and_nothing_is_asked(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/nowhere/python")
    result = optimize(tmp_path, repository, [Says()])
    assert result.error_message is not None
    assert "/nowhere/python has no OpenHands SDK: run `make agent-env`" in result.error_message
    assert (result.success, result.measured_usd) == (False, 0.0)


def test_a_target_that_is_not_there_is_refused(tmp_path: Path, repository: Path) -> None:
    needs_openhands()
    with pytest.raises(InvalidInput, match=r"slow\.py is no file of"):
        optimize(tmp_path, repository, [Says()], target_files=["slow.py"])

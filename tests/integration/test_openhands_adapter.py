"""The adapter of OpenHands without OpenHands: what is missing, what its child is told, how its end is read."""

import json
import os
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import agent_env
from isobench.adapters.agents.openhands.adapter import PYTHON_VARIABLE, OpenHands, OpenHandsInImage, find_python
from isobench.adapters.agents.protocol import AgentEnd, AgentTask
from isobench.adapters.models.gateway_process import Gateway
from isobench.adapters.python.interpreters import Interpreter
from isobench.engine.money import Prices
from isobench.engine.settings import layer_of_environment


@pytest.fixture
def task(tmp_path: Path) -> AgentTask:
    return AgentTask(
        repository=tmp_path / "repository",
        folder=tmp_path / "folder",
        text="Make it fast.",
        targets=("a.py",),
        max_iterations=7,
        budget_usd=0.5,
        timeout_seconds=60,
        model="vendor/m",
        prices=Prices(input=Decimal(3), output=Decimal(15), cached=Decimal(3)),
        gateway=Gateway("http://gateway/v1", "isobench-token", 1, tmp_path / "gateway" / "sock"),
    )


def test_a_python_without_the_sdk_is_said_to_lack_it_with_the_remedy() -> None:
    said = OpenHands(Path(sys.executable)).missing()
    assert said is not None
    assert sys.executable in said
    assert "make agent-env" in said


def test_no_python_is_said_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr("isobench.adapters.agents.openhands.adapter.PACKAGE", tmp_path / "lib" / "isobench")
    monkeypatch.chdir(tmp_path)
    said = OpenHands().missing()
    assert said is not None
    assert said.startswith("OpenHands is not installed: run `make agent-env`")


def test_the_python_is_the_named_one_else_that_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / ".venv-agent" / "bin" / "python"
    here.parent.mkdir(parents=True)
    here.touch()
    monkeypatch.chdir(tmp_path)
    assert find_python({}) == here
    assert find_python({PYTHON_VARIABLE: "/opt/python"}) == Path("/opt/python")


@pytest.mark.parametrize(("here", "found"), [(["3.13.0", "3.12.1", "3.11.7"], "3.13.0"), (["3.11.7"], None)])
def test_its_environment_is_made_of_the_newest_python_that_it_runs_on_else_it_is_said_to_be_missing(
    here: list[str], found: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agent_env, "interpreters", lambda: [Interpreter(Path(version), version) for version in here])
    newest = agent_env.newest()
    assert (newest and newest.version) == found
    if newest is None:
        assert agent_env.main() == 1
        assert "OpenHands needs Python 3.12 or newer, and this machine has none" in capsys.readouterr().err


def test_the_variable_that_names_it_is_not_taken_for_a_setting() -> None:
    assert layer_of_environment({PYTHON_VARIABLE: "/opt/python"}) == {}


def test_the_child_is_told_everything_by_its_standard_input_and_the_token_by_nothing_else(task: AgentTask) -> None:
    command = OpenHands(Path("/opt/openhands/bin/python")).command(task)
    told = json.loads(command.stdin)
    assert told["token"] == "isobench-token"
    assert "isobench-token" not in repr((command.arguments, command.environment, command.readable))
    assert told["input_usd_per_token"] == pytest.approx(3e-6)
    assert told["output_usd_per_token"] == pytest.approx(15e-6)
    assert (told["model"], told["max_iterations"]) == ("vendor/m", 7)
    assert command.environment["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"


def test_in_its_image_it_is_taken_to_be_there(task: AgentTask) -> None:
    agent = OpenHandsInImage()
    assert agent.missing() is None
    assert agent.command(task).arguments[0] == "/opt/openhands/bin/python"


def test_its_own_word_is_its_end(tmp_path: Path) -> None:
    (tmp_path / "end.json").write_text('{"how": "stuck", "message": "again and again", "iterations": 9}')
    assert OpenHands(Path("/p")).read_end(tmp_path, 1) == AgentEnd("stuck", "again and again", 9)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "{",
        "[]",
        "null",
        '{"how": "succeeded", "message": "", "iterations": 1}',
        '{"how": "finished"}',
        '{"how": "finished", "message": "", "iterations": "many"}',
        '{"how": ["finished"], "message": "", "iterations": 1}',
        "[" * 100_000,
        '{"how": "finished", "message": "' + "x" * 1_000_000 + '", "iterations": 1}',
    ],
    ids=["empty", "torn", "list", "null", "no such ending", "half", "no number", "no word", "deep", "giant"],
)
def test_a_word_that_is_none_is_a_crash(tmp_path: Path, word: str) -> None:
    (tmp_path / "end.json").write_text(word)
    end = OpenHands(Path("/p")).read_end(tmp_path, 1)
    assert (end.how, end.finished) == ("crashed", False)
    assert "exit code 1" in end.message


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"how": "finished", "message": "from elsewhere", "iterations": 1}')
    place = tmp_path / "folder"
    place.mkdir()
    word = place / "end.json"
    word.symlink_to(secret)
    assert OpenHands(Path("/p")).read_end(place, 0).how == "crashed"
    word.unlink()
    os.mkfifo(word)
    assert OpenHands(Path("/p")).read_end(place, 0).how == "crashed"
    word.unlink()
    word.mkdir()
    assert OpenHands(Path("/p")).read_end(place, 0).how == "crashed"
    word.rmdir()
    assert OpenHands(Path("/p")).read_end(place, -9).message.startswith("OpenHands ended with exit code -9")

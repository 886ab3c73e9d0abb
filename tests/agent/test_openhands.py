"""The real OpenHands SDK, a scripted provider, and every way that a conversation can end."""

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from agent.conftest import Talk
from agent.conversing import TARGET, Attempt
from isobench.adapters.agents.openhands.adapter import OpenHands
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.configuration import Price
from isobench.engine.money import charged_calls
from llmserver import Asked, Breaks, Fails, Garbage, Hangs, Reply, Says
from llmserver.metered import KEY
from llmserver.server import Script

FASTER = "total = 45\n"


def edit(repository: Path) -> Says:
    return Says.tool(
        "file_editor",
        thought="a constant will do",
        command="str_replace",
        path=str(repository / TARGET),
        old_str="total = sum(list(range(10)))",
        new_str=FASTER.strip(),
    )


def run(command: str) -> Says:
    return Says.tool("terminal", command=command)


def test_an_attempt_that_edits_runs_and_finishes(talk: Talk) -> None:
    attempt = talk(lambda attempt: [edit(attempt.repository), run(f"cat {TARGET}"), Says.finish("a constant")])
    assert attempt.end.finished
    assert attempt.target.read_text() == FASTER
    assert [step["tool"] for step in attempt.steps] == ["file_editor", "terminal", "finish"]
    assert attempt.steps[0]["thought"] == "a constant will do"
    assert FASTER.strip() in attempt.steps[1]["result"]
    assert [step["step"] for step in attempt.steps] == [1, 2, 3]
    assert attempt.end.iterations == attempt.progress["iterations"] == len(attempt.provider.asked) == 3
    assert attempt.progress["usd"] == pytest.approx(float(attempt.balance.spent_usd))


@pytest.mark.parametrize(("stream", "api"), [(True, "chat"), (False, "responses")])
def test_an_attempt_in_the_protocols_other_shapes(talk: Talk, stream: bool, api: str) -> None:
    attempt = talk(lambda attempt: [edit(attempt.repository), Says.finish()], stream=stream, api=api)
    assert attempt.end.finished
    assert attempt.target.read_text() == FASTER
    path = "/v1/responses" if api == "responses" else "/v1/chat/completions"
    assert {(asked.path, asked.body.get("stream", False)) for asked in attempt.provider.asked} == {(path, stream)}
    assert attempt.balance.spent_usd == attempt.provider_charged


def test_an_answer_of_text_alone_is_no_finish(talk: Talk) -> None:
    attempt = talk(lambda _: [Says("I think it is fast enough.")])
    assert (attempt.end.how, attempt.end.message) == ("not_finished", "I think it is fast enough.")
    assert not attempt.end.finished


def test_iterations_run_out(talk: Talk) -> None:
    attempt = talk(lambda _: [run("echo 1"), run("echo 2"), Says.finish()], max_iterations=2)
    assert (attempt.end.how, attempt.end.iterations) == ("iterations_exhausted", 2)
    assert len(attempt.provider.asked) == 2


def test_calls_run_out_at_the_gateway_whatever_the_agent_counts(talk: Talk) -> None:
    attempt = talk(lambda _: [run("echo 1"), run("echo 2"), Says.finish()], max_iterations=9, max_calls=2)
    assert attempt.end.how == "iterations_exhausted"
    assert charged_calls(read_entries(attempt.root / "ledger.jsonl"), attempt=1) == 2


def test_the_budget_runs_out_midway(talk: Talk) -> None:
    dear = Says.tool("terminal", command="echo 1")
    dear = Says(tool_calls=dear.tool_calls, ending="tool_calls", prompt_tokens=9_000, completion_tokens=900)
    attempt = talk(lambda _: [dear, Says.finish()], cap=0.08)
    assert attempt.end.how == "budget_exhausted"
    assert len(attempt.provider.asked) == 1
    assert attempt.provider_charged <= attempt.balance.charged_usd <= 0.08


@pytest.mark.parametrize("cap", [0.0, 1e-6])
def test_a_budget_that_is_too_small_for_one_call_asks_nothing(talk: Talk, cap: float) -> None:
    attempt = talk(lambda _: [Says.finish()], cap=cap)
    assert attempt.end.how == "budget_exhausted"
    assert attempt.provider.asked == []


def test_a_model_that_is_free_needs_no_budget(talk: Talk) -> None:
    attempt = talk(lambda _: [run("echo 1"), Says.finish()], cap=0.0, price=Price(input=0.0, output=0.0))
    assert attempt.end.finished


def test_an_agent_that_repeats_itself_is_stuck(talk: Talk) -> None:
    attempt = talk(lambda _: [Says.tool("think", thought="hm")], max_iterations=20)
    assert attempt.end.how == "stuck"
    assert attempt.end.iterations < 20


@pytest.mark.parametrize(
    ("script", "how", "asked"),
    [
        ([Fails(401)], "llm_unauthorized", 1),
        ([Fails(403)], "llm_unauthorized", 1),
        ([Fails(429)], "llm_unavailable", 2),
        ([Fails(429, "insufficient_quota", "you exceeded your current quota")], "llm_unavailable", 1),
        ([Fails(500)], "llm_unavailable", 2),
        ([Garbage(b"{not json")], "llm_unavailable", 1),
        ([Garbage(b'"' + b"x" * (17 * 2**20) + b'"')], "llm_unavailable", 1),
        ([Breaks()], "llm_unavailable", 1),
        ([Fails(502)], "llm_unavailable", 1),
    ],
    ids=["401", "403", "429", "quota", "500", "broken", "giant", "half", "502"],
)
def test_a_provider_that_fails_ends_the_attempt_by_its_reason(
    talk: Talk, script: list[Reply], how: str, asked: int
) -> None:
    attempt = talk(lambda _: script)
    assert attempt.end.how == how
    assert len(attempt.provider.asked) == asked
    assert attempt.target.read_text() != FASTER


def test_half_a_stream_is_charged_at_its_reserve_and_not_sent_again(talk: Talk) -> None:
    attempt = talk(lambda _: [Breaks(Says("a b c d"))], stream=True)
    assert attempt.end.how == "llm_unavailable"
    assert len(attempt.provider.asked) == 1
    assert attempt.balance.spent_usd == attempt.intents[0].reserved_usd


def test_a_provider_that_hangs_is_given_up(talk: Talk) -> None:
    hangs = Hangs()
    attempt = talk(lambda _: [hangs], timeout=0.5)
    hangs.until.set()
    assert attempt.end.how == "llm_unavailable"
    assert [answer.outcome for answer in attempt.answers] == ["lost"]


def test_a_busy_provider_is_asked_again(talk: Talk) -> None:
    attempt = talk(lambda attempt: [Fails(429), edit(attempt.repository), Fails(500), Says.finish()])
    assert attempt.end.finished
    assert [answer.outcome for answer in attempt.answers] == ["refused", "answered", "refused", "answered"]


def test_wrong_tools_and_broken_arguments_are_told_to_the_agent(talk: Talk) -> None:
    broken = {"id": "call_broken", "type": "function", "function": {"name": "terminal", "arguments": '{"comma'}}
    script = [Says.tool("no_such_tool", x=1), Says("", tool_calls=[broken], ending="tool_calls"), Says.finish()]
    attempt = talk(lambda _: script)
    assert attempt.end.finished
    assert "no_such_tool" in attempt.steps[0]["result"]
    assert len(attempt.provider.asked) == 3


@pytest.mark.parametrize("tokens", [0, -7])
def test_usage_that_cannot_be_true_is_charged_at_its_reserve(talk: Talk, tokens: int) -> None:
    call = Says.finish()
    usage = {"prompt_tokens": tokens, "completion_tokens": tokens}
    attempt = talk(lambda _: [Says(tool_calls=call.tool_calls, ending="tool_calls", usage=usage)])
    assert attempt.end.finished
    assert attempt.balance.spent_usd == attempt.intents[0].reserved_usd


def test_giant_output_is_bounded(talk: Talk) -> None:
    attempt = talk(lambda _: [run("head -c 3000000 /dev/zero | tr '\\0' x | fold -w 100"), Says.finish()])
    assert attempt.end.finished
    assert len(json.dumps(attempt.provider.asked[-1].body)) < 200_000
    assert (attempt.folder / "steps.jsonl").stat().st_size < 10_000


def test_the_editor_changes_targets_only_and_reads_the_repository_only(talk: Talk) -> None:
    def script(attempt: Attempt) -> Script:
        repository = attempt.repository
        outside = OpenHands().python
        return [
            Says.tool("file_editor", command="create", path=str(repository / "conftest.py"), file_text="x"),
            Says.tool("file_editor", command="view", path=str(outside)),
            Says.finish(),
        ]

    attempt = talk(script)
    assert "Only the following files can be edited" in attempt.steps[0]["result"]
    assert "is outside the repository" in attempt.steps[1]["result"]
    assert not (attempt.repository / "conftest.py").exists()


def test_the_shell_reaches_neither_the_sdk_nor_the_agents_own_folder_nor_the_child(talk: Talk) -> None:
    installation = OpenHands().python
    assert installation is not None
    looks = "find / -maxdepth 6 -path '*litellm*' -print -quit 2>/dev/null; echo found=$?"
    commands = [
        f"ls {installation.parents[1]}",
        "cat ../own/end.json; echo x > ../own/steps.jsonl; ls ../own",
        "cat /proc/$PPID/environ /proc/$PPID/mem | wc -c",
        looks,
    ]
    attempt = talk(lambda _: [*map(run, commands), Says.finish()])
    results = [step["result"] for step in attempt.steps]
    assert attempt.end.finished
    assert "Permission denied" in results[0]
    assert results[1].count("Permission denied") >= 2
    if os.geteuid() != 0:  # root may read what is hidden from its own user's processes
        assert "Permission denied" in results[2]
    assert "litellm" not in results[3].split("found=")[0]


def test_the_key_is_nowhere_and_the_token_not_in_the_shells_reach(talk: Talk) -> None:
    leaky = Says.tool("terminal", thought=f"the key is {KEY}", command="env; cat /proc/self/environ")
    attempt = talk(lambda _: [Fails(500, message=f"bad {KEY}"), leaky, Says.finish(f"so {KEY}")])
    assert attempt.end.finished
    shown = attempt.steps[0]["result"]
    assert attempt.gateway.token not in shown
    files = [path for path in attempt.root.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    assert len(files) > 10
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path


def test_a_killed_conversation_leaves_its_progress_and_no_word(talk: Talk) -> None:
    def script(attempt: Attempt) -> Script:
        def kill(_: Asked) -> Reply:
            attempt.warm.kill()
            return Says.finish()

        return [edit(attempt.repository), kill]

    attempt = talk(script)
    assert (attempt.end.how, attempt.end.message) == (
        "crashed",
        "OpenHands ended with exit code -9 and left no word: read its stderr",
    )
    assert attempt.progress["iterations"] == 1
    assert len(attempt.steps) == 1


def test_a_gateway_that_dies_ends_the_attempt_and_its_call_is_charged_at_its_reserve(talk: Talk) -> None:
    def script(attempt: Attempt) -> Script:
        def kill(_: Asked) -> Reply:
            os.kill(attempt.gateway.pid, signal.SIGKILL)
            return Says.finish()

        return [edit(attempt.repository), kill]

    attempt = talk(script)
    assert attempt.end.how == "llm_unavailable"
    assert attempt.balance.reserved_usd == attempt.intents[-1].reserved_usd
    assert attempt.provider_charged <= attempt.balance.charged_usd

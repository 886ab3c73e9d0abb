"""The generation of a test: the real stage and the real client, by the real gateway, against a scripted provider."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from isobench.adapters.files import write_model
from isobench.adapters.models.ledger import read_entries
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import CommitSummary, Prepared, PreparedArm
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import StageName
from isobench.engine.money import Intent
from isobench.engine.workspace import Workspace
from isobench.stages import generate
from isobench.stages.generate import GeneratePorts
from llmserver import Breaks, Fails, Garbage, Hangs, ModelServer, Reply, Says, running_model

KEY = "sk-key-of-the-person-who-pays"
VARIABLE = "SCRIPTED_API_KEY"
HEAD = "0123456789abcdef0123456789abcdef01234567"
ADDED = "return table.get(text, default_answer)"
SCRIPT = """import json
print(json.dumps({"avg_ms": 2.5, "iterations": 4, "result_sha256": "00", "seed": 7}))
"""
ANSWER = Says(f"Here is the test:\n```python\n{SCRIPT}```\n", prompt_tokens=2_000, completion_tokens=500)


@dataclass(frozen=True)
class Item:
    """An item whose `prepare` is done, and the provider that its test is asked from."""

    ports: GeneratePorts
    provider: ModelServer

    @property
    def workspace(self) -> Workspace:
        return self.ports.workspace

    @property
    def intents(self) -> list[Intent]:
        entries = read_entries(self.workspace.generation_ledger)
        return [entry for entry in entries if isinstance(entry, Intent)]

    def attempt(self, number: int = 1, feedback: str | None = None, budget: float = 1.0) -> StageResult:
        return generate.run(request(number, feedback, budget), self.ports)


def request(number: int = 1, feedback: str | None = None, budget: float = 1.0) -> StageRequest:
    spec = CommitBenchmarkSpec.model_validate(
        {
            "repository": {"url": "https://example.invalid/o/n"},
            "commits": {"head": HEAD},
            "test": {"generate": {"provider": "scripted", "budgetUsd": budget}},
        }
    )
    return StageRequest(
        item_id="item",
        run_id="run",
        stage=StageName.GENERATE,
        attempt=number,
        spec=spec,
        deadline_seconds=60,
        feedback=feedback,
    )


def configuration(base_url: str | None, **llm: object) -> Configuration:
    section = {"provider": "scripted", "model": "m", "base_url": base_url, "api_key_env": VARIABLE, **llm}
    pricing = {"m": {"input": 2.0, "output": 8.0, "cached": 0.5}}
    return Configuration.parse({"llm": section, "pricing": pricing}, "the test's configuration")


def prepared(tree: Path) -> Prepared:
    commits = CommitSummary(
        repo="o/n",
        instance_id="o__n-PR-12",
        created_at="2026-01-01T00:00:00+00:00",
        base_commit="b" * 40,
        head_commit=HEAD,
        patch=f"+++ b/n.py\n+    {ADDED}\n+    from n import something_else\n",
        message="Look answers up in a table\n\nmuch faster",
        subject="Look answers up in a table",
    )
    return Prepared(commits=commits, arms=[PreparedArm(name="base", commit="b" * 40, tree=str(tree))])


@contextmanager
def item(tmp_path: Path, *script: Reply, key: str = KEY, **llm: object) -> Iterator[Item]:
    tree, workspace = tmp_path / "tree", Workspace(tmp_path / "item")
    tree.mkdir(exist_ok=True)
    (tree / "n.py").write_text("from n import something_else\n")
    write_model(workspace.prepared, prepared(tree))
    with running_model(script) as provider:
        manager = LLMConfigManager(configuration(provider.base_url, **llm), {VARIABLE: key})
        extraction = Extraction(commit_hash=HEAD, pr_url="https://example.invalid/o/n/pull/12", perf_command="bench it")
        yield Item(GeneratePorts(workspace, lambda: datetime.now(UTC), manager, lambda _: extraction), provider)


def test_a_model_writes_the_test_and_everything_about_it_is_kept(tmp_path: Path) -> None:
    with item(tmp_path, ANSWER) as scene:
        result = scene.attempt()
        assert result.succeeded, result.message
        assert scene.workspace.test.read_text() == SCRIPT
        asked = scene.provider.asked[0].body["messages"][-1]["content"]
        assert "bench it" in asked  # the whole extraction
        assert ADDED in asked  # and what the commit itself says
    assert result.cost is not None
    assert result.cost.measured_usd == pytest.approx(2_000 * 2e-6 + 500 * 8e-6)
    assert (result.cost.prompt_tokens, result.cost.completion_tokens) == (2_000, 500)
    folder = scene.workspace.root / "generate" / "1"
    prompt = json.loads((folder / "prompt.json").read_text())
    assert prompt["estimate_usd"] == result.cost.estimate_usd > 0
    assert prompt["messages"][-1]["content"] == asked
    assert SCRIPT in (folder / "answer.txt").read_text()
    assert json.loads((folder / "usage.json").read_text())["measured_usd"] == result.cost.measured_usd


def test_a_repair_asks_with_the_failed_script_and_what_became_of_it(tmp_path: Path) -> None:
    better = SCRIPT.replace("2.5", "3.5")
    with item(tmp_path, ANSWER, Says(f"```python\n{better}```", 3_000, 500)) as scene:
        scene.attempt()
        result = scene.attempt(2, feedback="NameError: name 'table' is not defined")
        assert result.succeeded
        assert scene.workspace.test.read_text() == better
        *_, answered, told = scene.provider.asked[1].body["messages"]
        assert SCRIPT in answered["content"]
        assert "NameError: name 'table' is not defined" in told["content"]
    assert result.cost is not None
    assert result.cost.prompt_tokens == 3_000  # this attempt's own


def test_an_attempt_whose_result_got_lost_is_not_paid_again(tmp_path: Path) -> None:
    with item(tmp_path, ANSWER) as scene:
        first = scene.attempt()
        again = scene.attempt()
        assert again.succeeded
        assert again.cost == first.cost
        assert len(scene.provider.asked) == 1


def test_an_attempt_that_was_killed_in_its_call_is_charged_at_its_reserve_and_not_repeated(tmp_path: Path) -> None:
    hangs = Hangs()
    with item(tmp_path, hangs) as scene:
        child = """
import sys
from datetime import UTC, datetime
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.configuration import Configuration
from isobench.contracts.stage import StageRequest
from isobench.engine.workspace import Workspace
from isobench.stages import generate
from pathlib import Path
configuration, request, key, root = (sys.stdin.readline().strip() for _ in range(4))
manager = LLMConfigManager(Configuration.model_validate_json(configuration), {"SCRIPTED_API_KEY": key})
ports = generate.GeneratePorts(Workspace(Path(root)), lambda: datetime.now(UTC), manager, lambda _: None)
generate.run(StageRequest.model_validate_json(request), ports)
"""
        told = [
            configuration(scene.provider.base_url).model_dump_json(),
            request().model_dump_json(),
            KEY,
            str(scene.workspace.root),
        ]
        process = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write("\n".join(told) + "\n")
        process.stdin.close()
        assert hangs.reached.wait(30)
        process.kill()
        process.wait()
        result = scene.attempt()
        hangs.until.set()
        assert result.reason is Reason.ALREADY_STARTED
        assert len(scene.provider.asked) == 1
    assert result.cost is not None
    assert result.cost.measured_usd == float(scene.intents[0].reserved_usd) > 0


@pytest.mark.parametrize(
    ("answer", "reason", "told"),
    [
        (Says(""), Reason.TEST_INVALID, "no Python script"),
        (Says("```python\ndef f(:\n```"), Reason.TEST_INVALID, "line 1: invalid syntax"),
        (Says("```python\nimport json", ending="length"), Reason.TEST_INVALID, "cut off at its largest length"),
        (Says("", refusal="I would rather not"), Reason.MODEL_UNAVAILABLE, "I would rather not"),
        (Says("", ending="content_filter"), Reason.MODEL_UNAVAILABLE, "filter"),
        (Says(f"```python\n{SCRIPT}# {ADDED}\n```"), Reason.LEAK_IN_TEST, "the added line"),
        (Says(f"```python\n{SCRIPT}# as in #12\n```"), Reason.LEAK_IN_TEST, "number, 12"),
    ],
    ids=["empty", "syntax error", "truncated", "refused", "filtered", "quotes the patch", "names the request"],
)
def test_an_answer_that_is_no_test_leaves_none_and_is_paid_for(
    tmp_path: Path, answer: Says, reason: Reason, told: str
) -> None:
    with item(tmp_path, answer) as scene:
        result = scene.attempt()
    assert not result.succeeded
    assert result.reason is reason
    assert told in result.message
    assert not scene.workspace.test.exists()
    assert result.cost is not None
    assert result.cost.measured_usd > 0


def test_a_line_that_base_has_too_may_be_in_the_test(tmp_path: Path) -> None:
    with item(tmp_path, Says(f"```python\nfrom n import something_else\n{SCRIPT}```")) as scene:
        assert scene.attempt().succeeded


@pytest.mark.parametrize(
    ("script", "reason", "told", "calls"),
    [
        ([Fails(401, message=f"Incorrect API key {KEY}")], Reason.MODEL_UNAUTHORIZED, VARIABLE, 1),
        ([Fails(403)], Reason.MODEL_UNAUTHORIZED, VARIABLE, 1),
        ([Fails(429, "insufficient_quota", "quota is used up")], Reason.MODEL_UNAVAILABLE, "quota is used up", 1),
        ([Fails(429)], Reason.MODEL_UNAVAILABLE, "429", 4),
        ([Fails(500)], Reason.MODEL_UNAVAILABLE, "500", 4),
        ([Fails(404, message="no such model")], Reason.MODEL_UNAVAILABLE, "no such model", 1),
        ([Garbage(b"{broken")], Reason.PAID_ATTEMPT_LOST, "not JSON", 1),
        ([Breaks()], Reason.PAID_ATTEMPT_LOST, "broke off", 1),
    ],
    ids=["401", "403", "no quota", "429", "500", "404", "broken JSON", "cut"],
)
def test_a_provider_that_fails_gives_a_true_reason_after_bounded_retries(
    tmp_path: Path, script: list[Reply], reason: Reason, told: str, calls: int
) -> None:
    with item(tmp_path, *script) as scene:
        result = scene.attempt()
        assert len(scene.provider.asked) == calls
    assert result.reason is reason
    assert told in result.message
    assert KEY not in result.model_dump_json()


def test_a_busy_provider_that_recovers_is_waited_for(tmp_path: Path) -> None:
    with item(tmp_path, Fails(429), Fails(503), ANSWER) as scene:
        result = scene.attempt()
    assert result.succeeded
    assert result.cost is not None
    assert result.cost.prompt_tokens == 2_000


def test_a_provider_that_hangs_is_given_up_and_charged(tmp_path: Path) -> None:
    hangs = Hangs()
    with item(tmp_path, hangs, timeout_seconds=0.3) as scene:
        result = scene.attempt()
        hangs.until.set()
    assert result.reason is Reason.PAID_ATTEMPT_LOST
    assert result.cost is not None
    assert result.cost.measured_usd == float(scene.intents[0].reserved_usd)


def test_repairs_share_the_item_s_cap(tmp_path: Path) -> None:
    dear = Says(f"```python\n{SCRIPT}```", prompt_tokens=5_000, completion_tokens=1_000)
    with item(tmp_path, dear) as scene:
        assert scene.attempt(1, budget=0.02).succeeded
        result = scene.attempt(2, feedback="it failed", budget=0.02)
        assert result.reason is Reason.BUDGET_EXHAUSTED
        assert len(scene.provider.asked) == 1
    assert result.cost is not None
    assert result.cost.measured_usd == 0


@pytest.mark.parametrize(("key", "told"), [("", "is not set"), ("  ", "is not set"), ("sk a\nb", "characters")])
def test_without_a_key_nothing_is_asked_and_the_attempt_can_be_made_later(tmp_path: Path, key: str, told: str) -> None:
    with item(tmp_path, ANSWER, key=key) as scene:
        result = scene.attempt()
        assert result.reason is Reason.MODEL_UNAUTHORIZED
        assert VARIABLE in result.message
        assert told in result.message
        assert scene.provider.asked == []
    with item(tmp_path, ANSWER) as scene:
        assert scene.attempt().succeeded


def test_a_model_without_a_price_is_not_asked(tmp_path: Path) -> None:
    with item(tmp_path, ANSWER, model="unpriced") as scene:
        result = scene.attempt()
        assert scene.provider.asked == []
    assert result.reason is Reason.MODEL_UNPRICED
    assert "[pricing.'unpriced']" in result.message


def test_what_an_attempt_was_charged_is_told_whatever_keeps_it_from_going_on(tmp_path: Path) -> None:
    with item(tmp_path, Says("no script", prompt_tokens=2_000, completion_tokens=500)) as scene:
        charged = scene.attempt().cost
    with item(tmp_path, ANSWER, key="") as scene:
        again = scene.attempt()
        assert scene.provider.asked == []
    assert again.reason is Reason.MODEL_UNAUTHORIZED
    assert again.cost == charged
    assert charged is not None
    assert charged.measured_usd > 0


def test_another_provider_than_the_one_that_is_meant_is_not_asked(tmp_path: Path) -> None:
    with item(tmp_path, ANSWER, provider="another") as scene:
        result = scene.attempt()
        assert scene.provider.asked == []
    assert result.reason is Reason.INVALID_SPEC
    assert "the batch asks scripted and another is configured; add --provider scripted" in result.message


@pytest.mark.parametrize("address", [None, "api.example.invalid/v1"])
def test_an_address_that_is_none_is_named(address: str | None) -> None:
    with pytest.raises(InvalidInput, match="base_url"):
        LLMConfigManager(configuration(address), {VARIABLE: KEY}).require_usable()


def test_a_server_that_wants_no_key_gets_none(tmp_path: Path) -> None:
    with item(tmp_path, ANSWER, api_key_env=None) as scene:
        assert scene.attempt().succeeded
        assert "Authorization" not in scene.provider.asked[0].headers


def test_the_cost_model_is_the_price_table() -> None:
    manager = LLMConfigManager(configuration("http://127.0.0.1:1/v1"), {})
    assert manager.get_cost_estimate(1_000_000, 100_000) == 2.8
    assert manager.get_cost_estimate(1_000_000, 100_000, cached_tokens=1_000_000) == 1.3
    with pytest.raises(ItemFailure, match="'dear' has no price"):
        manager.get_cost_estimate(1, 1, model="dear")
    with pytest.raises(ValueError, match="can't be"):
        manager.get_cost_estimate(1, 1, cached_tokens=2)


def test_the_key_is_in_no_file_argument_environment_or_result(tmp_path: Path) -> None:
    hangs = Hangs(answer=Says(f"Your key {KEY} works.\n```python\n{SCRIPT}```"))
    with item(tmp_path, Fails(500, message=f"bad luck with {KEY}"), hangs) as scene:
        results: list[StageResult] = []
        working = threading.Thread(target=lambda: results.append(scene.attempt()))
        working.start()
        assert hangs.reached.wait(20)
        seen = b"".join(_told_to_processes())
        hangs.until.set()
        working.join()
    assert results[0].succeeded
    assert {asked.headers["Authorization"] for asked in scene.provider.asked} == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"gateway.log", "prompt.json", "answer.txt", "usage.json", "generate.jsonl"} <= {path.name for path in files}
    seen += b"".join(path.read_bytes() for path in files) + results[0].model_dump_json().encode()
    assert KEY.encode() not in seen


def _told_to_processes() -> Iterator[bytes]:
    """Arguments and environment of every process here."""
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                yield (process / name).read_bytes()
            except (PermissionError, FileNotFoundError, ProcessLookupError):
                assert process.name != str(os.getpid())

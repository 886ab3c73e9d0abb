"""Tests that a model writes, from the plan to the record: by the command line, against a scripted provider."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from building.bench import Bench, events_of, strict_json, told
from building.swift_history import SwiftHistory
from isobench.adapters.made_once import make_once
from isobench.adapters.models.ledger import read_entries
from isobench.engine.money import balance
from llmserver import Fails, Hangs, Says, running_model

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KEY = "sk-key-of-the-person-who-pays"
SCRIPT = """
import hashlib, json, time
import swift

start = time.perf_counter()
for _ in range(2):
    result = swift.total(20_000)
avg_ms = (time.perf_counter() - start) * 1000 / 2
digest = hashlib.sha256(str(result).encode()).hexdigest()
print(json.dumps({"avg_ms": avg_ms, "iterations": 2, "result_sha256": digest, "seed": 0}))
"""
FAILS_AT_LENGTH = """
import sys
sys.stderr.write("a warning that nobody reads\\n" * 100)
raise RuntimeError("avg_ms iterations result_sha256 seed: the table is upside down")
"""
QUESTION_USD = 2_000 * 2e-6 + 500 * 8e-6


def says(script):
    return Says(f"Here it is:\n```python\n{script}```\n", prompt_tokens=2_000, completion_tokens=500)


GOOD, SYNTAX_ERROR, FAILING = says(SCRIPT), says("def test(:\n"), says(FAILS_AT_LENGTH)


def write_configuration(bench, base_url, *, key=KEY, model="m", protocol="single"):
    """One provider called `scripted`, whose model `m` has a price; the least timing that there is."""
    (bench.folder / "config").mkdir(exist_ok=True)
    (bench.folder / "config" / "main_scripted.toml").write_text(
        f'[llm]\nprovider = "scripted"\nmodel = "{model}"\nbase_url = "{base_url}"\napi_key_env = "SCRIPTED_KEY"\n'
        '[pricing."m"]\ninput = 2.0\noutput = 8.0\n'
        f'[timing]\nprotocol = "{protocol}"\nwarmup = 1\nmin_pairs = 8\nmax_pairs = 8\n'
    )
    (bench.folder / "config" / ".env").write_text(f"SCRIPTED_KEY={key}\n")


def planned(bench, swift, name, heads, *flags):
    """The manifest of these commits, whose tests are to be generated."""
    (bench.folder / "commits.txt").write_text("\n".join(heads) + "\n")
    where = ("--repo", swift.path, "--commits", "commits.txt", "--name", name, "-o", f"{name}.yaml")
    done = bench.run("plan", *where, "--generate", "--provider", "scripted", *flags)
    assert done.returncode == 0, done.stderr
    return bench.folder / f"{name}.yaml"


def run(bench, manifest, *flags):
    return bench.run("run", manifest, "--provider", "scripted", "--json", *flags)


@dataclass(frozen=True)
class Asked:
    """A bench whose batches have ended, and what the provider was asked."""

    bench: Bench
    heads: dict[str, str]
    """Commit by what the provider said of it."""
    exits: dict[str, int]
    printed: dict[str, str]
    questions: list[dict[str, Any]]

    def of(self, case):
        """The questions about one commit."""
        return [asked for asked in self.questions if self.heads[case] in asked["messages"][1]["content"]]

    def read(self, case, name):
        for batch in self.exits:
            folder = self.bench.items(batch).get(self.heads[case])
            if folder is not None:
                return strict_json((folder / name).read_text())
        raise AssertionError(f"no batch has {case}")

    def outcome(self, case):
        journal = self.read(case, "journal.json")
        return journal["outcome"], journal["message"]

    def record(self, case):
        (row,) = [row for row in self.bench.rows("asked") if row["head_commit"] == self.heads[case]]
        return row


@pytest.fixture(scope="session")
def asked(tmp_path_factory, swift):
    """Only looked at; made by the first process of the test run that wants it."""
    here = tmp_path_factory.getbasetemp()
    folder = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "asked"
    facts = make_once(folder, lambda: _ask(folder, swift)).facts
    return Asked(Bench(folder / "bench"), heads_of(swift), **facts)


def heads_of(swift):
    cases = ("failing", "no test", "hopeless", "wrong key", "no quota", "no price", "no key")
    return {"good": swift.merged} | dict(zip(cases, swift.plain, strict=False))


def _ask(folder: Path, swift: SwiftHistory):
    bench, heads = Bench(folder / "bench"), heads_of(swift)
    leak = says(f"{SCRIPT}# {heads['no test']}\n")
    no_key, no_quota = (
        Fails(401, message=f"unknown key {KEY}"),
        Fails(429, "insufficient_quota", "your quota is used up"),
    )
    mended = [FAILING, GOOD, SYNTAX_ERROR, leak, GOOD]
    (bench.folder / "extractions").mkdir()
    extraction = {"commit_hash": swift.merged, "perf_command": "time it like this"}
    (bench.folder / "extractions" / "good.json").write_text(json.dumps(extraction))
    ended = {}
    with running_model([GOOD, *mended, SYNTAX_ERROR, SYNTAX_ERROR, FAILING, no_key, no_quota]) as provider:
        write_configuration(bench, provider.base_url, protocol="blocks")
        several = planned(bench, swift, "asked", list(heads.values())[:6], "--extractions", "extractions")
        ended["asked"] = run(bench, several)
        write_configuration(bench, provider.base_url, model="dear")
        ended["unpriced"] = run(bench, planned(bench, swift, "unpriced", [heads["no price"]]))
        write_configuration(bench, provider.base_url, key="")
        ended["keyless"] = run(bench, planned(bench, swift, "keyless", [heads["no key"]]))
        questions = [dict(question.body) for question in provider.asked]
    (bench.folder / "config" / ".env").unlink()
    return {
        "exits": {name: done.returncode for name, done in ended.items()},
        "printed": {name: done.stdout + done.stderr for name, done in ended.items()},
        "questions": questions,
    }


def test_a_good_answer_is_recorded_as_the_test(asked):
    (question,) = asked.of("good")
    assert asked.outcome("good") == ("Recorded", "")
    assert asked.record("good")["efficiency_test"] == [SCRIPT.strip() + "\n"]
    assert asked.record("good")["test_failed"] == "No"
    told_of = question["messages"][1]["content"]
    assert "time it like this" in told_of  # the whole extraction
    assert "Halve the passes" in told_of  # and what the commit itself says


def test_a_test_that_fails_on_base_is_mended_with_the_end_of_what_it_said(asked):
    first, second = asked.of("failing")
    assert asked.outcome("failing") == ("Recorded", "")
    assert second["messages"][: len(first["messages"])] == first["messages"]
    answer, failure = second["messages"][-2:]
    assert FAILS_AT_LENGTH in answer["content"]
    assert "the table is upside down" in failure["content"].splitlines()[-3]
    stages = [stage["name"] for stage in asked.read("failing", "journal.json")["stages"]]
    assert stages == ["prepare", "generate", "validate", "generate", "validate", "timing"]


def test_an_answer_that_is_no_test_is_mended_before_anything_runs(asked):
    _, second, third = asked.of("no test")
    assert "not valid Python: line 1" in second["messages"][-1]["content"]
    assert "the commit's hash; write it without" in third["messages"][-1]["content"]
    assert asked.outcome("no test") == ("Recorded", "")
    stages = [stage["name"] for stage in asked.read("no test", "journal.json")["stages"]]
    assert stages == ["prepare", "generate", "generate", "generate", "validate", "timing"]


def test_after_two_repairs_the_item_is_skipped_with_the_last_reason(asked):
    assert len(asked.of("hopeless")) == 3
    reason, message = asked.outcome("hopeless")
    assert reason == "TestFailed"
    assert "the table is upside down" in message
    assert asked.heads["hopeless"] not in {row["head_commit"] for row in asked.bench.rows("asked")}


@pytest.mark.parametrize(
    ("case", "reason", "said", "questions"),
    [
        ("wrong key", "ModelUnauthorized", "SCRIPTED_KEY", 1),
        ("no quota", "ModelUnavailable", "your quota is used up", 1),
        ("no price", "ModelUnpriced", "model 'dear' has no price", 0),
        ("no key", "ModelUnauthorized", "SCRIPTED_KEY is not set", 0),
    ],
)
def test_a_model_that_can_not_be_had_is_a_reason_and_costs_nothing(asked, case, reason, said, questions):
    outcome, message = asked.outcome(case)
    assert outcome == reason
    assert said in message
    assert len(asked.of(case)) == questions
    assert asked.read(case, "status.json")["cost"].get("measuredUsd", 0) == 0


def test_the_run_ends_with_every_item_told_and_no_question_too_many(asked):
    (summary,) = told(events_of(asked.printed["asked"]), "RunEnded")
    assert summary["summary"]["reasons"] == {
        "Recorded": 3, "TestFailed": 1, "ModelUnauthorized": 1, "ModelUnavailable": 1,
    }  # fmt: skip
    assert asked.exits == {"asked": 1, "unpriced": 1, "keyless": 1}
    assert len(asked.questions) == 11


@pytest.mark.parametrize(("case", "questions"), [("good", 1), ("failing", 2), ("no test", 3), ("hopeless", 3)])
def test_the_cost_is_the_same_number_everywhere(asked, case, questions):
    journal, status = asked.read(case, "journal.json"), asked.read(case, "status.json")
    (event,) = [
        event
        for event in told(events_of(asked.printed["asked"]), "ItemEnded")
        if event["item"] == asked.bench.items("asked")[asked.heads[case]].name
    ]
    measured = status["cost"]["measuredUsd"]
    assert measured == pytest.approx(questions * QUESTION_USD)
    assert status["cost"]["promptTokens"] == questions * 2_000
    assert journal["cost"]["measured_usd"] == event["measured_usd"] == measured
    assert charged(asked.bench.items("asked")[asked.heads[case]]) == pytest.approx(measured)
    if case != "hopeless":
        cost = asked.record(case)["measurement"]["cost"]
        assert cost == {"measured_usd": measured, "estimate_usd": status["cost"]["estimateUsd"]}


def test_the_summary_adds_up_what_the_items_cost(asked):
    events = events_of(asked.printed["asked"])
    (ended,) = told(events, "RunEnded")
    items = [event["measured_usd"] for event in told(events, "ItemEnded")]
    assert ended["summary"]["measured_usd"] == pytest.approx(sum(items))
    assert sum(items) == pytest.approx(9 * QUESTION_USD)


def test_the_key_is_in_no_file_and_nothing_that_was_printed(asked):
    files = [path for path in asked.bench.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"answer.txt", "generate.jsonl", "journal.json", "asked.jsonl"} <= {path.name for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in "".join(asked.printed.values())


def charged(item):
    return float(balance(read_entries(item / "ledger" / "generate.jsonl")).charged_usd)


def test_a_batch_asks_nothing_that_could_pass_its_budget(bench, swift):
    with running_model([GOOD]) as provider:
        write_configuration(bench, provider.base_url)
        done = run(bench, planned(bench, swift, "capped", swift.plain[:2], "--budget-usd", "1.0"))
        assert len(provider.asked) == 1
    first, second = told(events_of(done.stdout), "ItemEnded")
    assert first["reason"] == "Recorded"
    assert (second["reason"], second["measured_usd"]) == ("BudgetExhausted", 0)
    assert second["message"] == (
        "the batch has $0.9920 of its $1.0 left and this item may cost $1.0; raise spec.budgetUsd"
    )


def test_a_run_killed_in_its_question_is_charged_for_it_and_asks_again_only_when_told_to(bench, swift):
    hangs = Hangs()
    with running_model([hangs, GOOD]) as provider:
        write_configuration(bench, provider.base_url)
        manifest = planned(bench, swift, "killed", swift.plain[:1], "--budget-usd", "1.2")
        with bench.start("run", manifest, "--provider", "scripted", "--json") as process:
            assert hangs.reached.wait(120)
            os.kill(process.pid, signal.SIGKILL)
        resumed = run(bench, manifest)
        hangs.until.set()
        (ended,) = told(events_of(resumed.stdout), "ItemEnded")
        (item,) = bench.items("killed").values()
        reserve = charged(item)
        assert ended["reason"] == "AlreadyStarted"
        assert (
            ended["measured_usd"] == strict_json((item / "journal.json").read_text())["cost"]["measured_usd"] == reserve
        )
        assert reserve > 0.05  # a whole answer at its largest
        assert len(provider.asked) == 1

        again = run(bench, manifest, "--retry", item.name)
        (ended,) = told(events_of(again.stdout), "ItemEnded")
        assert (again.returncode, ended["reason"]) == (0, "Recorded")
        assert ended["measured_usd"] == pytest.approx(QUESTION_USD)
        assert len(provider.asked) == 2
    assert charged(item.with_name(f"{item.name}.before-1")) == reserve
    assert len(bench.rows("killed")) == 1


@contextmanager
def described(bench, swift):
    """A configuration for the old entry point: two commits, and a provider that answers well."""
    (bench.folder / "extractions").mkdir()
    for head in swift.plain[:2]:
        (bench.folder / "extractions" / f"{head}.json").write_text(json.dumps({"commit_hash": head}))
    with running_model([GOOD]) as provider:
        write_configuration(bench, provider.base_url)
        with (bench.folder / "config" / "main_scripted.toml").open("a") as configuration:
            configuration.write(f'[paths]\nextractions_dir = "extractions"\n[repository]\nurl = "{swift.path}"\n')
        yield provider


def test_a_dry_run_shows_what_would_be_asked_and_what_it_would_cost_and_asks_nothing(bench, swift):
    with described(bench, swift) as provider:
        done = subprocess.run(
            [sys.executable, ROOT / "scripts" / "commit_to_dataset.py", "config/main_scripted.toml", "--mode=dry"],
            cwd=bench.folder,
            env=bench.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert provider.asked == []
    assert done.returncode == 0, done.stderr
    *items, total = done.stdout.splitlines()
    assert len(items) == 2
    for head, line in zip(sorted(swift.plain[:2]), sorted(items), strict=True):
        assert line.startswith(f"{head[:12]}: m would be asked for a test: about ")
        shown = strict_json((bench.folder / line.rpartition(" ")[2]).read_text())
        assert head in shown["messages"][1]["content"]
        assert f"${shown['estimate_usd']:.4f}" in line
    assert total.startswith("2 items; tests would cost about $")
    assert total.endswith("$2.00 at most; nothing was asked")
    assert KEY not in done.stdout + done.stderr
    assert not bench.data.exists()

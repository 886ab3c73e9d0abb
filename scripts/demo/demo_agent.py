"""The agent's demo: real OpenHands on the demo's real commits, with a scripted model; one attempt for each outcome."""

import json
import os
import re
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from demo import HERE, WORK, Pair, build
from isobench.adapters.dataset import DatasetFile
from isobench.cli import isobench
from isobench.contracts.objects import (
    AgentChoice,
    BatchCommit,
    BatchSpec,
    BatchTemplate,
    CommitBenchmarkBatch,
    Metadata,
)
from isobench.contracts.spec import AgentSpec, TimingSpec
from llmserver import Asked, Says, running_model

NAME = "demo-agent"
DATASET = Path("data") / f"{NAME}.jsonl"
KEY_VARIABLE = "DEMO_AGENT_KEY"
KEY = "a-key-that-only-the-gateway-sees"
PRICES = {"input": 2.0, "output": 8.0}
CAP_USD = 0.15

# The edit that the diligent model makes: a label that can't fit is refused before it is looked at letter by letter.
BEFORE = "    label = str(label)\n    check_label(label)\n    label_bytes = _punycode(label)"
AFTER = (
    "    label = str(label)\n    if len(label) > 59:  # with its prefix it can't have 63 letters or less\n"
    "        raise IDNAError('Label too long')\n    check_label(label)\n    label_bytes = _punycode(label)"
)
TIMED = "python efficiency_test.py"

NOT_STARTED = "not started"
"""What becomes of a commit that is not measurably faster: no model is asked."""

Turn = Callable[[Asked], Says]


@dataclass(frozen=True)
class Expected:
    """One attempt: by which model, at which commit, and what becomes of it."""

    model: str
    commit: BatchCommit
    outcome: str


def main() -> int:
    """Run the batch against the scripted model, show each attempt, and compare the outcomes with the script's."""
    started = time.monotonic()
    pairs = {entry["name"]: Pair(**entry) for entry in tomllib.loads((HERE / "pairs.toml").read_text())["pair"]}
    slow, neutral = (build(pairs[name]) for name in ("idna-contextj", "pathspec-neutral"))
    attempts = [
        Expected("diligent", slow, "succeeded"),
        Expected("idle", slow, "no_change"),
        Expected("lavish", slow, "budget_exhausted"),
        Expected("diligent", neutral, NOT_STARTED),
    ]
    manifest = WORK / f"{NAME}.yaml"
    manifest.write_text(yaml.safe_dump(batch(attempts).manifest(), sort_keys=False))
    DATASET.unlink(missing_ok=True)
    os.environ[KEY_VARIABLE] = KEY
    with running_model([answer]) as provider:
        configuration = configure(provider.base_url)
        isobench.main(["run", str(manifest), "--new-run", "--config", str(configuration)], standalone_mode=False)
    wrong = compare(attempts)
    print(f"demo-agent: {time.monotonic() - started:.0f} s; the records are in {DATASET}")
    return wrong


def batch(attempts: list[Expected]) -> CommitBenchmarkBatch:
    """Attempts at two commits, each by a model of its own."""
    commits = [
        one.commit.model_copy(update={"model": one.model, "agent": AgentChoice(enabled=True)}) for one in attempts
    ]
    agent = AgentSpec(max_iterations=12, budget_usd=CAP_USD, timeout_minutes=3)
    template = BatchTemplate(mode="online", agent=agent, timing=TimingSpec(warmup=1, min_pairs=8, max_pairs=8))
    return CommitBenchmarkBatch(metadata=Metadata(name=NAME), spec=BatchSpec(commits=commits, template=template))


def configure(base_url: str) -> Path:
    """The configuration of a provider whose three models have prices."""
    prices = "".join(
        f'[pricing."{model}"]\ninput = {PRICES["input"]}\noutput = {PRICES["output"]}\n' for model in TURNS
    )
    text = (
        f'[llm]\nprovider = "scripted"\nmodel = "diligent"\nbase_url = "{base_url}"\napi_key_env = "{KEY_VARIABLE}"\n'
    )
    path = WORK / "main_scripted.toml"
    path.write_text(text + prices)
    return path


def answer(asked: Asked) -> Says:
    """The model's next turn: which one, the conversation so far says."""
    turns = TURNS[str(asked.body["model"])]
    done = sum(message["role"] == "assistant" for message in asked.body["messages"])
    return turns[min(done, len(turns) - 1)](asked)


def says(reply: Says, prompt_tokens: int, completion_tokens: int) -> Turn:
    """A turn that does not look at what was said before."""
    priced = Says(reply.text, prompt_tokens, completion_tokens, ending=reply.ending, tool_calls=reply.tool_calls)
    return lambda _asked: priced


def edit(asked: Asked) -> Says:
    """The edit, in the folder that the terminal named."""
    folder = re.search(r"worktree=(/\S+)", json.dumps(asked.body["messages"]).replace("\\n", "\n"))
    assert folder is not None, "the first turn prints it"
    reply = Says.tool(
        "file_editor",
        thought="A label of 60 letters and more can never fit: refuse it before its joiners are looked at.",
        command="str_replace",
        path=f"{folder[1]}/idna/core.py",
        old_str=BEFORE,
        new_str=AFTER,
    )
    return Says(reply.text, 9_000, 300, ending=reply.ending, tool_calls=reply.tool_calls)


def terminal(thought: str, command: str) -> Says:
    """A command in the agent's shell."""
    return Says.tool("terminal", thought=thought, command=command)


LOOK = terminal("Where does the time go?", f"echo worktree=$PWD; {TIMED}; grep -n 'check_label' idna/core.py")
TURNS: dict[str, list[Turn]] = {
    "diligent": [
        says(LOOK, 8_000, 200),
        edit,
        says(terminal("Is it faster, with the same result?", TIMED), 9_500, 100),
        says(Says.finish("Labels that can't fit are refused early."), 10_000, 150),
    ],
    "idle": [says(Says.finish("It is fast enough as it is."), 8_000, 100)],
    "lavish": [says(LOOK, 8_000, 200), says(terminal("Let me think about this at length.", TIMED), 30_000, 4_000)],
}


def compare(attempts: list[Expected]) -> int:
    """Say of each attempt what became of it and what it cost; 1 where it is not what the script leads to."""
    rows = {row["head_commit"]: row for row in DatasetFile(DATASET).rows()}
    wrong = 0
    for one in attempts:
        samples = rows[one.commit.head]["measurement"]["samples"]
        sample = next(sample for sample in samples if sample.get("model") == one.model)
        journal = json.loads((Path(".work") / "state" / "runs" / sample["run_id"] / "journal.json").read_text())
        agent = journal["facts"].get("agent", {"outcome": NOT_STARTED, "estimate_usd": 0.0})
        wrong += agent["outcome"] != one.outcome
        faster = f", {sample['speedup']:.3g}x as fast as base ({sample['verdict']})" if "speedup" in sample else ""
        print(
            f"demo-agent: {one.model} on {one.commit.repository.url.rpartition('/')[2]}: {agent['outcome']}{faster}, "
            f"${sample['measured_usd']:.4f} of ${CAP_USD:g} (estimated ${agent['estimate_usd']:.4f}); "
            f"isobench show {Path(sample['run_id']).name} --agent"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

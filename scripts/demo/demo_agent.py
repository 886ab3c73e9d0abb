"""The agent's demo: real OpenHands on real commits, with scripted models; a commit for each outcome."""

import json
import os
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import yaml
from demo_models import TURNS, answer

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
from llmserver import running_model

NAME = "demo-agent"
DATASET = Path("data") / f"{NAME}.jsonl"
KEY_VARIABLE = "DEMO_AGENT_KEY"
KEY = "a-key-that-only-the-gateway-sees"
PRICES = {"input": 2.0, "output": 8.0}
CAP_USD = 0.15

NOT_STARTED = "not started"
"""What becomes of a commit that is not measurably faster: no model is asked."""

ATTEMPTS = (
    ("diligent", "idna-contextj", "succeeded"),
    ("idle", "packaging-requirements", "no_change"),
    ("lavish", "more-itertools-all-equal", "budget_exhausted"),
    ("diligent", "pathspec-neutral", NOT_STARTED),
)
"""A model, a pair of releases, and the outcome that the model's script leads to."""


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
    attempts = [Expected(model, build(pairs[pair]), outcome) for model, pair, outcome in ATTEMPTS]
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
    """An attempt at each commit, by a model of its own."""
    commits = [
        one.commit.model_copy(update={"model": one.model, "agent": AgentChoice(enabled=True)}) for one in attempts
    ]
    agent = AgentSpec(max_iterations=12, budget_usd=CAP_USD, timeout_minutes=3)
    template = BatchTemplate(mode="online", agent=agent, timing=TimingSpec(warmup=1, min_pairs=8, max_pairs=20))
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


def compare(attempts: list[Expected]) -> int:
    """Say of each attempt what became of it and what it cost; 1 where it is not what the script leads to."""
    rows = {row["head_commit"]: row for row in DatasetFile(DATASET).rows()}
    wrong = 0
    for one in attempts:
        samples = rows[one.commit.head]["measurement"]["samples"]
        sample = next(sample for sample in samples if sample.get("model") == one.model)
        journal = json.loads((Path(".work") / "state" / "runs" / sample["run_id"] / "journal.json").read_text())
        agent = journal["facts"].get("agent", {"outcome": NOT_STARTED, "estimate_usd": 0.0})
        wrong += agent["outcome"] != one.outcome or sample.get("verdict", "faster") != "faster"
        faster = f", {sample['speedup']:.3g}x as fast as base ({sample['verdict']})" if "speedup" in sample else ""
        print(
            f"demo-agent: {one.model} on {one.commit.repository.url.rpartition('/')[2]}: {agent['outcome']}{faster}, "
            f"${sample['measured_usd']:.4f} of ${CAP_USD:g} (estimated ${agent['estimate_usd']:.4f}); "
            f"isobench show {Path(sample['run_id']).name} --agent"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

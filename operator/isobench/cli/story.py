"""An agent's attempt as a story: what it was asked, what it did step by step, what it cost, what became of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from isobench.adapters.files import read_model
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.attempt import Assignment, Attempt, Ended
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure
from isobench.engine.money import balance
from isobench.engine.workspace import Workspace

LINE = 160
RESULT_LINES = 4


def print_story(console: Console, workspace: Workspace) -> None:
    """Print the last attempt.

    Raises:
        InvalidInput: no agent was given this item.
    """
    if not workspace.prompt.exists():
        problem = (
            "no agent was started on it: one is by `isobench run BATCH --agent-all`; `isobench show` has its stages"
        )
        raise InvalidInput(workspace.root.name, [problem])
    asked = read_model(workspace.prompt, Assignment)
    console.print(f"{asked.kind}{f' with {asked.model}' if asked.model else ''} on {asked.branch}", style="bold")
    console.print(f"  may change {', '.join(asked.targets)}")
    console.print(
        f"  within {asked.max_iterations} steps, {asked.timeout_minutes:g} minutes and ${asked.budget_usd:g}"
        f" (estimated ${asked.estimate_usd:.4f}); told: {workspace.task}",
        soft_wrap=True,
    )
    for step in _steps(workspace.attempt(asked.attempt) / "steps.jsonl"):
        _print_step(console, step)
    _print_end(console, workspace, asked)


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    """The steps that were written whole; they are the agent's own words."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            step = json.loads(line)
        except ValueError:
            continue  # the last one, torn when its process was killed
        if isinstance(step, dict):
            yield step


def _print_step(console: Console, step: dict[str, Any]) -> None:
    dollars = step.get("usd")
    spent = f"  ${dollars:.4f}" if isinstance(dollars, int | float) else ""
    console.print(f"{step.get('step', '?')}. {_one_line(step.get('thought')) or '(no word)'}{spent}")
    if command := _one_line(step.get("input")):
        console.print(f"   {step.get('tool') or 'tool'}: {command}", style="cyan")
    lines = str(step.get("result") or "").strip().splitlines()
    for line in lines[:RESULT_LINES]:
        console.print(f"   | {line[:LINE]}", style="dim")
    if len(lines) > RESULT_LINES:
        console.print(f"   | ... {len(lines) - RESULT_LINES} more lines", style="dim")


def _print_end(console: Console, workspace: Workspace, asked: Assignment) -> None:
    ended = workspace.attempt(asked.attempt) / "ended.json"
    if ended.exists():
        end = read_model(ended, Ended)
        said = f": {end.message}" if end.message else ""
        console.print(f"{end.how.replace('_', ' ')} after {end.iterations} steps and {end.seconds:.1f} s{said}")
    try:
        measured = balance(read_entries(workspace.agent_ledger), asked.attempt)
        console.print(
            f"cost ${measured.charged_usd:.4f} for {measured.prompt_tokens} tokens in and "
            f"{measured.completion_tokens} out, as metered"
        )
    except ItemFailure as failure:
        console.print(f"cost unknown: {failure.message}")
    if not workspace.outcome.exists():
        console.print("it has no outcome: the attempt was interrupted")
        return
    outcome = read_model(workspace.outcome, Attempt)
    for finding in outcome.held:
        console.print(f"{finding.outcome}: {finding.evidence}", style="green" if outcome.success else "yellow")
    if outcome.changed:
        console.print(f"its patch changes {', '.join(outcome.changed)}: {workspace.patch}", soft_wrap=True)


def _one_line(text: object) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= LINE else line[: LINE - 1] + "…"

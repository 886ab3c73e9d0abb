"""What an agent is given for an item, and the refusal of whatever would give the human change away."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from isobench.adapters.files import read_model, write_model, write_text
from isobench.contracts.attempt import Assignment
from isobench.contracts.base import InvalidInput
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import Prepared, PreparedArm
from isobench.contracts.spec import AgentSpec
from isobench.contracts.stage import StageRequest
from isobench.engine.agent_task import (
    branch_of,
    brief_of,
    efficiency_test_name,
    estimate_usd,
    prompt_of,
    targets_of,
    without_comments,
)
from isobench.engine.leaks import refuse_leaks
from isobench.engine.money import Prices
from isobench.engine.workspace import Workspace
from isobench.stages.human_change import human_change


@dataclass(frozen=True)
class Given:
    """An assignment, and the test's text as it lies in the worktree."""

    assignment: Assignment
    test: str


def base_arm(prepared: Prepared) -> PreparedArm:
    """Base, which an item that was prepared always has."""
    base = prepared.arm("base")
    assert base is not None
    return base


def test_for_agent(workspace: Workspace) -> str:
    """The efficiency test as an agent sees it: without comments."""
    return without_comments(workspace.test.read_text(encoding="utf-8"))


def assign(
    request: StageRequest,
    prepared: Prepared,
    workspace: Workspace,
    extraction: Callable[[str], Extraction | None],
    model: tuple[str, Prices] | None,
    now: datetime,
) -> Given:
    """The assignment of this attempt, written before the agent starts; a resumed attempt keeps the first one.

    Raises:
        ItemFailure: LEAK_IN_TEST.
        InvalidInput: there are no targets, or they are no paths of the tree.
    """
    test = test_for_agent(workspace)
    if workspace.prompt.exists():
        written = read_model(workspace.prompt, Assignment)
        if written.attempt == request.attempt:
            return Given(written, test)
    assignment = _assignment(request, prepared, model, now)
    change = human_change(prepared, extraction(prepared.commits.head_commit))
    refuse_leaks(test, change)
    refuse_leaks(assignment.prompt, change)
    write_text(workspace.task, assignment.prompt)
    write_model(workspace.prompt, assignment)
    return Given(assignment, test)


def _assignment(
    request: StageRequest, prepared: Prepared, model: tuple[str, Prices] | None, now: datetime
) -> Assignment:
    asked, tree = request.spec.agent, Path(base_arm(prepared).tree)
    targets = _targets(asked, prepared, tree)
    name = prepared.commits.repo.rpartition("/")[2]
    brief = brief_of(name, targets, asked.constraints, asked.primary_metric)
    test = efficiency_test_name(lambda path: (tree / path).exists())
    prompt = prompt_of(brief, test, asked.timeout_minutes, asked.max_iterations, asked.network == "open")
    return Assignment(
        attempt=request.attempt,
        kind=asked.kind,
        model=model[0] if model else None,
        branch=branch_of(brief.task_name, int(now.timestamp())),
        targets=list(targets),
        test=test,
        max_iterations=asked.max_iterations,
        budget_usd=asked.budget_usd,
        timeout_minutes=asked.timeout_minutes,
        network=asked.network,
        estimate_usd=estimate_usd(model[1], prompt, asked.max_iterations, asked.budget_usd) if model else 0.0,
        prompt=prompt,
    )


def _targets(asked: AgentSpec, prepared: Prepared, tree: Path) -> tuple[str, ...]:
    if asked.targets is not None:
        wrong = [path for path in asked.targets if not _is_inside(path)]
        if wrong or not asked.targets:
            problem = f"{', '.join(wrong) or 'nothing'} is no file of the repository; give paths relative to it"
            raise InvalidInput("agent.targets", [problem])
        return tuple(dict.fromkeys(asked.targets))
    targets = targets_of(prepared.commits.patch, lambda path: (tree / path).is_file())
    if not targets:
        raise InvalidInput("agent.targets", ["the human change touches no source file of base; give the targets"])
    return targets


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and parts[0] != ".git"

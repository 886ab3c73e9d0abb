"""An agent's attempt at any repository, without an item around it: what programs call that bring their own pipeline."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isobench.adapters.agents.protocol import Agent
from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.agents.worktree import repository_state
from isobench.adapters.git.agent_repository import create_agent_repository
from isobench.adapters.git.command import Git
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.isolation.folders import clear
from isobench.adapters.isolation.probe_archive import build_probe
from isobench.adapters.isolation.sandbox import open_sandbox
from isobench.adapters.models.gateway_process import running_gateway
from isobench.adapters.models.ledger import read_entries
from isobench.adapters.models.llm import LLMConfigManager
from isobench.contracts.attempt import AgentOutcome, Assignment
from isobench.contracts.base import InvalidInput
from isobench.contracts.prepared import PreparedArm
from isobench.contracts.reasons import ItemFailure
from isobench.engine.agent_outcome import Evidence, judge
from isobench.engine.agent_task import Brief, branch_of, efficiency_test_name, estimate_usd, prompt_of, slug
from isobench.engine.money import balance
from isobench.engine.workspace import Room, Workspace
from isobench.stages.agent_assignment import Given
from isobench.stages.agent_evidence import Left, evidence_of, look_at
from isobench.stages.agent_journal import keep_output
from isobench.stages.agent_run import Run, prepare_room, run_agent

PRIMARY_METRIC = "wall time of the code under the task"
NO_TEST = "# Nothing is measured here: measure by a script of your own.\n"
UNTRIED = (AgentOutcome.UNVERIFIED, AgentOutcome.SUCCEEDED)


@dataclass(frozen=True, slots=True)
class OptimizationResult:
    """How an attempt ended; ``success``: the agent finished, and its patch is in the targets and not empty.

    Whether the patch is right and faster is for a test to say: this attempt has none.
    """

    success: bool
    execution_time: float
    """Seconds."""
    agent_branch: str
    error_message: str | None = None
    cost_estimate: float = 0.0
    """Dollars, before the run."""
    iterations_used: int = 0
    measured_usd: float = 0.0
    outcome: AgentOutcome | None = None
    """None when it was not started."""
    patch: str = ""
    journal: Path | None = None
    """The folder with the ledger, what the agent printed, and its steps."""


def create_opensource_task(
    task_name: str,
    description: str,
    target_files: Sequence[str],
    constraints: Sequence[str] = (),
    primary_metric: str = PRIMARY_METRIC,
) -> dict[str, Any]:
    """The arguments of `OpenHandsOrchestrator.optimize_repository` that describe the task."""
    return asdict(Brief(task_name, description, tuple(target_files), tuple(constraints), primary_metric))


class OpenHandsOrchestrator:
    """Runs OpenHands on repositories, each attempt within its caps and out of reach of everything else."""

    def __init__(
        self,
        models: LLMConfigManager,
        work_root: Path | str = ".work",
        *,
        model: str | None = None,
        budget_usd: float = 1.0,
        python: Path | None = None,
        agent: Agent | None = None,
    ) -> None:
        """``python`` is the environment that has the repository's dependencies, this one by default."""
        self._models = models
        self._root = Path(work_root).absolute()
        self._model = model
        self._budget = budget_usd
        self._python = python or Path(sys.executable)
        self._agent = agent if agent is not None else _openhands()

    def optimize_repository(
        self,
        repo_path: Path | str,
        task_name: str,
        description: str,
        target_files: Sequence[str],
        constraints: Sequence[str] = (),
        primary_metric: str = PRIMARY_METRIC,
        max_iterations: int = 50,
        timeout_minutes: float = 30.0,
    ) -> OptimizationResult:
        """Let OpenHands attempt the task on the commit that is checked out in ``repo_path``, which is only read.

        Raises:
            RepositoryError: ``repo_path`` is no repository, or lacks objects.
            InvalidInput: a target is not in the commit, or the model is not configured.
        """
        brief = Brief(task_name, description, tuple(target_files), tuple(constraints), primary_metric)
        begun = time.time()
        branch = branch_of(task_name, int(begun))
        if (why := self._missing()) is not None:
            return OptimizationResult(False, 0.0, branch, why)
        place = Workspace(self._root / "optimizations" / f"{slug(task_name)}-{time.time_ns()}")
        manager = RepoManager(self._root, str(repo_path))
        base = self._base(manager, Git(Path(repo_path)).text("rev-parse", "HEAD"), place.root / "base", brief)
        assignment = self._assignment(brief, branch, base, max_iterations, timeout_minutes)
        evidence, left = self._attempt(manager, base, assignment, place)
        clear(Path(base.tree))
        judgement = judge(evidence)
        success = judgement.outcome in UNTRIED
        return OptimizationResult(
            success=success,
            execution_time=time.time() - begun,
            agent_branch=branch,
            error_message=None if success else f"{judgement.outcome}: {judgement.message}",
            cost_estimate=assignment.estimate_usd,
            iterations_used=evidence.end.iterations,
            measured_usd=float(balance(read_entries(place.agent_ledger)).charged_usd),
            outcome=judgement.outcome,
            patch=left.patch.decode("utf-8", errors="replace"),
            journal=place.root,
        )

    def _missing(self) -> str | None:
        """Why there can be no attempt: OpenHands, the key or the price is missing."""
        try:
            self._models.require_usable(self._model)
        except ItemFailure as failure:
            return failure.message
        return self._agent.missing()

    def _base(self, manager: RepoManager, commit: str, tree: Path, brief: Brief) -> PreparedArm:
        manager.ensure_base()
        manager.export_tree(commit, tree)
        absent = [target for target in brief.target_files if not (tree / target).is_file()]
        if absent or not brief.target_files:
            problem = f"{', '.join(absent) or 'nothing'} is no file of {commit[:12]}; give paths relative to it"
            raise InvalidInput("target_files", [problem])
        environment = self._python.absolute().parents[1]
        return PreparedArm(
            name="base",
            commit=commit,
            tree=str(tree),
            environment=str(environment),
            python=str(self._python.absolute()),
        )

    def _assignment(self, brief: Brief, branch: str, base: PreparedArm, iterations: int, minutes: float) -> Assignment:
        prompt = prompt_of(brief, None, minutes, iterations)
        return Assignment(
            attempt=1,
            kind=self._agent.kind,
            model=self._models.model(self._model),
            branch=branch,
            targets=list(brief.target_files),
            test=efficiency_test_name(lambda path: Path(base.tree, path).exists()),
            max_iterations=iterations,
            budget_usd=self._budget,
            timeout_minutes=minutes,
            estimate_usd=estimate_usd(self._models.prices(self._model), prompt, iterations, self._budget),
            prompt=prompt,
        )

    def _attempt(
        self, manager: RepoManager, base: PreparedArm, assignment: Assignment, place: Workspace
    ) -> tuple[Evidence, Left]:
        room = Room(place.root / "room")
        given = Given(assignment, NO_TEST)
        prepare_room(room, lambda path: create_agent_repository(manager, base.commit, path), given)
        before = repository_state(room.repository)
        supervisor = Supervisor(build_probe(self._root / "probe.pyz"), open_sandbox(allow_network=False))
        run = Run(self._agent, assignment, room, base, self._models.prices(self._model))
        settings = self._models.gateway_settings(
            place.agent_ledger,
            assignment.attempt,
            self._budget,
            assignment.model,
            max_calls=assignment.max_iterations,
            socket=room.socket,
        )
        with running_gateway(settings, place.root / "gateway.log") as gateway:
            ended = run_agent(run, gateway, supervisor)
        left = look_at(room.repository, Path(base.tree), before, assignment, given.test, place.root)
        keep_output(room, place.attempt(assignment.attempt), place)
        clear(room.root)
        return evidence_of(ended, left), left


def _openhands() -> Agent:
    from isobench.adapters.agents.openhands.adapter import OpenHands

    return OpenHands()

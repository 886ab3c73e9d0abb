"""agent: a coding agent attempts the task, at most once and within its caps, and gets exactly one outcome.

The stage has two halves. The paid one runs the agent and ends with `ended.json`; a run that was killed in it is never
repeated. The other looks at what the agent left; it costs nothing and is repeated as often as needed.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from isobench.adapters.agents.protocol import Agent
from isobench.adapters.agents.supervisor import Supervisor
from isobench.adapters.agents.worktree import repository_state
from isobench.adapters.files import read_json, read_model, write_json, write_model
from isobench.adapters.isolation.folders import clear
from isobench.adapters.models.gateway_process import Gateway
from isobench.adapters.models.ledger import claim, read_entries
from isobench.contracts.attempt import Assignment, Attempt, Ended
from isobench.contracts.extraction import Extraction
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.spec import AgentSpec
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import Cost
from isobench.engine.agent_outcome import judge, reason_of
from isobench.engine.money import Prices, balance, charged_calls
from isobench.engine.workspace import Room, Workspace, room_of
from isobench.engine.worktree_rules import RepositoryState
from isobench.stages.agent_assignment import Given, assign, base_arm
from isobench.stages.agent_evidence import evidence_of, look_at
from isobench.stages.agent_journal import keep_output, write_patch
from isobench.stages.agent_run import Run, prepare_room, run_agent
from isobench.stages.attempt import Clock, Done, attempt

REVERTED_LISTED = 200


@dataclass(frozen=True)
class AskedModel:
    """The model that an agent may ask: its prices, and the one way to it, through the socket that is given."""

    name: str
    prices: Prices
    gateway: Callable[[Path], AbstractContextManager[Gateway]]


@dataclass(frozen=True)
class AgentPorts:
    """What `agent` reaches the outside world by."""

    workspace: Workspace
    clock: Clock
    rooms: Path
    scratch: Path
    agent: Callable[[AgentSpec], Agent]
    repository: Callable[[Prepared, Path], Path]
    """Makes the agent's repository, base's tree as its only commit, at a path."""
    supervisor: Callable[[Prepared, Sequence[Path], Sequence[Path]], Supervisor]
    """Given what is readable and what is writable in its sandbox."""
    model: Callable[[StageRequest], AskedModel]
    extraction: Callable[[str], Extraction | None]
    socket: Path | None = None
    """Where the gateway listens; in the room by default."""
    grant: Callable[[], AbstractContextManager[None]] = nullcontext
    """Holds the money that the attempt may cost; on a cluster it was granted before the stage began."""
    turn: Callable[[], AbstractContextManager[None]] = nullcontext
    """Waits until an agent may run."""


def run(request: StageRequest, ports: AgentPorts) -> StageResult:
    """Leave `agent/outcome.json`, the patch and the journal's files; succeed when there is a patch worth building.

    The cost is in the result whatever became of the attempt: it is what the ledger says of it.
    """
    result = attempt(request, ports.clock, ports.workspace.root, lambda: _attempt(request, ports))
    return result.model_copy(update={"cost": _cost(request, ports.workspace)})


def _attempt(request: StageRequest, ports: AgentPorts) -> Done:
    workspace = ports.workspace
    if (judged := _judged_before(request, workspace)) is not None:
        return told(judged)
    prepared = read_model(workspace.prepared, Prepared)
    room = room_of(ports.rooms, request.run_id, request.item_id, request.attempt)
    ended_file = workspace.attempt(request.attempt) / "ended.json"
    if ended_file.exists():
        given = assign(request, prepared, workspace, ports.extraction, None, ports.clock())
    else:
        given = _run(request, prepared, room, ports)
    keep_output(room, ended_file.parent, workspace)
    outcome = _judge(request, prepared, room, given, read_model(ended_file, Ended), ports)
    write_model(workspace.outcome, outcome)
    clear(room.root)
    return told(outcome)


def told(outcome: Attempt) -> Done:
    """How the stage ends after an attempt of this outcome.

    Raises:
        ItemFailure: there is no patch that is worth building.
    """
    if not outcome.worth_building:
        raise failure_of(outcome)
    return Done(_sentence(outcome), facts={"agent": outcome.outcome.value})


def failure_of(outcome: Attempt) -> ItemFailure:
    """The failure by which a stage says that there is nothing to time."""
    return ItemFailure(reason_of(outcome.outcome), _sentence(outcome))


def _sentence(outcome: Attempt) -> str:
    return f"{outcome.outcome}: {outcome.message}"


def _judged_before(request: StageRequest, workspace: Workspace) -> Attempt | None:
    if not workspace.outcome.exists():
        return None
    judged = read_model(workspace.outcome, Attempt)
    return judged if judged.attempt == request.attempt else None


def _run(request: StageRequest, prepared: Prepared, room: Room, ports: AgentPorts) -> Given:
    """The paid half."""
    agent, workspace = ports.agent(request.spec.agent), ports.workspace
    if why := agent.missing():
        raise ItemFailure(Reason.AGENT_ERROR, f"the agent {agent.kind} is not here: {why}")
    model = ports.model(request) if agent.asks_a_model else None
    named = (model.name, model.prices) if model else None
    given = assign(request, prepared, workspace, ports.extraction, named, ports.clock())
    own = workspace.attempt(request.attempt)
    with ports.grant(), ports.turn():
        prepare_room(room, lambda path: ports.repository(prepared, path), given)
        _claim(request, workspace, room)
        write_json(own / "repository.json", asdict(repository_state(room.repository)))
        run = Run(agent, given.assignment, room, base_arm(prepared), model.prices if model else None)
        readable, writable = run.reach()
        supervisor = ports.supervisor(prepared, readable, writable)
        gateway = model.gateway(ports.socket or room.socket) if model else nullcontext()
        with gateway as running:
            ended = run_agent(run, running, supervisor)
    calls = charged_calls(read_entries(workspace.agent_ledger), request.attempt)
    write_model(own / "ended.json", ended.model_copy(update={"iterations": ended.iterations or calls}))
    return given


def _claim(request: StageRequest, workspace: Workspace, room: Room) -> None:
    try:
        claim(workspace.ledger(), request.stage, request.attempt)
    except ItemFailure:
        clear(room.root)
        raise


def _judge(
    request: StageRequest, prepared: Prepared, room: Room, given: Given, ended: Ended, ports: AgentPorts
) -> Attempt:
    """The half that costs nothing."""
    workspace, assignment = ports.workspace, given.assignment
    before = RepositoryState(**read_json(workspace.attempt(request.attempt) / "repository.json"))
    tree = Path(base_arm(prepared).tree)
    left = look_at(room.repository, tree, before, assignment, given.test, ports.scratch)
    write_patch(workspace, left.patch if left.too_large is None else b"", prepared, assignment)
    judgement = judge(evidence_of(ended, left))
    return Attempt(
        attempt=request.attempt,
        outcome=judgement.outcome,
        message=judgement.message,
        held=list(judgement.held),
        kind=assignment.kind,
        model=assignment.model,
        branch=assignment.branch,
        targets=assignment.targets,
        changed=list(left.changes.in_target),
        reverted=list(left.changes.off_target[:REVERTED_LISTED]),
        byproducts=len(left.changes.byproducts),
        iterations=ended.iterations,
        seconds=ended.seconds,
        estimate_usd=assignment.estimate_usd,
        network=assignment.network,
    )


def _cost(request: StageRequest, workspace: Workspace) -> Cost:
    estimate = 0.0
    if workspace.prompt.exists():
        written = read_model(workspace.prompt, Assignment)
        estimate = written.estimate_usd if written.attempt == request.attempt else 0.0
    try:
        return balance(read_entries(workspace.agent_ledger), request.attempt).cost(estimate)
    except ItemFailure:  # what was spent is unknown, and at most the cap
        return Cost(estimate_usd=estimate, measured_usd=request.spec.agent.budget_usd)

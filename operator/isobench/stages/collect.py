"""collect: assemble the record, store it, and write the journal last; every item ends here, a skipped one too."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import isobench
from isobench.adapters.files import read_model, write_json, write_model
from isobench.contracts.attempt import Attempt
from isobench.contracts.journal import Journal
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Record
from isobench.contracts.stage import StageRequest, StageResult
from isobench.contracts.status import Artifacts, CommitBenchmarkStatus, StageName, StageState
from isobench.contracts.timed import Timed
from isobench.engine.agent_record import with_attempt
from isobench.engine.assembly import assemble, with_cost
from isobench.engine.workspace import Workspace
from isobench.stages.attempt import Clock, Done, attempt


@dataclass(frozen=True)
class CollectPorts:
    """What `collect` reaches the outside world by."""

    workspace: Workspace
    clock: Clock
    status: Callable[[], CommitBenchmarkStatus]
    store: Callable[[Record], str]
    """Keeps the record, and says where it is."""
    folder: str
    """The item's folder relative to the work root or the store."""
    uri: Callable[[Path], str]
    """The address that a file of the item's folder has for people."""


def run(request: StageRequest, ports: CollectPorts) -> StageResult:
    """Store the record, if there is something to record, then the journal; safe to repeat."""
    return attempt(request, ports.clock, ports.workspace.root, lambda: _collect(request, ports))


def _collect(request: StageRequest, ports: CollectPorts) -> Done:
    status = ports.status()
    timing = status.latest(StageName.TIMING)
    record_uri = None
    if timing is not None and timing.state is StageState.SUCCEEDED:
        record_uri = _store_record(request, ports, status)
    write_model(ports.workspace.journal, _journal(request, ports, status))
    return Done(artifacts=Artifacts(record_uri=record_uri, journal_uri=ports.uri(ports.workspace.journal)))


def _store_record(request: StageRequest, ports: CollectPorts, status: CommitBenchmarkStatus) -> str:
    workspace = ports.workspace
    timed = read_model(workspace.timed, Timed)
    record = assemble(
        request.spec,
        read_model(workspace.prepared, Prepared),
        workspace.test.read_text(encoding="utf-8"),
        timed.model_copy(update={"measurement": with_cost(timed.measurement, status.cost)}),
        platform.machine(),
        ports.folder,
    )
    if request.spec.attempted:
        record = with_attempt(record, status, _attempt_of(workspace), ports.folder, request.spec.agent.model)
    write_json(workspace.record, record.row())
    return ports.store(record)


def _attempt_of(workspace: Workspace) -> Attempt | None:
    return read_model(workspace.outcome, Attempt) if workspace.outcome.exists() else None


def _journal(request: StageRequest, ports: CollectPorts, status: CommitBenchmarkStatus) -> Journal:
    prepared = read_model(ports.workspace.prepared, Prepared) if ports.workspace.prepared.exists() else None
    before = [stage for stage in status.stages if stage.name is not StageName.COLLECT]
    failed = next((stage for stage in reversed(before) if stage.state is not StageState.SUCCEEDED), None)
    agent = _attempt_of(ports.workspace)
    recorded = bool(before) and before[-1].name is StageName.TIMING and before[-1].state is StageState.SUCCEEDED
    return Journal(
        isobench=isobench.__version__,
        run_id=request.run_id,
        item_id=request.item_id,
        repo=prepared.commits.repo if prepared else None,
        base_commit=prepared.commits.base_commit if prepared else request.spec.commits.base,
        head_commit=prepared.commits.head_commit if prepared else request.spec.commits.head,
        spec=request.spec,
        started_at=next((stage.started_at for stage in before if stage.started_at), ports.clock()),
        finished_at=ports.clock(),
        outcome=Reason.RECORDED if recorded or failed is None else failed.reason or Reason.INFRASTRUCTURE_ERROR,
        message="" if recorded or failed is None else failed.message or "",
        stages=before,
        cost=status.cost,
        notes=prepared.notes if prepared else [],
        facts={"agent": agent.model_dump(mode="json", exclude_none=True)} if agent else {},
    )

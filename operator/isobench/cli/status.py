"""`isobench status`: the newest run of each batch, item by item."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isobench.cli import options
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.engine.summary import Tally
from isobench.local.batch_state import BatchRun, known_runs, read_status, workspace_of
from isobench.local.display import measured
from isobench.local.work_root import WorkRoot


@click.command(epilog="\b\nExamples:\n  isobench status\n  isobench status demo --json")
@click.argument("batch", required=False)
@options.work_root
@options.as_json
def command(batch: str | None, work_root: Path, as_json: bool) -> int:
    """Show what the newest run of BATCH has done; of all batches by default. Works while a run goes on."""
    root = WorkRoot(work_root.absolute())
    runs = [run for run in known_runs(root) if batch in (None, run.batch)]
    if not runs:
        wanted = f"no run of {batch}" if batch else "no run"
        raise InvalidInput(str(work_root), [f"{wanted} is recorded here; `isobench run` starts one"])
    for run in runs:
        statuses = {row.item_id: read_status(workspace_of(root, row)) for row in run.items}
        if as_json:
            click.echo(json.dumps(_as_json(run, statuses)))
        else:
            _print(run, statuses)
    return 0


def _print(run: BatchRun, statuses: dict[str, CommitBenchmarkStatus]) -> None:
    tally = _tally(statuses)
    table = Table(title=f"{run.batch}: {tally.done} done, {tally.failed} not, {tally.unfinished} unfinished")
    for column in ("item", "state", "result", "message"):
        table.add_column(column, overflow="fold")
    for item, status in statuses.items():
        result = measured(status.result) if status.result else ""
        table.add_row(item, _state(status), result, escape(status.outcome.message if status.outcome else ""))
    Console().print(table)


def _state(status: CommitBenchmarkStatus) -> str:
    outcome = status.outcome
    if outcome is None:
        return "waiting"
    if outcome.status == "Unknown":
        return f"[cyan]{outcome.reason}[/]"
    done = Reason(outcome.reason).consequence.family is Family.DONE
    return f"[{'green' if done else 'yellow'}]{outcome.reason}[/]"


def _tally(statuses: dict[str, CommitBenchmarkStatus]) -> Tally:
    tally = Tally()
    for status in statuses.values():
        tally.add(status)
    return tally


def _as_json(run: BatchRun, statuses: dict[str, CommitBenchmarkStatus]) -> dict[str, Any]:
    items = {item: status.manifest() for item, status in statuses.items()}
    return {
        "batch": run.batch,
        "startedAt": run.started_at.isoformat(),
        "summary": _tally(statuses).as_json(),
        "items": items,
    }

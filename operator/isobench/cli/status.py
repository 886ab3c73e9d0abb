"""`isobench status`: the newest run of each batch, item by item."""

import json
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from isobench.cli import options
from isobench.cli.console import console
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import Family, Reason
from isobench.contracts.status import CommitBenchmarkStatus, StageName
from isobench.engine.summary import Tally
from isobench.local.batch_state import BatchRun, known_runs, read_status, workspace_of
from isobench.local.display import attempted, measured
from isobench.local.work_root import WorkRoot

EPILOG = """
\b
Examples:
  isobench status
  isobench status demo --json
  watch isobench status demo

--json prints a line for each batch.
"""


@click.command(epilog=EPILOG)
@click.argument("batch", required=False)
@options.work_root
@options.as_json
def command(batch: str | None, work_root: Path, as_json: bool) -> int:
    """Show what the newest run of BATCH has done; of all batches by default. Works while a run goes on."""
    root = WorkRoot(work_root.absolute())
    known = known_runs(root)
    if not known:
        raise InvalidInput(
            str(work_root), ["no run is recorded here; `isobench run` starts one, and --work-root names another place"]
        )
    runs = [run for run in known if batch in (None, run.batch)]
    if not runs:
        problem = f"no run of {batch} is recorded here; there are runs of {', '.join(run.batch for run in known)}"
        raise InvalidInput(str(work_root), [problem])
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
    table.add_column("item", no_wrap=True)
    for column in ("state", "result", "message"):
        table.add_column(column, overflow="fold")
    for item, status in statuses.items():
        result = measured(status.result) + attempted(status.result) if status.result else ""
        table.add_row(item, _state(status), result, escape(_message(status)))
    console().print(table)


def _message(status: CommitBenchmarkStatus) -> str:
    """Why there is no measurement, where a record holds none; else what the outcome says."""
    timing = status.latest(StageName.TIMING)
    if status.result is not None and status.result.verdict is None and timing is not None and timing.message:
        return timing.message
    return status.outcome.message if status.outcome else ""


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

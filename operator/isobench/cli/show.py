"""`isobench show ITEM`: one item as a story: what was asked, done and measured; with --agent, what its agent did."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from isobench.adapters.files import read_model
from isobench.cli import options
from isobench.cli.console import console
from isobench.cli.item_names import item_called
from isobench.cli.story import print_story
from isobench.contracts.prepared import Prepared
from isobench.contracts.reasons import Reason
from isobench.contracts.record import Measurement
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.contracts.timed import Timed
from isobench.engine.workspace import Workspace
from isobench.local.batch_state import known_runs, read_status, workspace_of
from isobench.local.work_root import WorkRoot

EPILOG = """
\b
Examples:
  isobench show idna-1d365e17-2f6c0a7b
  isobench show 1d365e1
  isobench show 1d365e1 --agent
  isobench show 1d365e1 --json

--json prints the item's status, as it stands in a cluster's object.
"""


@click.command(epilog=EPILOG)
@click.argument("item")
@options.work_root
@click.option("--agent", is_flag=True, help="Show what its agent did, step by step.")
@options.as_json
def command(item: str, work_root: Path, agent: bool, as_json: bool) -> int:
    """Show ITEM: its name, a part of it, or the beginning of its head commit."""
    root = WorkRoot(work_root.absolute())
    rows = [row for run in known_runs(root) for row in run.items]
    workspace = workspace_of(root, item_called(item, rows, item))
    status = read_status(workspace)
    if as_json:
        click.echo(json.dumps(status.manifest()))
        return 0
    if agent:
        print_story(console(markup=False), workspace)
    else:
        _print_item(console(markup=False), workspace, status)
    return 0


def _print_item(console: Console, workspace: Workspace, status: CommitBenchmarkStatus) -> None:
    console.print(workspace.root.name, style="bold")
    console.print(f"  folder: {workspace.root}", soft_wrap=True)
    if status.artifacts.record_uri:
        console.print(f"  record: {status.artifacts.record_uri}", soft_wrap=True)
    if workspace.prepared.exists():
        _print_commits(console, read_model(workspace.prepared, Prepared))
    _print_stages(console, status)
    if workspace.timed.exists():
        measurement = read_model(workspace.timed, Timed).measurement
        if measurement is not None:
            _print_measurement(console, measurement)


def _print_commits(console: Console, prepared: Prepared) -> None:
    commits = prepared.commits
    console.print(f"{commits.repo}  {commits.instance_id}  {commits.created_at}")
    console.print(f"  {commits.base_commit[:12]} -> {commits.head_commit[:12]}  {commits.subject}")
    for note in prepared.notes:
        console.print(f"  note: {note}", soft_wrap=True)


def _print_stages(console: Console, status: CommitBenchmarkStatus) -> None:
    table = Table(box=None)
    for column in ("stage", "attempt", "state", "seconds", "message"):
        table.add_column(column, overflow="fold")
    for stage in status.stages:
        seconds = ""
        if stage.started_at and stage.finished_at:
            seconds = f"{(stage.finished_at - stage.started_at).total_seconds():.1f}"
        why = f"{stage.reason}: {stage.message}" if stage.reason else stage.message or ""
        table.add_row(stage.name, str(stage.attempt), stage.state, seconds, why)
    console.print(table)
    outcome = status.outcome
    if outcome is not None and outcome.status == "False":
        console.print(f"next: {Reason(outcome.reason).consequence.advice}")


def _print_measurement(console: Console, measurement: Measurement) -> None:
    table = Table(box=None)
    for column in ("comparison", "verdict", "speed-up", "interval", "pairs"):
        table.add_column(column)
    for comparison in measurement.comparisons:
        table.add_row(
            ":".join(comparison.arms),
            comparison.verdict + (" (noisy)" if comparison.noisy else ""),
            f"{comparison.speedup:.4g}x",
            f"[{comparison.ci_low:.4g}, {comparison.ci_high:.4g}] at {comparison.confidence:.1%}",
            str(comparison.pairs),
        )
    if measurement.control:
        control = measurement.control
        interval = f"[{control.ci_low:.4g}, {control.ci_high:.4g}]"
        table.add_row("base:control", "", f"{control.speedup:.4g}x", interval, str(control.pairs))
    if table.row_count:
        console.print(table)
    if measurement.reason:
        console.print(f"next: {measurement.reason}: {measurement.reason.consequence.advice}", style="yellow")
    for note in measurement.notes:
        console.print(f"  note: {note}", soft_wrap=True)

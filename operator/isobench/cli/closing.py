"""The end of a run: per reason how many and what to do next, what it cost, where the time went and the records are."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from isobench.contracts.reasons import Family
from isobench.contracts.status import StageName
from isobench.engine.summary import Tally
from isobench.local.batch_state import BatchState


def print_summary(tally: Tally, console: Console, state: BatchState, dataset: Path) -> None:
    """Print the summary of ``tally``; the records are in ``dataset``, once there are any."""
    counts = f"{state.run.batch}: {tally.done} done, {tally.failed} not, {tally.unfinished} unfinished"
    table = Table(title=counts)
    table.add_column("reason")
    table.add_column("items", justify="right")
    table.add_column("what to do next")
    for reason, count in tally.reasons.most_common():
        style = "green" if reason.consequence.family is Family.DONE else "yellow"
        table.add_row(f"[{style}]{reason}[/]", str(count), reason.consequence.advice)
    console.print(table if table.row_count else counts)
    for line in (*_counted(tally), *_without_agent(state), *_next(tally)):
        console.print(line, soft_wrap=True, markup=False)
    if dataset.exists():
        console.print(f"records: {dataset}", soft_wrap=True, markup=False)


def _counted(tally: Tally) -> list[str]:
    lines = []
    if tally.verdicts:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in tally.verdicts.most_common())
        lines.append(f"verdicts on base:head: {verdicts}")
    if tally.agents:
        lines.append("agents: " + ", ".join(f"{count} {outcome}" for outcome, count in tally.agents.most_common()))
    longest_first = sorted(tally.seconds.items(), key=lambda stage_seconds: -stage_seconds[1])
    times = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in longest_first)
    return [*lines, f"time went to: {times or 'nothing'}; models cost ${tally.measured_usd:.4f}"]


def _without_agent(state: BatchState) -> list[str]:
    """Why agents that were asked for came to no outcome: their items are recorded without, so nothing else says it."""
    whys: Counter[str] = Counter()
    for status in (item.status() for item in state.items()):
        stage = status.latest(StageName.AGENT)
        came_out = status.result is not None and status.result.agent_outcome is not None
        if stage is not None and stage.reason is not None and not came_out:
            whys[f"{stage.reason}: {stage.message}"] += 1
    remedy = "the same command with --new-run begins the batch again"
    return [f"without an agent's outcome: {count} {why}; {remedy}" for why, count in whys.items()]


def _next(tally: Tally) -> list[str]:
    lines = []
    if tally.verdicts["no measurement"]:
        lines.append("no measurement: `isobench show ITEM` says why")
    if tally.failed:
        lines.append("not recorded: `isobench status` says why; the same command with --retry failed begins them again")
    if tally.unfinished:
        lines.append(f"{tally.unfinished} unfinished: the same command goes on with them")
    return lines

"""The closing table of a run: per reason how many and what to do next, what it cost, where the time went."""

from rich.console import Console
from rich.table import Table

from isobench.contracts.reasons import Family
from isobench.engine.summary import Tally
from isobench.local.batch_state import BatchState


def print_summary(tally: Tally, console: Console, state: BatchState) -> None:
    """Print the summary of ``tally``."""
    table = Table(title=f"{state.run.batch}: {tally.done} done, {tally.failed} not, {tally.unfinished} unfinished")
    table.add_column("reason")
    table.add_column("items", justify="right")
    table.add_column("what to do next")
    for reason, count in tally.reasons.most_common():
        style = "green" if reason.consequence.family is Family.DONE else "yellow"
        table.add_row(f"[{style}]{reason}[/]", str(count), reason.consequence.advice)
    console.print(table)
    if tally.verdicts:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in tally.verdicts.most_common())
        console.print(f"verdicts on base:head: {verdicts}", highlight=False)
    if tally.agents:
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in tally.agents.most_common())
        console.print(f"agents: {outcomes}", highlight=False)
    longest_first = sorted(tally.seconds.items(), key=lambda stage_seconds: -stage_seconds[1])
    times = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in longest_first)
    console.print(f"time went to: {times or 'nothing'}; models cost ${tally.measured_usd:.4f}", highlight=False)

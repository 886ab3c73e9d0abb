"""How a run looks: a live view on a terminal, plain lines elsewhere, JSON lines for machines."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from isobench.contracts.reasons import Family
from isobench.contracts.status import ResultSummary
from isobench.local.events import Event, ItemEnded, Listener, RunEnded, RunStarted, StageProgress, StageStarted

Echo = Callable[[str], None]


def json_lines(echo: Echo) -> Listener:
    """One JSON object a line per event."""

    def tell(event: Event) -> None:
        echo(json.dumps({"event": type(event).__name__} | event.model_dump(mode="json"), allow_nan=False))

    return tell


def plain_lines(echo: Echo) -> Listener:
    """One line per stage and item: nothing that moves, so that a log stays readable."""

    def tell(event: Event) -> None:
        match event:
            case RunStarted():
                echo(f"{event.batch}: {event.items} items, {event.finished} finished before")
            case StageStarted():
                again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
                echo(f"{event.item}: {event.stage}{again}")
            case ItemEnded():
                echo(f"{event.item}: {ending(event)}")
            case StageProgress() | RunEnded():
                pass

    return tell


def ending(event: ItemEnded) -> str:
    """An item's end in one line."""
    if event.reason.consequence.family is Family.DONE and event.result is not None:
        return f"{event.reason}, {measured(event.result)}{attempted(event.result)}"
    return f"{event.reason}: {event.message}" if event.message else str(event.reason)


def attempted(result: ResultSummary) -> str:
    """What became of an agent, if one was started: `; agent succeeded, faster 3.1x`."""
    if result.agent_outcome is None:
        return ""
    timed = f", {result.agent_verdict} {result.agent_speedup:.3g}x" if result.agent_speedup is not None else ""
    return f"; agent {result.agent_outcome}{timed}"


def measured(result: ResultSummary) -> str:
    """The measurement in words: `faster 1.42x [1.39, 1.45], 20 pairs`."""
    if result.verdict is None or result.speedup is None:
        return "no measurement"
    noisy = " (noisy)" if result.noisy else ""
    interval = f"{result.speedup:.3g}x [{result.ci_low:.3g}, {result.ci_high:.3g}]"
    return f"{result.verdict}{noisy} {interval}, {result.pairs} pairs"


@dataclass
class _Row:
    stage: str
    text: str = ""
    started: float = field(default_factory=time.monotonic)


class LiveView:
    """The running items with stage, samples and interval; above them what has ended, below the totals."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console``."""
        self._console = console
        self._rows: dict[str, _Row] = {}
        self._failed = 0
        self._dollars = 0.0
        self._totals = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._totals.add_task("items", total=None, note="")
        self._ended_here = 0
        self._began = time.monotonic()
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[Listener]:
        """Show the view while the body runs."""
        with Live(self._render(), console=self._console, refresh_per_second=4, get_renderable=self._render) as live:
            self._live = live
            yield self.tell

    def tell(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case RunStarted():
                self._totals.update(self._task, description=event.batch, total=event.items, completed=event.finished)
            case StageStarted():
                self._rows[event.item] = _Row(event.stage)
            case StageProgress():
                self._rows[event.item].text = _progress(event)
            case ItemEnded():
                self._end(event)
            case RunEnded():
                pass

    def _end(self, event: ItemEnded) -> None:
        self._rows.pop(event.item, None)
        done = event.reason.consequence.family is Family.DONE
        self._failed += not done
        self._dollars += event.measured_usd
        self._ended_here += 1
        self._totals.advance(self._task)
        note = f"{self._failed} failed, ${self._dollars:.2f}, about {self._left()} left"
        self._totals.update(self._task, note=note)
        colour = "green" if done else "red"
        self._console.print(f"[{colour}]{event.item}[/] ", escape(ending(event)), highlight=False)

    def _left(self) -> str:
        task = self._totals.tasks[0]
        remaining = (task.total or 0) - task.completed
        seconds = remaining * (time.monotonic() - self._began) / max(1, self._ended_here)
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"

    def _render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for item, row in list(self._rows.items()):
            table.add_row(item, f"[cyan]{row.stage}[/]", escape(row.text), f"{time.monotonic() - row.started:.0f} s")
        return Group(table, self._totals)


def _progress(event: StageProgress) -> str:
    if event.speedup is None:
        return event.text
    return f"{event.text}, {event.speedup:.3g}x [{event.ci_low:.3g}, {event.ci_high:.3g}]"

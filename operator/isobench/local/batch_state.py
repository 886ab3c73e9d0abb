"""What a batch's run has done so far, on disk: so that a run that was killed goes on where it was."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import count, takewhile
from pathlib import Path

from pydantic import Field

from isobench.adapters.files import read_model, write_model
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.base import Contract, InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.reasons import ItemFailure
from isobench.contracts.spec import CommitBenchmarkSpec
from isobench.contracts.status import CommitBenchmarkStatus
from isobench.engine.identity import item_id, run_id
from isobench.engine.money import ZERO, balance
from isobench.engine.plan import items_of
from isobench.engine.workspace import Workspace
from isobench.local.work_root import WorkRoot

FAILED = "failed"


class ItemRow(Contract):
    """One item of a run: its name, and its folder below the runs."""

    item_id: str
    run_id: str
    head: str


class BatchRun(Contract):
    """`state/batches/<name>.json`: the newest run of a batch."""

    batch: str
    digest: str
    started_at: datetime
    items: list[ItemRow]
    main_commits: dict[str, str] = Field(default_factory=dict)
    budget_usd: float | None = None
    budget_ref: str | None = None


@dataclass(frozen=True)
class Item:
    """One item of a run: what is asked, and where its folder is."""

    item_id: str
    run_id: str
    spec: CommitBenchmarkSpec
    workspace: Workspace

    def status(self) -> CommitBenchmarkStatus:
        """What is known of it so far; nothing, before its first stage."""
        return read_status(self.workspace)


def read_status(workspace: Workspace) -> CommitBenchmarkStatus:
    """The last written status of the item in this folder."""
    try:
        return read_model(workspace.status, CommitBenchmarkStatus)
    except FileNotFoundError:
        return CommitBenchmarkStatus()


def charged_usd(workspace: Workspace) -> Decimal:
    """What the ledgers in this folder charge; what the status says of it where one of them can't be read."""
    try:
        ledgers = workspace.ledger().glob("*.jsonl")
        return sum((balance(read_entries(ledger)).charged_usd for ledger in ledgers), ZERO)
    except ItemFailure:
        return Decimal(str(read_status(workspace).cost.measured_usd))


def charged_before_usd(workspace: Workspace) -> Decimal:
    """What was charged for the attempts at this item that were set aside for another one."""
    return sum((charged_usd(Workspace(folder)) for folder in _set_aside(workspace.root)), ZERO)


class BatchState:
    """The state of one batch's newest run."""

    def __init__(self, root: WorkRoot, batch: CommitBenchmarkBatch, run: BatchRun) -> None:
        """Use `open_batch`: it finds the run that goes on, or begins one."""
        self.root = root
        self.batch = batch
        self.run = run
        self._main_commits = threading.Lock()

    def items(self) -> Iterator[Item]:
        """All items in the batch's order; each is made when it is asked for."""
        for row, spec in zip(self.run.items, items_of(self.batch), strict=True):
            yield Item(row.item_id, row.run_id, spec, workspace_of(self.root, row))

    def main_commit(self, url: str, resolve: Callable[[], str]) -> str:
        """The main commit of a repository, resolved once per run: a resumed run times the same main."""
        with self._main_commits:
            if url not in self.run.main_commits:
                commits = self.run.main_commits | {url: resolve()}
                self.run = self.run.model_copy(update={"main_commits": commits})
                write_model(batch_file(self.root, self.run.batch), self.run)
            return self.run.main_commits[url]

    def begin_again(self, names: Sequence[str]) -> None:
        """Forget what became of these items; `failed` names all that ended without a record. Old folders are kept.

        Raises:
            InvalidInput: no item of this run is called that, or the item is recorded.
        """
        known = {item.item_id: item for item in self.items()}
        unknown = [name for name in names if name != FAILED and name not in known]
        if unknown:
            problem = f"{', '.join(unknown)} is no item of this run; `isobench status` lists them"
            raise InvalidInput("--retry", [problem])
        recorded = [name for name, item in known.items() if name in names and _ended(item, "True")]
        if recorded:
            problem = f"{', '.join(recorded)} is recorded; remove the record and take --new-run to measure it again"
            raise InvalidInput("--retry", [problem])
        for name, item in known.items():
            if name in names or (FAILED in names and _ended(item, "False")):
                _begin_again(item.workspace.root)


def _ended(item: Item, answer: str) -> bool:
    outcome = item.status().outcome
    return outcome is not None and outcome.status == answer


def _begin_again(folder: Path) -> None:
    """Set aside the folder of an attempt that is to be made again: its journal and its ledger stay readable."""
    if folder.exists():
        folder.rename(_before(folder, 1 + len(list(_set_aside(folder)))))


def _set_aside(folder: Path) -> Iterator[Path]:
    return takewhile(Path.exists, (_before(folder, number) for number in count(1)))


def _before(folder: Path, number: int) -> Path:
    return folder.with_name(f"{folder.name}.before-{number}")


def workspace_of(root: WorkRoot, row: ItemRow) -> Workspace:
    """The folder of an item."""
    return Workspace(root.runs / row.run_id / row.item_id)


def batch_file(root: WorkRoot, batch: str) -> Path:
    """Where the newest run of ``batch`` is described."""
    return root.batches / f"{batch}.json"


def known_runs(root: WorkRoot) -> list[BatchRun]:
    """The newest run of every batch, the newest first."""
    runs = [read_model(path, BatchRun) for path in root.batches.glob("*.json")]
    return sorted(runs, key=lambda run: run.started_at, reverse=True)


def open_batch(
    root: WorkRoot, batch: CommitBenchmarkBatch, slugs: dict[str, str], now: datetime, *, fresh: bool
) -> BatchState:
    """The run that goes on with exactly this batch, or a new one; ``slugs`` names each repository URL's owner/name."""
    digest = hashlib.sha256(batch.model_dump_json().encode()).hexdigest()
    path = batch_file(root, batch.metadata.name)
    if path.exists() and not fresh:
        run = read_model(path, BatchRun)
        if run.digest == digest:
            return BatchState(root, batch, run)
    rows = [_row(spec, slugs[spec.repository.url], sample, now) for spec, sample in _samples(batch)]
    _refuse_duplicates(batch.metadata.name, rows)
    run = BatchRun(
        batch=batch.metadata.name,
        digest=digest,
        started_at=now,
        items=rows,
        budget_usd=batch.spec.budget_usd,
        budget_ref=batch.spec.budget_ref,
    )
    write_model(path, run)
    return BatchState(root, batch, run)


def _refuse_duplicates(batch: str, rows: list[ItemRow]) -> None:
    counts = Counter((row.item_id, row.head) for row in rows)
    twice = [head for (_, head), count in counts.items() if count > 1]
    if twice:
        problems = [f"commit {head} is there twice; leave one, or give each its own model or sample" for head in twice]
        raise InvalidInput(f"batch {batch}", problems)


def _samples(batch: CommitBenchmarkBatch) -> Iterator[tuple[CommitBenchmarkSpec, int | None]]:
    for spec, commit in zip(items_of(batch), batch.spec.commits, strict=True):
        yield spec, commit.sample


def _row(spec: CommitBenchmarkSpec, slug: str, sample: int | None, now: datetime) -> ItemRow:
    agent, model = (spec.agent.kind, spec.agent.model) if spec.attempted else (None, None)
    return ItemRow(
        item_id=item_id(slug, spec.commits.head, spec.commits.base, model, sample),
        run_id=run_id(slug, agent, model, now),
        head=spec.commits.head,
    )

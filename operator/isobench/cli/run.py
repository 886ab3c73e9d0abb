"""`isobench run`: bring every item of a batch to its end on this machine."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.hub.publishing import PublishError
from isobench.adapters.inputs import unpack
from isobench.cli import online, options
from isobench.cli.batch_file import read_batch
from isobench.cli.closing import print_summary
from isobench.cli.console import console
from isobench.cli.item_names import item_called
from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import CommitBenchmarkBatch
from isobench.contracts.reasons import ItemFailure
from isobench.engine.identity import repo_slug
from isobench.engine.online import OnlineChoice, chosen
from isobench.engine.plan import items_of
from isobench.engine.settings import EffectiveConfiguration
from isobench.local.batch_state import FAILED, ItemRow, open_batch
from isobench.local.display import LiveView, json_lines, plain_lines
from isobench.local.events import Listener
from isobench.local.executor import Executor
from isobench.local.work_root import WorkRoot
from isobench.local.workbench import Workbench, dataset_path, now
from isobench.stages.publish import publish_dataset

INTERRUPTED = 130
STDOUT, SHOW_CURSOR = 1, b"\x1b[?25h"
AS_THE_MANIFEST_SAYS = OnlineChoice()

EPILOG = """
\b
Examples:
  isobench run batch.yaml
  isobench run batch.yaml --json > events.jsonl
  isobench run batch.yaml --retry failed
  isobench run batch.yaml --retry 1a2b3c4
  isobench run batch.yaml --new-run
  isobench run batch.yaml --agent-all --iterations 30 --budget-usd 0.5 --timeout-min 20

Stop with Ctrl-C: the running stage is finished first; a second Ctrl-C stops at once. The same command goes on
where the run was stopped, or killed. An item is named as for `isobench show`.

\b
Exit codes: 0 all done, 1 some items failed, 2 bad input, 130 interrupted.
"""


@click.command(epilog=EPILOG)
@click.argument("manifest", type=click.Path(path_type=Path))
@options.work_root
@options.data_dir
@click.option("--allow-network", is_flag=True, help="Time even where no empty network can be made.")
@options.container
@online.options
@click.option("--new-run", is_flag=True, help="Begin anew instead of going on with this batch's last run.")
@click.option(
    "--retry", multiple=True, metavar="ITEM", help="Begin an item again, or all `failed` ones; may be given repeatedly."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON event a line.")
def command(
    manifest: Path,
    work_root: Path,
    data_dir: Path,
    allow_network: bool,
    container: str | None,
    new_run: bool,
    retry: tuple[str, ...],
    as_json: bool,
    **agents: Any,
) -> int:
    """Run the batch MANIFEST on this machine, or go on with it where it was stopped."""
    return run_manifest(
        manifest,
        WorkRoot(work_root.absolute()),
        data_dir.absolute(),
        options.settings(),
        allow_network=allow_network,
        container=container == "on",
        new_run=new_run,
        retry=retry,
        as_json=as_json,
        agents=online.choice(**agents),
    )


def run_manifest(
    manifest: Path,
    root: WorkRoot,
    data_dir: Path,
    settings: EffectiveConfiguration,
    *,
    allow_network: bool = False,
    container: bool = False,
    new_run: bool = False,
    retry: Sequence[str] = (),
    as_json: bool = False,
    agents: OnlineChoice = AS_THE_MANIFEST_SAYS,
) -> int:
    """Bring the batch in ``manifest`` to its end, show it as it goes on, and say how it ended by the exit code.

    Raises:
        InvalidInput: the manifest, its inputs, the work root or its image can't be used.
    """
    batch = chosen(read_batch(manifest), agents, settings.configuration.llm.model)
    dataset = dataset_path(next(items_of(batch)).output, data_dir)
    root.create()
    _require_writable(data_dir)
    with root.alone(), _listener(as_json) as tell:
        supplies = unpack(batch.spec.inputs, manifest, root.inputs)
        slugs = {url: _slug(root, url) for url in {spec.repository.url for spec in items_of(batch)}}
        state = open_batch(root, batch, slugs, now(), fresh=new_run)
        state.begin_again([_named(name, state.run.items) for name in retry])
        workbench = Workbench(state, supplies, data_dir, allow_network, container, settings, tell)
        for image in {spec.environment.image for spec in items_of(batch) if container}:
            workbench.container_of(image)  # before anything is fetched
        executor = Executor(state, workbench.plan_of, workbench.run_stage, tell, now)
        with _interruptible(executor):
            tally = executor.run()
    if not as_json:
        print_summary(tally, console(), state, dataset)
    if executor.interrupted and tally.unfinished:
        return INTERRUPTED
    published = batch.spec.publish is None or _publish(batch, dataset, settings.variables, root)
    return 0 if published and not tally.failed and not tally.unfinished else 1


def _require_writable(data_dir: Path) -> None:
    """Find out before anything is timed that records can't be stored; nothing is made yet."""
    existing = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidInput(str(data_dir), [f"{existing} can't be written; give another --data-dir"])


def _named(asked: str, rows: Sequence[ItemRow]) -> str:
    """What `--retry` names: `failed`, or one item."""
    return asked if asked == FAILED else item_called(asked, rows, f"--retry {asked}").item_id


def _publish(batch: CommitBenchmarkBatch, dataset: Path, variables: Mapping[str, str], root: WorkRoot) -> bool:
    """Publish as the batch asks; the items are done whatever becomes of it."""
    assert batch.spec.publish is not None  # the caller looked
    try:
        report = publish_dataset(dataset, batch.spec.publish, variables, root.temporary)
    except (InvalidInput, PublishError) as error:
        click.echo(f"isobench: {dataset.name} is not published: {error}", err=True)
        return False
    click.echo(f"published {dataset.name}: {report.total} records, {report.count('added')} of them new", err=True)
    return True


def _slug(root: WorkRoot, url: str) -> str:
    """`owner/name` for run ids; a repository that can't be read is named by its URL, and its items say why."""
    try:
        return RepoManager(root.path, url).slug()
    except ItemFailure:
        return repo_slug(url, url)


@contextmanager
def _listener(as_json: bool) -> Iterator[Listener]:
    terminal = Console()
    if as_json:
        yield json_lines(click.echo)
    elif terminal.is_terminal:
        with LiveView(terminal).shown() as tell:
            yield tell
    else:
        yield plain_lines(click.echo)


@contextmanager
def _interruptible(executor: Executor) -> Iterator[None]:
    """First Ctrl-C: finish the running stages. Second: stop now; what runs dies with us."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        if executor.interrupted:
            if os.isatty(STDOUT):
                os.write(STDOUT, SHOW_CURSOR)  # the live view hides it, and doesn't end
            os._exit(INTERRUPTED)
        executor.interrupt()
        click.echo("stopping after the running stage; Ctrl-C again stops now", err=True)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

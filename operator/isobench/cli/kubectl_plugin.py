"""`kubectl isobench`: status, why, logs, record, retry and cost of items and batches on a cluster."""

import functools
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from isobench import __version__
from isobench.adapters.kubectl import Kubectl
from isobench.adapters.store import open_store, split_uri
from isobench.cli import answer
from isobench.contracts.base import InvalidInput
from isobench.engine.cluster_report import (
    BATCH_COLUMNS,
    COST_COLUMNS,
    ITEM_COLUMNS,
    Object,
    answer_in,
    batch_of,
    batch_row,
    cost_rows,
    ended,
    failures,
    item_row,
    table,
    why,
)

ITEMS, BATCHES = "commitbenchmarks.isobench.dev", "commitbenchmarkbatches.isobench.dev"
RETRY = "isobench.dev/retry"

EPILOG = """
\b
Examples:
  kubectl isobench status --namespace team-a
  kubectl isobench why nightly-017-1a2b3c4
  kubectl isobench logs nightly-017-1a2b3c4 timing -n team-a

kubectl's own answers: `kubectl get cbb,cb` lists batches and items, `kubectl describe cb ITEM` has all of one.
"""

_FLAGS = (
    click.option("-n", "--namespace", metavar="NAME", help="Namespace; the context's by default, as with kubectl."),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig, as with kubectl."),
    click.option("--kubeconfig", metavar="FILE", help="Kubeconfig, as with kubectl."),
)
_NAMES = ("namespace", "context", "kubeconfig")


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kubectl isobench")
def isobench() -> None:
    """What items and batches are doing, why, and what they cost."""


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  kubectl isobench {line}" for line in lines)


def _with_kubectl(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give ``command`` the cluster and namespace that a person's flags name."""

    @functools.wraps(command)
    def called(**given: Any) -> int | None:
        flags = {name: given.pop(name) for name in _NAMES}
        return command(Kubectl([f"--{name}={value}" for name, value in flags.items() if value]), **given)

    wrapped: Callable[..., int | None] = called
    for option in reversed(_FLAGS):
        wrapped = option(wrapped)
    return wrapped


@isobench.command(short_help="How far batches are.", epilog=_examples("status", "status nightly -n team-a"))
@click.argument("batch", required=False)
@_with_kubectl
def status(kubectl: Kubectl, batch: str | None) -> None:
    """How far every batch is, or one BATCH with its items that have not ended."""
    if batch is None:
        click.echo(table(BATCH_COLUMNS, map(batch_row, kubectl.items(BATCHES))))
        alone = [item for item in kubectl.items(ITEMS) if batch_of(item) is None]
        if alone:
            click.echo("\n" + table(ITEM_COLUMNS, map(item_row, alone)))
        return
    found = kubectl.item(BATCHES, batch)
    click.echo(table(BATCH_COLUMNS, [batch_row(found)]))
    for line in (answer_in(found).get("message"), *failures(found)):
        if line:
            click.echo(line)
    unfinished = [item for item in kubectl.items(ITEMS) if batch_of(item) == batch and not ended(item)]
    if unfinished:
        click.echo("\n" + table(ITEM_COLUMNS, map(item_row, unfinished)))


@isobench.command("why", epilog=_examples("why nightly-017-1a2b3c4 -n team-a"))
@click.argument("item")
@_with_kubectl
def explain(kubectl: Kubectl, item: str) -> None:
    """Where ITEM stands, why, and what to do next."""
    found = kubectl.item(ITEMS, item)
    for line in why(found):
        click.echo(line)
    uid = found["metadata"]["uid"]
    for event in kubectl.items("events", f"--field-selector=involvedObject.uid={uid}"):
        click.echo(f"event {event['reason']}: {event['message']}")


@isobench.command(
    short_help="What an item's containers printed.",
    epilog=_examples("logs nightly-017-1a2b3c4", "logs nightly-017-1a2b3c4 timing -n team-a"),
)
@click.argument("item")
@click.argument("stage", required=False)
@_with_kubectl
def logs(kubectl: Kubectl, item: str, stage: str | None) -> int:
    """What the containers of ITEM printed, in all stages or in STAGE; the store has the logs of those that ended."""
    found = kubectl.item(ITEMS, item)
    selector = f"isobench.dev/item-uid={found['metadata']['uid']}" + (f",isobench.dev/stage={stage}" if stage else "")
    pods = sorted(kubectl.items("pods", f"--selector={selector}"), key=lambda pod: pod["metadata"]["creationTimestamp"])
    if not pods:
        kept = found.get("status", {}).get("artifacts", {}).get("journalUri")
        where = f"its journal is at {kept}" if kept else "nothing is stored yet"
        raise InvalidInput(item, [f"has no pod{f' of {stage}' if stage else ''} any more; {where}"])
    shown = [kubectl.show("logs", pod["metadata"]["name"], "--all-containers", "--prefix", "--tail=-1") for pod in pods]
    return max(shown)


@isobench.command(
    short_help="An item's record, from its store.", epilog=_examples("record nightly-017-1a2b3c4 -n team-a")
)
@click.argument("item")
@_with_kubectl
def record(kubectl: Kubectl, item: str) -> None:
    """The record of ITEM, read from its store with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    found = kubectl.item(ITEMS, item)
    uri = found.get("status", {}).get("artifacts", {}).get("recordUri")
    if not uri:
        raise InvalidInput(item, [f"has no record; `kubectl isobench why {item}` says why"])
    place, key = split_uri(uri)
    content = open_store(place, found["spec"].get("output", {}).get("endpoint"), attempts=2).get(key)
    if content is None:
        raise InvalidInput(uri, ["is not there any more"])
    click.echo(json.dumps(json.loads(content), indent=2))


@isobench.command(
    short_help="Ask again for an item without a record.", epilog=_examples("retry nightly-017-1a2b3c4 -n team-a")
)
@click.argument("item")
@_with_kubectl
def retry(kubectl: Kubectl, item: str) -> None:
    """Ask for ITEM again: it ended without a record. What paid stages cost is charged once more."""
    found = kubectl.item(ITEMS, item)
    _refuse_retry(item, found)
    asked_at = datetime.now(UTC).isoformat(timespec="seconds")
    kubectl.text("annotate", ITEMS, item, f"{RETRY}={asked_at}", "--overwrite")
    click.echo(f"{item} is asked for again; `kubectl isobench why {item}` follows it")


def _refuse_retry(name: str, item: Object) -> None:
    outcome = answer_in(item)
    if not ended(item):
        raise InvalidInput(name, [f"has not ended ({outcome.get('reason', 'New')}); there is nothing to try again"])
    if outcome["status"] == "True":
        raise InvalidInput(name, ["is recorded; create another item to measure it again"])


@isobench.command(short_help="What is spent and reserved.", epilog=_examples("cost", "cost -n team-a"))
@_with_kubectl
def cost(kubectl: Kubectl) -> None:
    """What batches and items have spent and reserved, in US dollars at list prices."""
    click.echo(table(COST_COLUMNS, cost_rows(kubectl.items(ITEMS), kubectl.items(BATCHES))))


def main() -> None:
    """Run the plug-in; a person never sees a traceback for bad input."""
    sys.exit(answer(isobench))

"""`isobench publish`: a dataset file into a split on the hub."""

import json
from pathlib import Path

import click

from isobench.adapters.hub.publishing import PublishError, PublishReport
from isobench.cli import options
from isobench.contracts.base import InvalidInput
from isobench.contracts.objects import PublishSpec
from isobench.local.work_root import WorkRoot
from isobench.stages.publish import publish_dataset

EPILOG = """
\b
Examples:
  isobench publish data/demo.jsonl --repo team/benchmark
  isobench publish data/demo.jsonl --repo team/benchmark --yes

Without --yes nothing is sent: the command shows what would change. The token is read from HF_TOKEN, in the environment
or in .env beside the configuration.
"""


@click.command(epilog=EPILOG)
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--repo", metavar="REPO", help="OWNER/NAME on the hub, a URL, or OWNER; publish.hf_repo by default.")
@click.option(
    "--min-records", type=click.IntRange(1), help="Send nothing below so many records; publish.min_records by default."
)
@click.option("--public", is_flag=True, help="Create the repository public; private by default.")
@click.option("--yes", is_flag=True, help="Send; without it this is a dry run.")
@options.work_root
@options.as_json
def command(
    dataset: Path, repo: str | None, min_records: int | None, public: bool, yes: bool, work_root: Path, as_json: bool
) -> int:
    """Merge the records of DATASET into the split `test` on the hub: newer replaces older, nothing is lost."""
    if not dataset.is_file():
        raise InvalidInput(str(dataset), ["there is no such dataset; `isobench run` writes one below data/"])
    settings = options.settings()
    configured = settings.configuration.publish
    address = repo or configured.hf_repo
    if address is None:
        raise InvalidInput("--repo", ["is missing, and [publish] hf_repo is not configured; name the hub repository"])
    spec = PublishSpec(
        repo=address,
        min_records=min_records or configured.min_records,
        private=configured.private and not public,
    )
    root = WorkRoot(work_root.absolute())
    root.create()
    try:
        report = publish_dataset(dataset, spec, settings.variables, root.temporary, dry_run=not yes)
    except PublishError as error:
        raise click.ClickException(str(error)) from None
    _print(report, sent=yes, as_json=as_json)
    return 0


def _print(report: PublishReport, *, sent: bool, as_json: bool) -> None:
    counts = {change: report.count(change) for change in ("added", "replaced", "unchanged")}
    if as_json:
        totals = {"existing": report.existing, "total": report.total, "commit": report.commit_url}
        click.echo(json.dumps({"sent": sent, **counts, **totals}))
        return
    for change in report.changes:
        if change.change != "unchanged":
            click.echo(f"{change.change}: {change.instance_id}")
    verb = "sent" if sent else "would be sent; give --yes to send"
    click.echo(f"{', '.join(f'{count} {change}' for change, count in counts.items())}: {verb}")
    if report.commit_url:
        click.echo(report.commit_url)

"""`isobench plan`: a batch manifest from extraction files or a commits.txt."""

import json
from pathlib import Path
from typing import Literal

import click

from isobench.adapters.git.source import Source
from isobench.adapters.manifests import manifest_text
from isobench.cli import options, planned
from isobench.cli.cluster_options import for_cluster
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.engine.identity import repo_slug
from isobench.engine.planning import ForCluster, PlanOptions, Shared, shared_of
from isobench.local.plan_files import batches, write_manifests
from isobench.local.planner import Plan, PlanSources, make_plan, open_repository
from isobench.local.work_root import WorkRoot

STDOUT = "-"

EPILOG = """
\b
Examples:
  isobench plan --repo ../project --commits commits.txt --tests tests/ -o batch.yaml
  isobench plan --repo ../project --extractions extractions/ --generate --provider openai
  isobench plan --repo ../project --commits commits.txt --tests tests/ --agent-all

\b
For a cluster, of the repository's origin:
  isobench plan --repo ../project --commits commits.txt --tests tests/ --parallelism 20 \\
    --store s3://records/project --store-secret store \\
    --inputs-to s3://records/inputs --inputs-secret store -o batch.yaml
  kubectl apply --namespace team-a -f batch.yaml

A line of commits.txt is `<head>`, `<head> <base>` or `<head> parent=N`; what follows a # is a comment. The archive of
extraction files and tests is written beside the manifest and belongs to it, unless --inputs-to puts it where a
cluster's pods find it; what opens an s3:// address here are the usual AWS_* variables. More than 1,000 commits become
several batches that share the first one's budget.
"""


@click.command(epilog=EPILOG)
@options.setting(
    "repository.url",
    "--repo",
    metavar="URL",
    type=options.ADDRESS,
    help="Clone URL, or path of a clone; it is only read.",
)
@click.option(
    "--commits",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The commits, one a line; without it those of all extraction files.",
)
@options.setting("paths.extractions_dir", "--extractions", metavar="DIR", help="Extraction files, one JSON a commit.")
@options.setting("paths.tests_dir", "--tests", metavar="DIR", help="Tests, <head>_test_case_generator.py each.")
@click.option(
    "--name", metavar="NAME", type=options.NAME, help="Name of batch and dataset; the repository's by default."
)
@click.option(
    "--mode",
    type=click.Choice(["offline", "online"]),
    default="offline",
    show_default=True,
    help="online lets agents attempt the commits that opt in.",
)
@click.option("--generate", is_flag=True, help="Let the configured model write the tests that are not supplied.")
@click.option("--agent-all", is_flag=True, help="Online: an agent attempts every commit.")
@click.option(
    "--budget-usd", type=click.FloatRange(min=0), help="Cap on the whole batch; `run --budget-usd` caps one agent."
)
@click.option(
    "-o", "--output", metavar="FILE", default="batch.yaml", show_default=True, help="Manifest to write; - prints it."
)
@for_cluster
@options.work_root
@options.as_json
def command(
    commits: Path | None,
    name: str | None,
    mode: Literal["offline", "online"],
    generate: bool,
    agent_all: bool,
    budget_usd: float | None,
    output: str,
    cluster: ForCluster,
    work_root: Path,
    as_json: bool,
) -> int:
    """Write a batch manifest for commits of one repository; a broken file is reported and the others are planned."""
    configuration = options.settings().configuration
    asked = PlanOptions(name, "online" if agent_all else mode, generate, agent_all, budget_usd, cluster)
    plan, shared = plan_batch(configuration, asked, WorkRoot(work_root.absolute()), commits)
    report(plan)
    _require_reachable(plan, cluster)
    if output == STDOUT:
        _print_manifests(plan, shared, work_root)
        manifests = []
    else:
        manifests = write_manifests(plan, shared, Path(output))
    said = json.dumps(planned.as_json(plan, manifests)) if as_json else planned.told(plan, manifests, asked)
    click.echo(said, err=output == STDOUT)
    return 0


def plan_batch(
    configuration: Configuration, asked: PlanOptions, root: WorkRoot, commits: Path | None
) -> tuple[Plan, Shared]:
    """The plan that ``configuration`` asks for, and what its manifests share.

    Raises:
        InvalidInput: no repository or no commits are given, or they can't be used.
    """
    if configuration.repository.url is None:
        raise InvalidInput("repository.url", ["is missing: give --repo URL_OR_PATH"])
    repository = open_repository(configuration.repository.url)
    paths = configuration.paths
    slug = repo_slug(repository.origin_url(), repository.url)
    shared = shared_of(configuration, _address(repository, asked.cluster), slug, asked)
    sources = PlanSources(
        repository,
        root,
        commits=commits,
        extractions=Path(paths.extractions_dir) if paths.extractions_dir else None,
        tests=Path(paths.tests_dir) if paths.tests_dir else None,
    )
    return make_plan(sources), shared


def _address(repository: Source, cluster: ForCluster) -> str:
    """The repository as manifests name it: pods can't read a clone of this machine, but its origin."""
    if cluster.store is None:
        return repository.url
    origin = repository.origin_url()
    cloned = open_repository(origin) if origin else repository
    if cloned.path is not None:
        raise InvalidInput("--repo", [f"{cloned} is a path of this machine, which no pod can read; give its URL"])
    return cloned.url


def report(plan: Plan) -> None:
    """Print a line for each thing that is left out.

    Raises:
        InvalidInput: nothing is left to plan.
    """
    for line in plan.broken:
        click.echo(f"broken: {line}", err=True)
    for line in plan.dropped:
        click.echo(f"dropped: {line}", err=True)
    if not plan.items:
        raise InvalidInput("plan", ["nothing is left to plan: every commit is broken, or there is none"])


def _require_reachable(plan: Plan, cluster: ForCluster) -> None:
    """Refuse what would be refused when it is applied: an archive that stays on this machine."""
    if cluster.store and cluster.inputs_to is None and (plan.tested or plan.extractions):
        problem = "is missing: pods can't read tests and extraction files of this machine; give s3://BUCKET/PREFIX"
        raise InvalidInput("--inputs-to", [problem])


def _print_manifests(plan: Plan, shared: Shared, work_root: Path) -> None:
    """Manifests on standard output have no place of their own: their archives go into the work root."""
    destination = work_root / "plans" / f"{shared.name}.yaml"
    documents = [manifest_text(batch) for _, batch in batches(plan, shared, destination, absolute=True)]
    click.echo("---\n".join(documents), nl=False)

"""The old pipeline's entry point: the commits that a configuration names become a dataset, by `isobench`'s own code."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from isobench.adapters.files import write_json
from isobench.adapters.git.repositories import RepoManager
from isobench.adapters.models.llm import LLMConfigManager
from isobench.cli import answer, options
from isobench.cli.plan import plan_batch, report
from isobench.cli.run import run_manifest
from isobench.contracts.base import InvalidInput
from isobench.engine.planning import PlanOptions, Shared
from isobench.engine.settings import EffectiveConfiguration
from isobench.local.dry_run import foresee
from isobench.local.plan_files import write_manifests
from isobench.local.planner import Plan
from isobench.local.work_root import WorkRoot


@click.command()
@options.configuration_argument
@click.option("--mode", type=click.Choice(["dry", "offline", "online"]), default="offline", show_default=True)
@options.setting("agent.max_iterations", "--iterations", type=click.IntRange(min=1), help="Cap on the agent's steps.")
@options.setting("agent.budget_usd", "--budget-usd", type=click.FloatRange(min=0), help="Cap on one agent in dollars.")
@options.setting("agent.timeout_minutes", "--timeout-min", type=float, help="Cap on one agent in minutes.")
@options.container
@click.option("--agent-all", is_flag=True, help="With --mode=online: an agent attempts every commit.")
@click.option("--generate", is_flag=True, help="Let the configured model write the tests that are missing.")
@options.work_root
@options.data_dir
def command(mode: str, container: str | None, agent_all: bool, generate: bool, work_root: Path, data_dir: Path) -> int:
    """Make data/<dataset_name>.jsonl of the commits that CONFIG (TOML, or the legacy YAML) names."""
    settings = options.settings()
    if agent_all and mode == "offline":
        raise InvalidInput("--agent-all", ["needs --mode=online: offline no agent runs"])
    root = WorkRoot(work_root.absolute())
    root.create()
    asked = PlanOptions(mode="online" if mode == "online" else "offline", generate=generate, agent_all=agent_all)
    plan, shared = plan_batch(settings.configuration, asked, root, commits=None)
    report(plan)
    if mode == "dry":
        return _show(plan, shared, settings, root)
    manifests = write_manifests(plan, shared, root.path / "plans" / f"{shared.name}.yaml")
    contained = container == "on" or (container is None and settings.configuration.environment.image is not None)
    codes = [run_manifest(path, root, data_dir.absolute(), settings, container=contained) for path in manifests]
    return max(codes)


def _show(plan: Plan, shared: Shared, settings: EffectiveConfiguration, root: WorkRoot) -> int:
    """What a run would ask of the model, kept in a file per commit, and the most and the likely that it would cost."""
    assert shared.template.repository is not None  # every plan has one
    llm = LLMConfigManager(settings.configuration, settings.variables)
    repository = RepoManager(root.path, shared.template.repository.url)
    likely = most = 0.0
    for foreseen in foresee(plan, llm, repository, settings.configuration.llm.budget_usd):
        asked = foreseen.preview
        if asked is None:
            click.echo(f"{foreseen.item.head[:12]}: its test is supplied")
            continue
        likely, most = likely + asked.estimate_usd, most + asked.cap_usd
        question = root.path / "plans" / shared.name / f"{foreseen.item.head}.json"
        write_json(question, asdict(asked))
        click.echo(
            f"{foreseen.item.head[:12]}: {llm.model()} would be asked for a test: about {asked.prompt_tokens} tokens "
            f"in, {asked.completion_tokens} out, ${asked.estimate_usd:.4f}; the question is in {question}"
        )
    click.echo(f"{len(plan.items)} items; tests would cost about ${likely:.2f}, ${most:.2f} at most; nothing was asked")
    return 0


if __name__ == "__main__":
    sys.exit(answer(command))

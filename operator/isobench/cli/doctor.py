"""`isobench doctor`: is this machine fit to time on, and what to do where it is not."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from isobench.adapters.hub.publishing import TOKEN_VARIABLE
from isobench.cli import options
from isobench.cli.console import console
from isobench.local.examination import Finding, Grade, examine
from isobench.local.work_root import WorkRoot

NO_MODEL = Finding(
    "model, for generated tests and agents",
    Grade.LIMITED,
    "none is configured here",
    "run where config/main_openai.toml is, or give a configuration by --provider or --config",
)
COLOURS = {Grade.GOOD: "green", Grade.LIMITED: "yellow", Grade.MISSING: "red"}


EPILOG = """
\b
Examples:
  isobench doctor
  isobench doctor --provider anthropic
  isobench doctor --noise-seconds 60 --json

Noise is by how much two equal runs differ here: a spread of 0.05 is about 5%. Exit code 1: something is missing
without which no run works.
"""


@click.command(epilog=EPILOG)
@click.option(
    "--noise-seconds",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="How long this machine's noise is measured.",
)
@options.work_root
@options.as_json
def command(noise_seconds: float, work_root: Path, as_json: bool) -> int:
    """Check git, uv, Pythons, namespaces, cores, this machine's noise, keys and the container engine."""
    settings = options.settings()
    llm = settings.configuration.llm
    keys = {f"key of {llm.provider}, to write tests": llm.api_key_env, "token of the hub, to publish": TOKEN_VARIABLE}
    present = {subject: (name, bool(settings.variables.get(name))) for subject, name in keys.items() if name}
    findings = list(examine(present, noise_seconds, WorkRoot(work_root.absolute()).containers))
    if llm.model is None:
        findings.append(NO_MODEL)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        table = Table(box=None)
        for column in ("", "what", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            grade = f"[{COLOURS[finding.grade]}]{finding.grade}[/]"
            table.add_row(grade, finding.subject, finding.found, finding.remedy)
        console().print(table)
    return 1 if any(finding.grade is Grade.MISSING for finding in findings) else 0

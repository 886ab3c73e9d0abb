"""`isobench config show`: every setting with its value and where it came from; keys only as present or absent."""

import json
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from isobench.adapters.git.command import without_credentials
from isobench.adapters.hub.publishing import TOKEN_VARIABLE
from isobench.cli import options
from isobench.cli.console import console
from isobench.engine.settings import DEFAULT, EffectiveConfiguration

EPILOG = """
\b
Examples:
  isobench config show
  isobench config show --provider anthropic --json

Flags win over variables, variables over the file, the file over defaults. A variable is named by its setting:
ISOBENCH_TIMING_MIN_PAIRS is timing.min_pairs, which is spec.template.timing.minPairs in a manifest. `isobench plan`
writes agent, timing, environment and output into the manifest, and `isobench run` takes them from there. Keys stand
in the environment or in .env beside the file; only whether they are there is shown.
"""


@click.group(epilog="\b\nExamples:\n  isobench config show")
def command() -> None:
    """Look at the configuration."""


@command.command(epilog=EPILOG, short_help="Show every setting with its value and where it came from.")
@options.configuration
@options.as_json
def show(as_json: bool) -> int:
    """Show every setting: its value, and the flag, variable, file or default that it came from."""
    settings = options.settings()
    rows = [(key, _shown(value), source) for key, value, source in settings.rows()]
    keys = _keys(settings)
    if as_json:
        values = {key: {"value": value, "source": source} for key, value, source in rows}
        click.echo(json.dumps({"settings": values, "keys": keys}))
        return 0
    table = Table(box=None)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("source", no_wrap=True)
    for key, value, source in rows:
        style = "dim" if source == DEFAULT else ""
        table.add_row(escape(key), escape(_text(value)), escape(source), style=style)
    shown_on = console()
    shown_on.print(table)
    for variable, state in keys.items():
        shown_on.print(f"key {variable}: {state}")
    return 0


def _keys(settings: EffectiveConfiguration) -> dict[str, str]:
    names = (settings.configuration.llm.api_key_env, TOKEN_VARIABLE)
    return {name: "present" if settings.variables.get(name) else "absent" for name in names if name}


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(entry) for entry in value]
    return without_credentials(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

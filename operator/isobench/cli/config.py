"""`isobench config show`: every setting with its value and where it came from; keys only as present or absent."""

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isobench.adapters.git.command import without_credentials
from isobench.adapters.hub.publishing import TOKEN_VARIABLE
from isobench.cli import options
from isobench.engine.settings import DEFAULT, EffectiveConfiguration

WIDTH_OF_A_FILE = 160


@click.group()
def command() -> None:
    """Look at the configuration."""


@command.command(epilog="\b\nExamples:\n  isobench config show\n  isobench config show --provider anthropic --json")
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
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH_OF_A_FILE
    console.print(table)
    for variable, state in keys.items():
        console.print(f"key {variable}: {state}")
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

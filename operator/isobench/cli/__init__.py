"""The command line. Commands are imported when they are called, so that `isobench --help` answers at once."""

import difflib
import importlib
import sys
from collections.abc import Callable
from typing import Any

import click

from isobench import __version__

# Name -> (module, one line of help): the modules pull in contracts and vendors, the names must not.
COMMANDS = {
    "plan": ("isobench.cli.plan", "Write a batch manifest from extraction files or a commits.txt."),
    "run": ("isobench.cli.run", "Run a batch on this machine, or go on with one that was stopped."),
    "status": ("isobench.cli.status", "Show what a running or finished run has done."),
    "show": ("isobench.cli.show", "Show one item: verdict, stages, notes; or what its agent did."),
    "publish": ("isobench.cli.publish", "Publish a dataset file to the hub, or show what that would change."),
    "config": ("isobench.cli.config", "Show every setting with its value and where it came from."),
    "doctor": ("isobench.cli.doctor", "Check this machine and say what to do about each finding."),
}

EPILOG = """
\b
Examples:
  isobench doctor
  isobench plan --repo ../project --commits commits.txt --tests tests/ -o batch.yaml
  isobench run batch.yaml
  isobench status
  isobench show 1a2b3c4

\b
Exit codes: 0 all done, 1 some items failed, 2 bad input, 130 interrupted.
Shell completion: eval "$(_ISOBENCH_COMPLETE=bash_source isobench)" (or zsh_source, fish_source).
"""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; a mistyped one is answered with the nearest there is."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            nearest = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="isobench")
def isobench() -> None:
    """Turn performance commits of real repositories into verified benchmark tasks and dataset records."""


def main() -> None:
    """Run the command line; a person never sees a traceback for bad input."""
    sys.dont_write_bytecode = True  # a run writes to the work root and the data folder, and nowhere else
    sys.exit(answer(isobench))


def answer(command: Callable[..., Any]) -> int:
    """Run ``command`` and turn what a person did wrong into one sentence on stderr and exit code 2."""
    try:
        result = command(standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ValueError as error:
        problems = getattr(error, "problems", None)
        if problems is None:
            raise
        for problem in problems:
            click.echo(f"isobench: {getattr(error, 'source', '')}: {problem}", err=True)
        return 2
    except OSError as error:
        click.echo(f"isobench: {error.filename or 'this machine'}: {error.strerror or error}", err=True)
        return 2
    return result if isinstance(result, int) else 0

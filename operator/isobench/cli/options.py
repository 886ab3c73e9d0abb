"""Options that several commands share, and the settings that they add up to."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from isobench.adapters.configuration_files import load_configuration
from isobench.engine.settings import EffectiveConfiguration, Given, KeyPath

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS = "isobench.flags"
_FILE = "isobench.file"
_PROVIDER = "isobench.provider"
_TOLD = "isobench.told"


def _text(longest: int) -> Callable[[str], str]:
    """Words that fit into a field of a manifest, as the type of an option."""

    def taken(value: str) -> str:
        if not 0 < len(value) <= longest:
            raise click.BadParameter(f"it has {len(value)} characters; give 1 to {longest}")
        return value

    return taken


NAME, ADDRESS = _text(253), _text(1024)


def settings() -> EffectiveConfiguration:
    """The configuration in force for the running command, with the flags that were given to it.

    Raises:
        InvalidInput: a file, a variable or a flag can't be taken.
    """
    meta = click.get_current_context().meta
    loaded = load_configuration(os.environ, meta.get(_FLAGS, {}), meta.get(_FILE), meta.get(_PROVIDER))
    if loaded.notices and _TOLD not in meta:
        meta[_TOLD] = True
        for notice in loaded.notices:
            click.echo(f"isobench: {notice}", err=True)
    return loaded


def setting(key: str, *names: str, **attributes: Any) -> Callable[[Command], Command]:
    """A flag that gives the setting ``key``, such as `timing.min_pairs`; commands see it by `settings`."""
    path: KeyPath = tuple(key.split("."))

    def take(context: click.Context, _option: click.Parameter, value: Any) -> None:
        if value is not None:
            context.meta.setdefault(_FLAGS, {})[path] = Given(value, f"flag {names[0]}")

    return click.option(*names, callback=take, expose_value=False, **attributes)


def configuration_flags() -> str:
    """`--config` or `--provider` as the running command was given it, for a command that is to follow; else nothing."""
    meta = click.get_current_context().meta
    given = {"--config": meta.get(_FILE), "--provider": meta.get(_PROVIDER)}
    return "".join(f" {flag} {shlex.quote(str(value))}" for flag, value in given.items() if value is not None)


def configuration(command: Command) -> Command:
    """The options that choose the configuration file: `--config` and `--provider`."""
    file = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_keep(_FILE),
        help="Configuration file; else $ISOBENCH_CONFIG, else config/main_openai.toml where it is there.",
    )
    provider = click.option(
        "--provider",
        metavar="NAME",
        expose_value=False,
        is_eager=True,
        callback=_keep(_PROVIDER),
        help="Take config/main_<NAME>.toml.",
    )
    return file(provider(command))


def configuration_argument(command: Command) -> Command:
    """The configuration file as the argument CONFIG, in place of `--config`."""
    argument = click.argument(
        "config_file",
        metavar="[CONFIG]",
        required=False,
        type=click.Path(path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_keep(_FILE),
    )
    return argument(command)


def work_root(command: Command) -> Command:
    """`--work-root` as the command's ``work_root``, and with it the options that choose the configuration file."""
    option = _folder(
        "work_root", "--work-root", "Caches, worktrees, state: all but the datasets; .work unless configured."
    )
    return configuration(option(command))


def data_dir(command: Command) -> Command:
    """`--data-dir` as the command's ``data_dir``; it goes with `work_root`."""
    return _folder("data_dir", "--data-dir", "Where datasets are written; data unless configured.")(command)


container = click.option(
    "--container", type=click.Choice(["on", "off"]), help="Build and time in containers of environment.image."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


def _keep(place: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _option: click.Parameter, value: Any) -> None:
        if value is not None and place in context.meta:
            raise click.UsageError(f"the configuration file is given twice, as {context.meta[place]} and as {value}")
        if value is not None:
            context.meta[place] = value

    return keep


def _folder(name: str, flag: str, explanation: str) -> Callable[[Command], Command]:
    """A folder of [paths], resolved at once so that a command gets a path whoever named it."""

    def take(context: click.Context, _option: click.Parameter, value: str | None) -> Path:
        if value is not None:
            context.meta.setdefault(_FLAGS, {})["paths", name] = Given(value, f"flag {flag}")
        return Path(getattr(settings().configuration.paths, name))

    return click.option(flag, metavar="DIR", type=click.Path(), callback=take, help=explanation)

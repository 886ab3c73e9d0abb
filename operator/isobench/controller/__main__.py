"""`isobench-operator`: flags in, one process that serves until it is told to stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

import click
import uvloop

from isobench.contracts.base import InvalidInput
from isobench.controller.api_errors import ApiError, NotLeading
from isobench.controller.app import App, MakeReconcilers
from isobench.controller.connection import Connection, NoConnection
from isobench.controller.logs import log_to_stderr
from isobench.controller.scope import ScopeTaken
from isobench.controller.settings import ControllerSettings, settings_from

log = logging.getLogger("isobench.controller")

BAD_FLAGS, FAILED = 2, 1


def main() -> None:
    """Run the operator as the flags say; ends the process."""
    from isobench.controller.reconcilers import make_reconcilers

    sys.exit(run(sys.argv[1:], make_reconcilers))


def run(arguments: Sequence[str], make: MakeReconcilers) -> int:
    """Serve with the reconcilers that ``make`` makes; the process's exit status."""
    try:
        settings = settings_from(arguments)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except (click.ClickException, InvalidInput) as error:
        click.echo(error.format_message() if isinstance(error, click.ClickException) else str(error), err=True)
        return BAD_FLAGS
    log_to_stderr(settings)
    try:
        uvloop.run(_serve(settings, make))
    except InvalidInput as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence is all that a person needs
        return BAD_FLAGS
    except (NoConnection, ScopeTaken, NotLeading, ApiError) as error:
        log.error("%s", error)  # noqa: TRY400 - the sentence is all that a person needs
        return FAILED
    return 0


async def _serve(settings: ControllerSettings, make: MakeReconcilers) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await App(settings, Connection(settings.kubeconfig), make).run(stop)


if __name__ == "__main__":
    main()

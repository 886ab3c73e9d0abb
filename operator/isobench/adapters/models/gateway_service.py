"""The metering gateway as a process of its own: on loopback or a Unix socket, until it is told to end.

`python -m isobench.adapters.models.gateway_service` is told everything through its standard input, and ends when that
is closed; in a pod `serve_until_terminated` is the gateway container's whole work.
"""

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing

import aiohttp
from aiohttp import web

from isobench.adapters.models.gateway import MeteringGateway
from isobench.adapters.models.gateway_process import GatewayReport, GatewaySettings
from isobench.adapters.models.ledger import Ledger
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.probe.kernel import hide_from_debuggers

CONNECT_SECONDS = 20.0

Report = Callable[[GatewayReport], None]


def serve_until_terminated(settings: GatewaySettings, report: Report) -> bool:
    """Serve until SIGTERM, or not at all; ``report`` is told which, and so is the caller: False when it never served.

    The process that calls this can't be read by others of the same user from here on.
    """
    return _serve_guarded(settings, report, _terminated)


def main() -> None:
    """Serve what standard input says until it is closed; nothing of it is in arguments or environment."""
    hide_from_debuggers()  # before the key comes
    settings = GatewaySettings.parse(json.loads(sys.stdin.readline()), "the gateway's settings")
    _serve_guarded(settings, _print, _parent_gone)


def _serve_guarded(settings: GatewaySettings, report: Report, end: Callable[[], Awaitable[None]]) -> bool:
    hide_from_debuggers()
    try:
        with closing(Ledger(settings.ledger)) as ledger:
            asyncio.run(_serve(settings, ledger, report, end))
    except ItemFailure as failure:
        report(GatewayReport(reason=failure.reason, message=failure.message))
        return False
    except OSError as error:
        where = error.filename or settings.socket or settings.ledger
        report(GatewayReport(reason=Reason.INFRASTRUCTURE_ERROR, message=f"{where}: {error.strerror or error}"))
        return False
    return True


async def _serve(settings: GatewaySettings, ledger: Ledger, report: Report, end: Callable[[], Awaitable[None]]) -> None:
    token = "isobench-" + secrets.token_urlsafe(24)
    async with aiohttp.ClientSession(
        # A connection that is used once can't have been closed by the provider just before a call is sent on it.
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds, connect=CONNECT_SECONDS),
        trust_env=True,
    ) as upstream:
        gateway = MeteringGateway(settings, ledger, upstream, token)
        runner = web.AppRunner(gateway.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        report(GatewayReport(port=await _listen(runner, settings), socket=settings.socket, token=token))
        await end()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: GatewaySettings) -> int | None:
    """Open the socket that the settings name, or else one on loopback, whose port is returned."""
    if settings.socket is None:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])
    folder = os.open(settings.socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    short = (
        f"/proc/self/fd/{folder}/{settings.socket.name}"  # a socket's path has 107 bytes, a work root's may have more
    )
    await web.UnixSite(runner, short).start()
    settings.socket.chmod(0o600)
    return None


async def _parent_gone() -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), gone.set)
    await gone.wait()
    loop.remove_reader(sys.stdin.fileno())


async def _terminated() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()


def _print(report: GatewayReport) -> None:
    sys.stdout.write(report.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""What the cluster asks the process: /healthz (it answers), /readyz (its caches are filled), /metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from isobench.controller.metrics import CONTENT_TYPE, Metrics


@asynccontextmanager
async def serve(port: int, metrics: Metrics, ready: Callable[[], bool]) -> AsyncIterator[int]:
    """Answer on ``port`` (0: a free one) of all addresses; the port that it became."""
    app = web.Application()

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readiness(_: web.Request) -> web.Response:
        return web.Response(text="ready\n") if ready() else web.Response(status=503, text="caches are being filled\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    app.add_routes([web.get("/healthz", health), web.get("/readyz", readiness), web.get("/metrics", exposition)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, None, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()

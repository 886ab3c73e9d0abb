"""A proxy on loopback between a client and the real API server, which spoils chosen requests, answers and events."""

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp import web

from cluster.api_server import Access

Lines = Callable[[bytes, bool], list[bytes]]
"""What becomes of a line of a watch, and whether kopf reads it."""


class Seen(NamedTuple):
    """One request that passed the proxy, in its order."""

    method: str
    path: str
    watch: bool
    kopf: bool


@dataclass
class Refusal:
    """Answer the next ``times`` matching requests with ``status``; 0 breaks the connection off."""

    method: str
    part: str
    status: int
    times: int
    headers: dict[str, str]
    forwarded: bool
    """Whether the API server gets the request all the same."""


@dataclass
class Proxy:
    """What tests say to the proxy, and what it has seen."""

    access: Access
    folder: Path
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    spoil: dict[str, Lines] = field(default_factory=dict)
    """By a part of the path; only watches that begin afterwards are spoilt."""
    _watches: set[asyncio.Task] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _session: aiohttp.ClientSession | None = None

    @property
    def kubeconfig(self) -> Path:
        """Leads to the API server through the proxy."""
        path = self.folder / "kubeconfig"
        cluster = {"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        user = {"name": "admin", "user": {"token": self.access.token}}
        context = {"name": "proxy", "context": {"cluster": "proxy", "user": "admin"}}
        config = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "proxy"}
        path.write_text(json.dumps(config))
        return path

    def refuse(self, method, part, status, *, times=1, headers=None, forwarded=False) -> Refusal:
        """Spoil the next requests with ``method`` whose path has ``part``; what is left of it says how often."""
        refusal = Refusal(method, part, status, times, headers or {}, forwarded)
        self.refusals.append(refusal)
        return refusal

    def watched(self, part: str, *, kopf: bool = False) -> bool:
        """Whether a watch of a path with ``part`` has begun, by us or by kopf."""
        return any(seen.watch and seen.kopf is kopf and part in seen.path for seen in self.seen)

    def end_watches(self) -> None:
        """Break off every watch that is open."""
        for watch in list(self._watches):
            self._loop.call_soon_threadsafe(watch.cancel)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on; where the API server breaks off, so does the proxy."""
        try:
            return await self._handle(request)
        except (asyncio.CancelledError, aiohttp.ClientError):
            return _broken_off(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = "watch" in request.query
        seen = Seen(request.method, request.path, watch, "kopf" in request.headers.get("User-Agent", ""))
        self.seen.append(seen)
        refusal = next((one for one in self.refusals if one.times and self._matches(one, request)), None)
        if refusal is not None:
            refusal.times -= 1
            return await self._refuse(refusal, request)
        if watch:
            return await self._watch(request, seen)
        async with self._upstream(request) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=_headers(answer))

    @staticmethod
    def _matches(refusal: Refusal, request: web.Request) -> bool:
        return refusal.method == request.method and refusal.part in request.path_qs

    async def _refuse(self, refusal: Refusal, request: web.Request) -> web.Response:
        if refusal.forwarded:
            async with self._upstream(request) as answer:
                await answer.read()
        if refusal.status == 0:
            return _broken_off(request)
        status = {"kind": "Status", "code": refusal.status, "reason": "", "message": "spoilt by the test"}
        return web.json_response(status, status=refusal.status, headers=refusal.headers)

    async def _watch(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        spoil = next((lines for part, lines in self.spoil.items() if part in request.path), None)
        task = asyncio.current_task()
        self._watches.add(task)
        try:
            async with self._upstream(request) as answer:
                response = web.StreamResponse(status=answer.status, headers=_headers(answer))
                await response.prepare(request)
                async for line in _lines(answer):
                    for kept in spoil(line, seen.kopf) if spoil else [line]:
                        await response.write(kept + b"\n")
                return response
        finally:
            self._watches.discard(task)

    def _upstream(self, request: web.Request):
        return self._session.request(
            request.method,
            self.access.url + request.path,
            params=request.query,
            data=request.content if request.can_read_body else None,
            headers={
                name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers
            },
            timeout=aiohttp.ClientTimeout(total=None),
        )


@contextmanager
def faulty_proxy(access: Access, folder: Path) -> Iterator[Proxy]:
    """A proxy before ``access``, in a thread of its own so that other processes may use it."""
    proxy = Proxy(access, folder)
    ready, ending = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(proxy, ready, ending)), name="proxy")
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy._loop.call_soon_threadsafe(ending.set)
        thread.join()


async def _serve(proxy: Proxy, ready: threading.Event, ending: asyncio.Event) -> None:
    proxy._loop = asyncio.get_running_loop()
    trust = ssl.create_default_context(cafile=proxy.access.authority)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=0)) as proxy._session:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.port = runner.addresses[0][1]
        ready.set()
        await ending.wait()
        for watch in list(proxy._watches):
            watch.cancel()
        await runner.cleanup()


def _broken_off(request: web.Request) -> web.Response:
    """No answer: the connection is gone before this is written."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    begun = b""
    async for chunk in answer.content.iter_any():
        *whole, begun = (begun + chunk).split(b"\n")
        for line in whole:
            yield line


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: answer.headers[name] for name in ("Content-Type", "Date", "Retry-After") if name in answer.headers}

"""One request to the API server: sent, counted, its answer parsed once, sent again where that is safe and may help."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import orjson

from isobench.controller.api_errors import ApiError, Refused, Unauthorized, Unavailable, error_for
from isobench.controller.connection import Connection
from isobench.controller.kinds import Kind, Object

ATTEMPTS = 5
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 10.0
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=5)
_SILENCE = 30  # seconds that a watch may be silent beyond the end it was given
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Hooks:
    """What the rest of the controller wants to hear of requests, and to say about them."""

    counted: Callable[[str, str], None] = lambda verb, code: None
    """Called with verb and status code (or `timeout`, `closed`) of every request."""
    heard: Callable[[str], None] = lambda date: None
    """Called with the time that the API server wrote into an answer."""
    before_write: Callable[[], None] = lambda: None
    """Raises NotLeading when this process must not write any more."""
    learned: Callable[[Kind, Object], None] = lambda kind, item: None
    """Called with what the API server answered to a write."""


NO_HOOKS = Hooks()


@dataclass(frozen=True)
class Request:
    """One request: ``verb`` is Kubernetes' word, counted; ``method`` is HTTP's."""

    verb: str
    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Object | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        """As errors name it."""
        return f"{self.verb} {self.path}"


class Transport:
    """One pool of connections to the API server."""

    def __init__(self, connection: Connection, hooks: Hooks) -> None:
        """Nothing is connected before the first request."""
        self.hooks = hooks
        self._connection = connection
        self._opened: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            trust = self._connection.info.as_ssl_context()
            connector = aiohttp.TCPConnector(ssl=trust, limit=0, keepalive_timeout=60)  # every watch keeps one
            plain = ("Accept-Encoding",)  # to compress a list costs the API server more than to send it
            self._opened = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, skip_auto_headers=plain)
        return self._opened

    async def answer(self, request: Request) -> Object:
        """The answer to ``request``, which is sent at most `ATTEMPTS` times.

        Raises:
            ApiError: the last refusal.
        """
        data = None if request.body is None else orjson.dumps(request.body)
        attempt = 1
        while True:
            if request.method != "GET":
                self.hooks.before_write()
            try:
                return await self._send(request, data, again=attempt > 1)
            except ApiError as error:
                if attempt == ATTEMPTS or not may_repeat(request.method, error):
                    raise
                await asyncio.sleep(delay_before_repeat(attempt, error, random.random()))  # noqa: S311 - no secret
                attempt += 1

    async def lines(self, request: Request, seconds: int) -> AsyncIterator[bytes]:
        """The lines of an answer that is still being written, for about ``seconds``.

        Raises:
            ApiError: it was refused, or broke off.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=seconds + _SILENCE)
        try:
            async with self._session.get(
                self._connection.server + request.path,
                params=request.query,
                headers=self._connection.headers(),
                timeout=timeout,
            ) as response:
                await self._check(request, response)
                async for line in _lines(response.content):
                    yield line
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"{request}: {_said(error)}") from error

    async def _send(self, request: Request, data: bytes | None, *, again: bool) -> Object:
        headers = self._connection.headers(again=again)
        if data is not None:
            headers["Content-Type"] = request.content_type
        url = self._connection.server + request.path
        try:
            async with self._session.request(
                request.method, url, params=request.query, data=data, headers=headers
            ) as response:
                await self._check(request, response)
                return parsed(request, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            self.hooks.counted(request.verb, "timeout" if isinstance(error, TimeoutError) else "closed")
            raise Unavailable(f"{request}: {_said(error)}") from error

    async def _check(self, request: Request, response: aiohttp.ClientResponse) -> None:
        self.hooks.counted(request.verb, str(response.status))
        if "Date" in response.headers:
            self.hooks.heard(response.headers["Date"])
        if response.status >= 400:
            wait = response.headers.get("Retry-After", "")
            answer = _status_object(await response.read())
            raise error_for(str(request), response.status, answer, float(wait) if wait.isdigit() else None)


def parsed(request: Request, text: bytes) -> Object:
    """The object that the API server wrote.

    Raises:
        Unavailable: it is none; whoever stands before a server that is away may answer in its place.
    """
    try:
        found: Object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{request}: the answer is no JSON ({text[:80]!r}): is that an API server?") from error
    return found


def may_repeat(method: str, error: ApiError) -> bool:
    """Whether a request that ended in ``error`` may be sent again, and whether that can help."""
    if isinstance(error, Refused | Unauthorized):
        return True
    return isinstance(error, Unavailable) and method != "POST"


def delay_before_repeat(attempt: int, error: ApiError, chance: float) -> float:
    """Seconds to wait after the failed ``attempt``: what the server asked for, else doubling; ``chance`` spreads it."""
    if error.retry_after is not None:
        return min(error.retry_after, _LONGEST_DELAY) * (1 + chance / 10)
    return float(min(_FIRST_DELAY * 2 ** (attempt - 1), _LONGEST_DELAY) * (0.5 + chance / 2))


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Whole lines of any length: the reader's own limit is far below a batch with its ledger."""
    begun: list[bytes] = []
    async for chunk in content.iter_chunked(_CHUNK):
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join([*begun, line])
            begun = []
        if rest:
            begun.append(rest)


def _status_object(body: bytes) -> Object:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {"message": body[:200].decode(errors="replace").strip()}
    return answer if isinstance(answer, dict) else {}


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__

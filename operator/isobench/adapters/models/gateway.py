"""The metering gateway: a proxy to one provider, which alone holds its key and lets no call pass a cap.

Every call is written to the ledger and on disk before it is forwarded, and settled when its usage came back.
"""

import hashlib
import hmac
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
from aiohttp import web

from isobench.adapters.models.gateway_process import GatewaySettings
from isobench.adapters.models.ledger import Ledger
from isobench.adapters.models.provider_bodies import Unbounded, server_sent_events, whole_body
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.model_api import (
    Api,
    BadRequest,
    ModelRequest,
    read_event,
    read_request,
    usage_of,
    without_false_usage,
)
from isobench.engine.money import Answer, Intent, Usage, answered, grant, lost, prices_of, refused

REQUEST_BYTES = 16 * 2**20
REFUSAL_BYTES = 64 * 2**10

# Clients repeat 429 and 5xx by themselves, whatever a header says: what must not be repeated gets a status of neither.
CAP_REACHED = 402
CALL_LOST = 424
CALLS_EXHAUSTED = "calls_exhausted"
QUOTA_USED_UP = b"insufficient_quota"

# A proxy before the provider says these of a server that may have done the work, and may have charged for it.
UNCERTAIN_STATUSES = frozenset({408, 502, 504, *range(520, 528)})
PASSED_HEADERS = ("Retry-After", "Retry-After-Ms", "X-Request-Id", "X-Should-Retry")
DECLINED_STATUSES: Mapping[Reason, int] = {Reason.BUDGET_EXHAUSTED: CAP_REACHED, Reason.MODEL_UNPRICED: 400}
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Declined(Exception):
    """A call that the gateway itself answers, in the shape of the protocol's errors."""

    def __init__(self, status: int, code: Reason | str, message: str, *, retry: bool = False) -> None:
        """``code`` is a `Reason` where one applies."""
        self.status = status
        self.code = str(code)
        self.body = {"error": {"type": "isobench", "code": self.code, "message": message, "param": None}}
        self.retry = retry
        super().__init__(message)

    def response(self) -> web.Response:
        """The answer to the client; ``X-Should-Retry`` is understood by the openai package, the other by our agents."""
        headers = {"X-Should-Retry": str(self.retry).lower(), "X-Isobench-Code": self.code}
        return web.json_response(self.body, status=self.status, headers=headers)


class MeteringGateway:
    """The requests of one attempt's clients, one ledger, one provider."""

    def __init__(self, settings: GatewaySettings, ledger: Ledger, upstream: aiohttp.ClientSession, token: str) -> None:
        """``token`` is what clients have to show; the key stays with ``settings``."""
        self._settings = settings
        self._ledger = ledger
        self._upstream = upstream
        self._token = token.encode()
        self._cap = Decimal(str(settings.cap_usd))
        self._key = settings.key.encode() if settings.key else None
        self._bodies: dict[int, bytes] = {}
        self._lost_bodies: set[bytes] = set()

    def application(self) -> web.Application:
        """The routes of the protocol that the gateway speaks."""
        application = web.Application(middlewares=[self._answer_for], client_max_size=REQUEST_BYTES)
        application.router.add_get("/v1/models", self._models)
        for api in Api:
            application.router.add_post(f"/v1/{api.value}", self._handler(api))
        return application

    @web.middleware
    async def _answer_for(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._check_token(request)
            return await handler(request)
        except Declined as declined:
            return declined.response()

    def _check_token(self, request: web.Request) -> None:
        shown = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(shown, b"Bearer " + self._token):
            raise Declined(401, "not_this_gateway", "this gateway serves the clients that were given its token")

    async def _models(self, _request: web.Request) -> web.StreamResponse:
        models = [{"id": model, "object": "model", "owned_by": "isobench"} for model in self._settings.pricing]
        return web.json_response({"object": "list", "data": models})

    def _handler(self, api: Api) -> Handler:
        async def handle(http: web.Request) -> web.StreamResponse:
            raw = await http.read()
            try:
                request = read_request(api, raw)
            except BadRequest as error:
                raise Declined(400, "invalid_request_error", str(error)) from None
            body = hashlib.sha256(raw).digest()
            self._check_calls(body)
            intent = self._intend(request)
            self._bodies[intent.call] = body
            return await self._forward(http, request, intent)

        return handle

    def _intend(self, request: ModelRequest) -> Intent:
        wanted = request.max_tokens or self._settings.default_max_tokens
        remaining = self._cap - self._ledger.balance.charged_usd
        try:
            prices = prices_of(request.model, self._settings.pricing)
            granted = grant(prices, request.prompt_tokens, wanted, request.answers, remaining)
            return self._ledger.intend(self._settings.attempt, request.model, request.prompt_tokens, granted, _now())
        except ItemFailure as failure:
            raise Declined(DECLINED_STATUSES[failure.reason], failure.reason, failure.message) from None
        except OSError as error:
            raise Declined(507, Reason.DISK_FULL, f"the ledger can't be written: {error.strerror}") from None

    def _check_calls(self, body: bytes) -> None:
        if body in self._lost_bodies:
            message = "this call was made, charged and lost before: it is not made again"
            raise Declined(CALL_LOST, Reason.PAID_ATTEMPT_LOST, message)
        most = self._settings.max_calls
        if most is not None and self._ledger.charged_calls(self._settings.attempt) >= most:
            raise Declined(CAP_REACHED, CALLS_EXHAUSTED, f"all {most} calls of this attempt are used up")

    async def _forward(self, http: web.Request, request: ModelRequest, intent: Intent) -> web.StreamResponse:
        url = f"{self._settings.upstream.rstrip('/')}/{request.api.value}"
        headers = {"Content-Type": "application/json"}
        if self._settings.key:
            headers["Authorization"] = f"Bearer {self._settings.key}"
        body = request.forwarded(intent.max_tokens, self._settings.limit_field)
        try:
            async with self._upstream.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                if answer.status != 200:
                    return await self._pass_refusal(answer, intent)
                if request.streamed:
                    return await self._pass_stream(http, request, answer, intent)
                return await self._pass_answer(answer, intent)
        except _NEVER_SENT as error:
            self._settle(refused(intent, "the provider could not be reached", _now()))
            message = f"{self._settings.upstream} could not be reached ({type(error).__name__})"
            raise Declined(503, Reason.MODEL_UNAVAILABLE, message, retry=True) from None
        except (aiohttp.ClientError, TimeoutError, Unbounded) as error:
            raise self._lost(intent, f"the answer broke off ({type(error).__name__})") from None

    async def _pass_refusal(self, answer: aiohttp.ClientResponse, intent: Intent) -> web.Response:
        body = self._masked(await answer.content.read(REFUSAL_BYTES))
        if answer.status in UNCERTAIN_STATUSES or answer.status < 300:
            raise self._lost(intent, f"the provider answered {answer.status}")
        self._settle(refused(intent, f"the provider answered {answer.status}", _now()))
        if answer.status < 400:
            message = f"the provider redirects ({answer.status}): give its final address as base_url"
            raise Declined(421, Reason.MODEL_UNAVAILABLE, message)
        if QUOTA_USED_UP in body:
            return web.Response(body=body, status=CAP_REACHED, content_type="application/json")
        headers = {name: answer.headers[name] for name in PASSED_HEADERS if name in answer.headers}
        return web.Response(body=body, status=answer.status, content_type="application/json", headers=headers)

    async def _pass_answer(self, answer: aiohttp.ClientResponse, intent: Intent) -> web.Response:
        body = await whole_body(answer.content)
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            raise self._lost(intent, "the answer is not JSON") from None
        self._settle_usage(intent, usage_of(payload))
        shown = without_false_usage(payload) or body
        return web.Response(body=self._masked(shown), content_type="application/json")

    async def _pass_stream(
        self, http: web.Request, request: ModelRequest, answer: aiohttp.ClientResponse, intent: Intent
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        try:
            await response.prepare(http)
            usage, end = await self._relay(request, answer, response)
        except (aiohttp.ClientError, TimeoutError, Unbounded, ConnectionError) as error:
            broken = self._lost(intent, f"the stream broke off ({type(error).__name__})")
            end = b"data: " + json.dumps(broken.body).encode() + b"\n\n"
        else:
            self._settle_usage(intent, usage)
        with suppress(ConnectionError):  # the client may have hung up: the call is settled either way
            await response.write(self._masked(end))
        return response

    async def _relay(
        self, request: ModelRequest, answer: aiohttp.ClientResponse, response: web.StreamResponse
    ) -> tuple[Usage | None, bytes]:
        """Pass events on as they come; the usage, and the last event, which is for when the call is settled."""
        usage: Usage | None = None
        async for event in server_sent_events(answer.content):
            meaning = read_event(event)
            usage = meaning.usage or usage
            shown = meaning.corrected or event
            if meaning.last:
                return usage, shown
            if not meaning.only_usage or (request.shows_usage and meaning.usage is not None):
                await response.write(self._masked(shown))
        raise aiohttp.ClientPayloadError("the stream ended without its last event")

    def _settle_usage(self, intent: Intent, usage: Usage | None) -> None:
        self._settle(answered(intent, usage, prices_of(intent.model, self._settings.pricing), _now()))

    def _lost(self, intent: Intent, detail: str) -> Declined:
        """Charge the reserve; asking again could pay twice, so the client is told not to."""
        self._settle(lost(intent, detail, _now()))
        self._lost_bodies.add(self._bodies[intent.call])
        return Declined(CALL_LOST, Reason.PAID_ATTEMPT_LOST, f"{detail}: the call is charged at its reserve")

    def _settle(self, answer: Answer) -> None:
        try:
            self._ledger.settle(answer)
        except OSError as error:
            sys.stderr.write(f"call {answer.call} stays charged at its reserve: {error.strerror}\n")

    def _masked(self, content: bytes) -> bytes:
        return content.replace(self._key, b"***") if self._key else content


def _now() -> datetime:
    return datetime.now(UTC)

"""What can go wrong on the way to the hub, on request, and the log of all that was asked."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """The next ``times`` requests that match are answered with ``status``, cut off, or lose their answer."""

    method: str
    path: str
    """Regular expression, searched for in the path."""
    kind: Literal["status", "cut off", "answer lost"] = "status"
    status: int = 500
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)

    def strikes(self, request: web.Request) -> bool:
        if self.times == 0 or self.method != request.method or not re.search(self.path, request.path):
            return False
        self.times -= 1
        return True


@dataclass(frozen=True)
class Asked:
    """One request as the log keeps it."""

    method: str
    path: str
    status: int

    @property
    def writes(self) -> bool:
        """Whether it could have changed the hub."""
        return self.method in ("PUT", "DELETE") or bool(
            self.method == "POST" and re.search(r"/create$|/preupload/|/commit/|/objects/batch$", self.path)
        )


@dataclass
class Wire:
    """Every request passes here: faults strike, barriers hold, the log grows."""

    faults: list[Fault] = field(default_factory=list)
    barriers: dict[str, asyncio.Barrier] = field(default_factory=dict)
    """Part of a path to the requests that have to be there before any of them goes on."""
    log: list[Asked] = field(default_factory=list)

    @web.middleware
    async def pass_on(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = next((fault for fault in self.faults if fault.strikes(request)), None)
        if fault is not None and fault.kind == "status":
            answer = web.json_response({"error": "injected"}, status=fault.status, headers=fault.headers)
            return self._logged(request, answer)
        if fault is not None and fault.kind == "cut off":
            return self._hang_up(request)
        for part, barrier in list(self.barriers.items()):
            if part in request.path:
                await barrier.wait()
                self.barriers.pop(part, None)
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            self._logged(request, refusal)
            raise
        return self._hang_up(request) if fault is not None else self._logged(request, response)

    def _logged(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        self.log.append(Asked(request.method, request.path, response.status))
        return response

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        self.log.append(Asked(request.method, request.path, 0))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

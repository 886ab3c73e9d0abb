"""kopf, and what is left to it: it watches our two kinds and says that something happened to an object, nothing else.

It runs in a thread with a loop of its own, as its documentation describes embedding: it may end, or be slow, without
touching the controller's tasks. No handler of it writes, so that it adds no finalizer and no annotation.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import kopf
from kopf._core.engines.peering import Identity

from isobench.controller.connection import Connection
from isobench.controller.kinds import BATCHES, ITEMS, Key, Kind
from isobench.controller.scope import serves
from isobench.controller.settings import ControllerSettings

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30


class Wake(Protocol):
    """Told which of our objects has which resource version, and whether it was deleted."""

    def __call__(self, key: Key, version: str, *, deleted: bool) -> None:
        """``key`` has, or had last, that ``version``."""


class Kopf:
    """kopf's operator in its thread."""

    def __init__(self, settings: ControllerSettings, connection: Connection, wake: Wake) -> None:
        """``wake`` is called on the loop that `run` runs on."""
        self._settings = settings
        self._connection = connection
        self._wake = wake
        self._stop = threading.Event()

    async def run(self) -> None:
        """Run until cancelled; a kopf that ends by itself is started again, and nothing waits for it meanwhile."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                ended = asyncio.Event()
                threading.Thread(target=self._work, args=(loop, ended), name="kopf", daemon=True).start()
                await ended.wait()
                log.warning("kopf ended by itself and is started again in %d s", AGAIN_SECONDS)
                await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._stop.set()

    def _work(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
        """One life of kopf, in its thread."""
        try:
            asyncio.run(self._operate(self._registry(loop)))
        except Exception:
            log.exception("kopf failed")
        finally:
            _call(loop, ended.set)

    async def _operate(self, registry: kopf.OperatorRegistry) -> None:
        namespaces = self._settings.namespaces
        await kopf.operator(
            registry=registry,
            settings=_kopf_settings(),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            # kopf's own name for a process is made of a user's name, which a pod's user need not have.
            identity=Identity(self._settings.identity),
            stop_flag=self._stop,
        )

    def _registry(self, loop: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.ConnectionInfo:
            self._connection.headers(again=True)
            return self._connection.info

        for kind in (ITEMS, BATCHES):
            self._watch(registry, kind, loop)
        return registry

    def _watch(self, registry: kopf.OperatorRegistry, kind: Kind, loop: asyncio.AbstractEventLoop) -> None:
        @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)
        async def changed(body: Any, type: str | None, **_: Any) -> None:
            if serves(self._settings, body):
                version = body["metadata"]["resourceVersion"]
                _call(loop, partial(self._wake, Key.of(kind, body), version, deleted=type == "DELETED"))


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Call ``function`` on the controller's loop; one that is closed has nobody left to be told."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.queueing.idle_timeout = 0.1  # a task for every object that lives for seconds would cost tens of KB each
    settings.watching.chunk_size = 100  # and so would a list that is read at once
    settings.process.ultimate_exiting_timeout = None
    return settings

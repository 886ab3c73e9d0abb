"""The API server as the controller uses it: few verbs, typed errors, objects slimmed to what is worth keeping."""

import logging
from collections.abc import AsyncIterator
from typing import NamedTuple

from isobench.controller.api_errors import AlreadyExists, ApiError, Conflict, NotFound, error_for
from isobench.controller.clock import Clock
from isobench.controller.connection import Connection
from isobench.controller.events import event_manifest
from isobench.controller.kinds import EVENTS, Key, Kind, Object
from isobench.controller.transport import MERGE_PATCH, NO_HOOKS, Hooks, Request, Transport, parsed

log = logging.getLogger(__name__)

PAGE = 500
WATCH_SECONDS = 300
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Listing(NamedTuple):
    """Objects of a list, and the version from which a watch goes on."""

    items: list[Object]
    resource_version: str


class WatchEvent(NamedTuple):
    """`ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, and the object."""

    type: str
    item: Object


class Api:
    """The verbs, over one pool of connections.

    Every method raises ApiError's kinds. Reads, deletes, patches and updates with a precondition are sent again after
    429, 5xx and broken connections; a create only after 429 or 401, because else it may have been done. A write raises
    NotLeading when this process has lost the Lease.
    """

    def __init__(self, connection: Connection, clock: Clock, hooks: Hooks = NO_HOOKS) -> None:
        """Connect lazily; to be closed by `close`, or used as `async with`."""
        self._transport = Transport(connection, hooks)
        self._clock = clock

    async def __aenter__(self) -> "Api":
        """This client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object as it is now, or None."""
        try:
            return _slim(await self._transport.answer(Request("get", "GET", kind.path(namespace, name))))
        except NotFound:
            return None

    async def list(self, kind: Kind, namespace: str | None = None, selector: str = "") -> Listing:
        """Every object that the label ``selector`` takes."""
        items: list[Object] = []
        version = ""
        async for page in self.pages(kind, namespace, selector):
            items.extend(page.items)
            version = page.resource_version
        return Listing(items, version)

    async def pages(self, kind: Kind, namespace: str | None = None, selector: str = "") -> AsyncIterator[Listing]:
        """The same list page by page, all at one version: 10,000 objects are never here twice.

        Raises:
            Gone: reading took so long that the version is not kept any more: begin again.
        """
        query = {"limit": str(PAGE)} | _selection(selector)
        while True:
            page = await self._transport.answer(Request("list", "GET", kind.path(namespace), query))
            yield Listing([_slim(item) for item in page["items"]], page["metadata"]["resourceVersion"])
            if not page["metadata"].get("continue"):
                return
            query = query | {"continue": page["metadata"]["continue"]}

    async def watch(
        self, kind: Kind, namespace: str | None, selector: str, version: str, seconds: int = WATCH_SECONDS
    ) -> AsyncIterator[WatchEvent]:
        """What changed since ``version``, until the server ends the watch after ``seconds``.

        Raises:
            Gone: the version is too old: list again.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        request = Request("watch", "GET", kind.path(namespace), query | _selection(selector))
        async for line in self._transport.lines(request, seconds):
            event = parsed(request, line)
            if event["type"] == "ERROR":
                raise error_for(str(request), event["object"].get("code", 500), event["object"])
            yield WatchEvent(event["type"], _slim(event["object"]))

    async def create(self, kind: Kind, namespace: str, manifest: Object) -> Object:
        """Create ``manifest``, which names itself.

        Raises:
            AlreadyExists: something of that name is there; only its owner's UID says whether it is ours.
        """
        return await self._write(kind, Request("create", "POST", kind.path(namespace), body=_named(kind, manifest)))

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Delete in the background; nothing happens if it is gone, or if ``uid`` is given and another has its name."""
        options: Object = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._transport.answer(Request("delete", "DELETE", kind.path(namespace, name), body=options))
        except NotFound:
            return
        except Conflict:
            if uid is None:
                raise

    async def delete_all(self, kind: Kind, namespace: str, selector: str) -> None:
        """Delete, by one request, every object that the label ``selector`` takes."""
        options: Object = {"propagationPolicy": "Background"}
        path = kind.path(namespace)
        await self._transport.answer(Request("deletecollection", "DELETE", path, _selection(selector), options))

    async def put_status(self, kind: Kind, item: Object, status: Object) -> Object:
        """Replace the status of ``item``, provided that nobody has changed it since it was read.

        Raises:
            Conflict: somebody has.
        """
        return await self._put(kind, item | {"status": status}, "/status")

    async def replace(self, kind: Kind, item: Object) -> Object:
        """Replace all of ``item`` but its status, provided that nobody has changed it since it was read.

        Raises:
            Conflict: somebody has.
        """
        return await self._put(kind, item, "")

    async def patch(self, kind: Kind, namespace: str, name: str, merge: Object) -> Object:
        """Merge ``merge`` into the object (RFC 7386); name a resourceVersion in it to make it conditional."""
        path = kind.path(namespace, name)
        return await self._write(kind, Request("patch", "PATCH", path, body=merge, content_type=MERGE_PATCH))

    async def event(self, about: Object, reason: str, message: str, type_: str = "Normal") -> None:
        """Tell people who `kubectl describe` ``about``, once; an Event that can't be written is only logged."""
        manifest = event_manifest(about, reason, message, type_, self._clock())
        path = EVENTS.path(manifest["metadata"]["namespace"])
        try:
            await self._transport.answer(Request("create", "POST", path, body=manifest))
        except AlreadyExists:
            return
        except ApiError as error:
            log.warning("an event is lost: %s", error)

    async def _put(self, kind: Kind, item: Object, below: str) -> Object:
        key = Key.of(kind, item)
        path = kind.path(key.namespace, key.name) + below
        return await self._write(kind, Request("update", "PUT", path, body=_named(kind, item)))

    async def _write(self, kind: Kind, request: Request) -> Object:
        answer = _slim(await self._transport.answer(request))
        self._transport.hooks.learned(kind, answer)
        return answer


def _named(kind: Kind, item: Object) -> Object:
    """``item`` with the names of its kind, which lists leave out."""
    return {"apiVersion": kind.api_version, "kind": kind.name} | item


def _selection(selector: str) -> dict[str, str]:
    return {"labelSelector": selector} if selector else {}


def _slim(item: Object) -> Object:
    """The object without what only `kubectl apply` and field managers read: up to half of it."""
    metadata = item.get("metadata", {})
    metadata.pop("managedFields", None)
    annotations = metadata.get("annotations")
    if annotations is not None:
        annotations.pop(_LAST_APPLIED, None)
    return item

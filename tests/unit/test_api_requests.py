"""Requests to the API server: what each refusal is, when one is sent again, what people are told, what time it is."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from isobench.controller.api_errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unavailable,
    error_for,
)
from isobench.controller.clock import ServerClock
from isobench.controller.events import event_manifest
from isobench.controller.kinds import ITEMS, JOBS, PODS
from isobench.controller.transport import NO_HOOKS, Request, Transport, delay_before_repeat, may_repeat, parsed

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "Conflict", Conflict),
        (409, "AlreadyExists", AlreadyExists),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Refused),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
    ],
)
def test_a_refusal_is_the_error_that_says_what_to_do_about_it(status, reason, kind):
    error = error_for("create /x", status, {"reason": reason, "message": "because"})
    assert type(error) is kind
    assert str(error) == f"create /x: the API server answered {status}: because"


@pytest.mark.parametrize(
    ("method", "error", "again"),
    [
        ("GET", Unavailable("broken"), True),
        ("PUT", Unavailable("broken"), True),
        ("DELETE", Unavailable("broken"), True),
        ("POST", Unavailable("it may have been done"), False),
        ("POST", Refused("not processed"), True),
        ("GET", Unauthorized("the token was rotated"), True),
        ("PUT", Conflict("changed"), False),
        ("GET", Forbidden("no rule"), False),
        ("PUT", Invalid("bad"), False),
    ],
)
def test_a_request_is_sent_again_only_where_that_is_safe_and_can_help(method, error, again):
    assert may_repeat(method, error) is again


@pytest.mark.parametrize("text", [b"<html>Bad gateway</html>", b"", b"\xff"])
def test_an_answer_that_is_no_json_is_one_of_a_server_that_is_away(text):
    with pytest.raises(Unavailable, match=r"get /x: the answer is no JSON .*: is that an API server\?"):
        parsed(Request("get", "GET", "/x"), text)


def test_the_wait_is_what_the_server_asked_for_or_doubles_within_bounds():
    assert delay_before_repeat(1, Refused("busy", retry_after=3), 0.0) == 3
    assert delay_before_repeat(1, Refused("busy", retry_after=600), 0.0) == 10
    doubling = [delay_before_repeat(attempt, ApiError("x"), 1.0) for attempt in range(1, 9)]
    assert doubling == sorted(doubling)
    assert doubling[1] == 2 * doubling[0]
    assert doubling[-1] == 10


async def serve(reader, writer):
    """An API server that answers at once, and never ends a watch."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    body = b'{"a":"watch"}\n' if "/watched" in head else b'{"a":"list"}'
    length = 1000 if "/watched" in head else len(body)
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode() + body)
    await reader.read()  # until the client closes
    writer.close()


async def ask_beside(watches):
    server = await asyncio.start_server(serve, "127.0.0.1")
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    info = SimpleNamespace(as_ssl_context=lambda: False)
    transport = Transport(SimpleNamespace(server=address, info=info, headers=lambda again=False: {}), NO_HOOKS)
    async with server, AsyncExitStack() as stack:
        stack.push_async_callback(transport.close)
        for _ in range(watches):
            lines = transport.lines(Request("watch", "GET", "/watched"), 60)
            assert await anext(await stack.enter_async_context(aclosing(lines))) == b'{"a":"watch"}'
        return await transport.answer(Request("list", "GET", "/listed"))


def test_a_request_never_waits_for_a_watch_to_end():
    namespaces, kinds = 40, 3
    assert asyncio.run(asyncio.wait_for(ask_beside(namespaces * kinds), 10)) == {"a": "list"}


def test_paths_follow_the_kind():
    assert JOBS.path("team", "j") == "/apis/batch/v1/namespaces/team/jobs/j"
    assert PODS.path("team") == "/api/v1/namespaces/team/pods"
    assert ITEMS.path() == "/apis/isobench.dev/v1alpha1/commitbenchmarks"


def test_telling_the_same_again_is_the_same_event_and_something_else_is_another():
    metadata = {"name": "fix-1", "namespace": "team", "uid": "u1", "resourceVersion": "7"}
    about = {"apiVersion": ITEMS.api_version, "kind": ITEMS.name, "metadata": metadata}

    def name(message, now):
        return event_manifest(about, "Recorded", message, "Normal", now)["metadata"]["name"]

    assert name("stored", NOON) == name("stored", NOON + timedelta(hours=1))
    assert name("stored", NOON) != name("lost", NOON)
    manifest = event_manifest(about, "Recorded", "x" * 5000, "Warning", NOON)
    assert len(manifest["message"]) == 1024
    assert manifest["involvedObject"]["uid"] == "u1"


def test_an_hour_between_the_clocks_is_put_right_and_a_second_is_left_alone():
    clock = ServerClock(lambda: NOON)
    clock.heard("Thu, 01 Jan 2026 12:00:02 GMT")
    assert clock() == NOON
    behind = ServerClock(lambda: NOON)
    behind.heard("Thu, 01 Jan 2026 13:00:00 GMT")
    assert behind() == NOON + timedelta(hours=1)


def test_the_servers_time_is_asked_for_again_when_the_local_clock_was_set():
    local = [NOON]
    clock = ServerClock(lambda: local[0])
    clock.heard("Thu, 01 Jan 2026 12:00:00 GMT")
    local[0] = NOON - timedelta(hours=1)
    clock.heard("Thu, 01 Jan 2026 12:00:01 GMT")
    assert abs(clock() - NOON) < timedelta(seconds=2)

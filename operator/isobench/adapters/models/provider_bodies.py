"""What a provider sends, read within bounds: a whole body, or server-sent events."""

import re
from collections.abc import AsyncIterator

import aiohttp

ANSWER_BYTES = 16 * 2**20
EVENT_BYTES = 4 * 2**20

_EVENT_END = re.compile(rb"\r?\n\r?\n")


class Unbounded(Exception):
    """An answer that is larger than it may be."""


async def whole_body(content: aiohttp.StreamReader) -> bytes:
    """All of ``content``.

    Raises:
        Unbounded: it is more than 16 MiB.
    """
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise Unbounded
    return bytes(body)


async def server_sent_events(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Events as they come, each with the blank line that ends it; a torn one at the end is dropped.

    Raises:
        Unbounded: one is more than 4 MiB, or they are more than 16 MiB together.
    """
    pending, received = b"", 0
    async for chunk in content.iter_any():
        received += len(chunk)
        if received > ANSWER_BYTES or len(pending) > EVENT_BYTES:
            raise Unbounded
        *events, pending = _EVENT_END.split(pending + chunk)
        for event in events:
            yield event + b"\n\n"
    if pending.endswith(b"\n"):
        yield pending + b"\n"

"""The provider as a server in threads of the test's own process, so that a test can look into it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from llmserver.replies import (
    Breaks,
    Fails,
    Garbage,
    Hangs,
    Reply,
    Says,
    chat_body,
    chat_events,
    error_body,
    responses_body,
    responses_events,
)


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


Script = Sequence[Reply | Callable[[Asked], Reply]]


@dataclass
class ModelServer:
    """A running provider: its base URL, what it will say next, what it was asked, and what it charges for."""

    base_url: str
    script: list[Reply | Callable[[Asked], Reply]]
    asked: list[Asked] = field(default_factory=list)
    books: list[Says] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_reply(self, asked: Asked) -> Reply:
        """The script's next reply, or what its function makes of the request; the last one is repeated."""
        with self.lock:
            self.asked.append(asked)
            entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return entry(asked) if callable(entry) else entry

    def charge(self, reply: Reply) -> None:
        """Enter an answer in the books before any of it is given: whoever hangs up pays too."""
        if isinstance(reply, Fails):
            return
        with self.lock:
            self.books.append(reply if isinstance(reply, Says) else reply.answer)


@contextmanager
def running_model(script: Script, host: str = "127.0.0.1", port: int = 0) -> Iterator[ModelServer]:
    """A provider that gives these replies in order, for as long as the block lasts."""
    server = _Server((host, port), _Handler)
    model = server.model = ModelServer(f"http://{host}:{server.server_address[1]}/v1", list(script))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ModelServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        asked = Asked(self.path, dict(self.headers), json.loads(raw))
        assert isinstance(self.server, _Server)
        reply = self.server.model.next_reply(asked)
        self.server.model.charge(reply)
        try:
            self._give(asked, reply)
        except ConnectionError:
            self.close_connection = True

    def _give(self, asked: Asked, reply: Reply) -> None:
        match reply:
            case Says():
                self._answer(asked, reply)
            case Hangs():
                reply.reached.set()
                reply.until.wait()
                self._answer(asked, reply.answer)
            case Fails():
                self._whole(error_body(reply), reply.status, reply.headers)
            case Garbage():
                self._whole(reply.body, 200, {"Content-Type": reply.content_type})
            case Breaks():
                self._break(asked, reply.answer)

    def _answer(self, asked: Asked, says: Says) -> None:
        if not asked.body.get("stream"):
            self._whole(_body(asked, says), 200, {})
            return
        self._start_stream()
        for event in _events(asked, says):
            self._chunk(event)
        self._chunk(b"")

    def _break(self, asked: Asked, says: Says) -> None:
        self.close_connection = True
        if asked.body.get("stream"):
            self._start_stream()
            events = list(_events(asked, says))
            for event in events[: len(events) // 2]:
                self._chunk(event)
            return
        body = _body(asked, says)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])

    def _whole(self, body: bytes, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing: the test asks `asked`."""


def _body(asked: Asked, says: Says) -> bytes:
    return responses_body(says) if asked.path.endswith("/responses") else chat_body(says)


def _events(asked: Asked, says: Says) -> Iterator[bytes]:
    if asked.path.endswith("/responses"):
        return responses_events(says)
    wanted = bool((asked.body.get("stream_options") or {}).get("include_usage"))
    return chat_events(says, with_usage=wanted and says.usage is not None)

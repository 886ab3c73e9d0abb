"""What a scripted provider can say, and how each looks on the wire: as one body, or as server-sent events."""

import itertools
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

MODEL = "scripted"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Says:
    """An answer; ``usage`` replaces the counted one, and None leaves it out."""

    text: str = "hello"
    prompt_tokens: int = 100
    completion_tokens: int = 20
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    ending: str = "stop"
    refusal: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    usage: Mapping[str, Any] | None = field(default_factory=dict)

    @classmethod
    def tool(cls, name: str, /, thought: str = "", **arguments: object) -> Self:
        """A call of one tool, as agents take them."""
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": f"call_{next(_NUMBERS)}", "type": "function", "function": function}
        return cls(thought, ending="tool_calls", tool_calls=(call,))

    @classmethod
    def finish(cls, message: str = "done") -> Self:
        """The call by which an OpenHands agent says that it is done."""
        return cls.tool("finish", message=message)


@dataclass(frozen=True)
class Fails:
    """An error, in the protocol's shape."""

    status: int
    code: str | None = None
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Retry-After-Ms": "1"})


@dataclass(frozen=True)
class Garbage:
    """A success whose body is this; the provider charges for ``answer``."""

    body: bytes
    content_type: str = "application/json"
    answer: Says = field(default_factory=Says)


@dataclass(frozen=True)
class Breaks:
    """An answer whose connection dies before its last event, or in the middle of its body."""

    answer: Says = field(default_factory=Says)


@dataclass(frozen=True)
class Hangs:
    """An answer that does not come before ``until`` is set; ``reached`` says that it was asked for."""

    until: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    answer: Says = field(default_factory=Says)


Reply = Says | Fails | Garbage | Breaks | Hangs


def error_body(fails: Fails) -> bytes:
    error = {"message": fails.message, "type": "provider", "code": fails.code, "param": None}
    return json.dumps({"error": error}).encode()


def chat_body(says: Says) -> bytes:
    message = {"role": "assistant", "content": says.text, "refusal": says.refusal}
    if says.tool_calls:
        message["tool_calls"] = list(says.tool_calls)
    choice = {"index": 0, "message": message, "finish_reason": says.ending, "logprobs": None}
    return json.dumps(_with_usage(_chat("chat.completion", _identity(), [choice]), chat_usage(says))).encode()


def chat_events(says: Says, *, with_usage: bool) -> Iterator[bytes]:
    name = _identity()
    for word in says.text.split(" "):
        yield _event(_chat("chat.completion.chunk", name, [_delta({"role": "assistant", "content": word + " "})]))
    for index, call in enumerate(says.tool_calls):
        yield _event(_chat("chat.completion.chunk", name, [_delta({"tool_calls": [{**call, "index": index}]})]))
    yield _event(_chat("chat.completion.chunk", name, [_delta({}, says.ending)]))
    if with_usage:
        yield _event(_with_usage(_chat("chat.completion.chunk", name, []), chat_usage(says)))
    yield b"data: [DONE]\n\n"


def responses_body(says: Says) -> bytes:
    return json.dumps(_response(says, "completed")).encode()


def responses_events(says: Says) -> Iterator[bytes]:
    yield _event({"type": "response.created", "sequence_number": 0, "response": _response(says, "in_progress")})
    for number, word in enumerate(says.text.split(" "), start=1):
        event = {"type": "response.output_text.delta", "sequence_number": number, "delta": word + " "}
        yield _event(event | {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []})
    yield _event({"type": "response.completed", "sequence_number": 99, "response": _response(says, "completed")})


def chat_usage(says: Says) -> Mapping[str, Any] | None:
    if says.usage is None:
        return None
    return says.usage or {
        "prompt_tokens": says.prompt_tokens,
        "completion_tokens": says.completion_tokens,
        "total_tokens": says.prompt_tokens + says.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": says.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": says.reasoning_tokens},
    }


def _response(says: Says, status: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": says.text, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [part]}
    calls = [_function_call(call) for call in says.tool_calls]
    usage = {
        "input_tokens": says.prompt_tokens,
        "output_tokens": says.completion_tokens,
        "total_tokens": says.prompt_tokens + says.completion_tokens,
        "input_tokens_details": {"cached_tokens": says.cached_tokens},
        "output_tokens_details": {"reasoning_tokens": says.reasoning_tokens},
    }
    return {
        "id": _identity(),
        "object": "response",
        "created_at": 0,
        "model": MODEL,
        "status": status,
        "output": [*([message] if says.text else []), *calls],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if status == "completed" else None,
    }


def _function_call(call: Mapping[str, Any]) -> dict[str, Any]:
    item = {"type": "function_call", "id": f"fc_{call['id']}", "call_id": call["id"], "status": "completed"}
    return item | call["function"]


def _identity() -> str:
    return f"answer-{next(_NUMBERS)}"


def _chat(kind: str, name: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": name, "object": kind, "created": 0, "model": MODEL, "choices": choices}


def _delta(delta: dict[str, Any], ending: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": ending}


def _with_usage(body: dict[str, Any], usage: Mapping[str, Any] | None) -> dict[str, Any]:
    return body if usage is None else body | {"usage": dict(usage)}


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"

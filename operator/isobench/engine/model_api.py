"""The OpenAI request and answer shapes (chat completions, responses), as far as money depends on them.

What a request can cost must be known before it is sent. Its prompt is bounded by its bytes: a tokeniser makes at most
one token of a byte. What this bound does not cover, or what has a price of its own, is refused: fields that are not
listed here, content other than text, tools that run at the provider, state that is kept there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from isobench.engine.money import Usage

TEMPLATE_TOKENS = 1024
"""Prompt tokens that a provider may add by itself: chat template, tool preamble."""

SETTINGS = {
    "frequency_penalty", "logit_bias", "logprobs", "metadata", "min_p", "model", "parallel_tool_calls",
    "presence_penalty", "prompt_cache_key", "reasoning", "reasoning_effort", "repetition_penalty", "safety_identifier",
    "seed", "stop", "store", "stream", "stream_options", "temperature", "thinking", "tool_choice", "tools", "top_k",
    "top_logprobs", "top_p", "user", "verbosity",
}  # fmt: skip
TEXT_PARTS = {"text", "refusal", "input_text", "output_text", "summary_text", "reasoning_text"}
CLIENT_TOOLS = {"function", "custom"}
CONTENT_ITEMS = {
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
}  # fmt: skip


class BadRequest(ValueError):
    """A request that is malformed, or whose price can't be bounded."""


class Api(StrEnum):
    """One of the two shapes; the value is its path below the base URL."""

    CHAT = "chat/completions"
    RESPONSES = "responses"


ALLOWED: Mapping[Api, set[str]] = {
    Api.CHAT: SETTINGS | {"max_completion_tokens", "max_tokens", "messages", "n", "response_format"},
    Api.RESPONSES: SETTINGS | {"include", "input", "instructions", "max_output_tokens", "text", "truncation"},
}
LIMITS: Mapping[Api, tuple[str, ...]] = {
    Api.CHAT: ("max_completion_tokens", "max_tokens"),
    Api.RESPONSES: ("max_output_tokens",),
}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request whose cost is bounded by ``prompt_tokens``, and ``answers`` times ``max_tokens`` (None: not said)."""

    api: Api
    model: str
    body: Mapping[str, Any]
    prompt_tokens: int
    max_tokens: int | None
    answers: int
    streamed: bool

    @property
    def shows_usage(self) -> bool:
        """Whether the client of a stream asked for the chunk with the usage."""
        options = self.body.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True

    def forwarded(self, max_tokens: int, limit_field: str) -> bytes:
        """The body to send: at most ``max_tokens`` an answer, usage reported, nothing stored at the provider.

        ``limit_field`` is the name for the limit where the client gave none in a chat request.
        """
        default = (limit_field,) if self.api is Api.CHAT else LIMITS[self.api]
        names = tuple(name for name in LIMITS[self.api] if name in self.body) or default
        body = {**self.body, **dict.fromkeys(names, max_tokens)}
        if self.api is Api.RESPONSES:
            body["store"] = False
        elif self.streamed:
            body["stream_options"] = {"include_usage": True}
        return _encoded(body)


def read_request(api: Api, raw: bytes) -> ModelRequest:
    """The request in ``raw``.

    Raises:
        BadRequest: it is not a JSON object of the shape, or its price can't be bounded.
    """
    body = _object(raw)
    unknown = sorted(set(body) - ALLOWED[api])
    if unknown:
        raise BadRequest(f"{', '.join(unknown)}: not among the fields whose cost is known; leave it out")
    for item in _items(body, api):
        _check_item(item)
    for tool in _list(body, "tools"):
        if tool.get("type") not in CLIENT_TOOLS:
            raise BadRequest(f"tools: {tool.get('type')!r} runs at the provider at a price of its own; leave it out")
    model = body.get("model")
    if not isinstance(model, str):
        raise BadRequest("model: name one")
    limits = [_count(body, name) for name in LIMITS[api] if body.get(name) is not None]
    return ModelRequest(
        api=api,
        model=model,
        body={name: value for name, value in body.items() if value is not None},
        prompt_tokens=len(_encoded(body)) + TEMPLATE_TOKENS,
        max_tokens=min(limits, default=None),
        answers=_count(body, "n") if body.get("n") is not None else 1,
        streamed=body.get("stream") is True,
    )


def usage_of(payload: object) -> Usage | None:
    """The usage that an answer or an event reports; None when there is none, or none that can be true."""
    if not isinstance(payload, dict):
        return None
    reported = _holder(payload).get("usage")
    if not isinstance(reported, dict):
        return None
    prompt, prompt_details = _reported(reported, "prompt_tokens", "input_tokens")
    completion, completion_details = _reported(reported, "completion_tokens", "output_tokens")
    if prompt < 1 or completion < 1:
        return None
    try:
        return Usage(
            prompt,
            completion,
            cached_tokens=_integer(prompt_details.get("cached_tokens", 0)),
            reasoning_tokens=_integer(completion_details.get("reasoning_tokens", 0)),
        )
    except ValueError:
        return None


def without_false_usage(payload: object) -> bytes | None:
    """The answer or event without its usage, which can't be true and which a client would add up; else None."""
    if not isinstance(payload, dict) or usage_of(payload) is not None:
        return None
    holder = _holder(payload)
    if not isinstance(holder.get("usage"), dict):
        return None
    kept = {name: value for name, value in holder.items() if name != "usage"}
    return _encoded(kept if holder is payload else payload | {"response": kept})


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """What one server-sent event means for money."""

    usage: Usage | None = None
    last: bool = False
    only_usage: bool = False
    corrected: bytes | None = None
    """The event as its client may see it, where its usage can't be true."""


def read_event(event: bytes) -> StreamEvent:
    """The meaning of one server-sent ``event``, its lines as received; an unreadable one means nothing."""
    data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
    if data == b"[DONE]":
        return StreamEvent(last=True)
    try:
        payload = json.loads(data)
    except (ValueError, RecursionError):
        return StreamEvent()
    if not isinstance(payload, dict):
        return StreamEvent()
    credible = without_false_usage(payload)
    others = [line for line in event.splitlines() if line and not line.startswith(b"data:")]
    return StreamEvent(
        usage=usage_of(payload),
        last=payload.get("type") in ("response.completed", "response.incomplete", "response.failed"),
        only_usage=payload.get("choices") == [] and "usage" in payload,
        corrected=None if credible is None else b"\n".join([*others, b"data: " + credible]) + b"\n\n",
    )


def _holder(payload: dict[str, Any]) -> dict[str, Any]:
    """Where an answer or an event has its usage."""
    response = payload.get("response")
    return response if isinstance(response, dict) else payload


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="surrogatepass")


def _items(body: Mapping[str, Any], api: Api) -> Iterator[Mapping[str, Any]]:
    if api is Api.CHAT:
        yield from _list(body, "messages")
    elif not isinstance(body.get("input"), str):
        yield from _list(body, "input")


def _check_item(item: Mapping[str, Any]) -> None:
    if item.get("type", "message") not in CONTENT_ITEMS:
        raise BadRequest(
            f"input: {item.get('type')!r} stands for text that is not in the request; send the text itself"
        )
    for name in ("content", "output", "summary"):
        if not isinstance(item.get(name), list):
            continue
        for part in _list(item, name):
            if part.get("type") not in TEXT_PARTS:
                raise BadRequest(f"{name}: {part.get('type')!r} can't be priced before it is sent; send text only")
            if "cache_control" in part:
                raise BadRequest(f"{name}: cache_control has a price of its own; turn prompt caching marks off")


def _list(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = body.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest(f"{name}: must be a list of objects")
    return entries


def _count(body: Mapping[str, Any], name: str) -> int:
    value = body[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadRequest(f"{name}: must be a whole number of at least 1 (got {value!r})")
    return value


def _reported(usage: Mapping[str, Any], *names: str) -> tuple[int, Mapping[str, Any]]:
    for name in names:
        if name in usage:
            details = usage.get(f"{name}_details")
            return _integer(usage[name]), details if isinstance(details, dict) else {}
    return 0, {}


def _integer(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0

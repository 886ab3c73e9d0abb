"""The provider's protocol, as far as money depends on it: what a request can cost, and what usage can be believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.engine.model_api import Api, BadRequest, ModelRequest, StreamEvent, read_event, read_request, usage_of
from isobench.engine.money import Usage

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
RESPONSES: dict[str, Any] = {"model": "m", "input": "hi"}


def chat(**fields: object) -> ModelRequest:
    return read_request(Api.CHAT, json.dumps(CHAT | fields).encode())


def responses(**fields: object) -> ModelRequest:
    return read_request(Api.RESPONSES, json.dumps(RESPONSES | fields).encode())


@given(st.text(max_size=500))
def test_the_prompt_is_bounded_by_the_bytes_that_are_sent(text: str) -> None:
    request = chat(messages=[{"role": "user", "content": text}])
    assert request.prompt_tokens >= len(text.encode("utf-8", errors="surrogatepass"))
    assert request.prompt_tokens >= len(request.forwarded(16, "max_tokens"))


def test_the_smaller_of_two_limits_holds_and_both_are_lowered() -> None:
    request = chat(max_tokens=900, max_completion_tokens=800)
    body = json.loads(request.forwarded(50, "max_tokens"))
    assert request.max_tokens == 800
    assert (body["max_tokens"], body["max_completion_tokens"]) == (50, 50)


def test_a_request_without_a_limit_gets_one_by_the_name_that_the_provider_knows() -> None:
    request = chat()
    assert request.max_tokens is None
    assert json.loads(request.forwarded(77, "max_completion_tokens"))["max_completion_tokens"] == 77
    assert json.loads(responses().forwarded(77, "max_tokens"))["max_output_tokens"] == 77


def test_a_stream_is_asked_for_its_usage_whatever_the_client_wanted() -> None:
    request = chat(stream=True, stream_options={"include_usage": False})
    assert not request.shows_usage
    assert json.loads(request.forwarded(5, "max_tokens"))["stream_options"] == {"include_usage": True}


def test_nothing_is_kept_at_the_provider() -> None:
    assert json.loads(responses(store=True).forwarded(5, "max_tokens"))["store"] is False


def test_several_answers_are_counted() -> None:
    assert chat(n=3).answers == 3


@pytest.mark.parametrize(
    ("api", "fields", "named"),
    [
        (Api.CHAT, {"web_search_options": {}}, "web_search_options"),
        (Api.CHAT, {"service_tier": "priority"}, "service_tier"),
        (Api.CHAT, {"modalities": ["audio"], "audio": {}}, "audio, modalities"),
        (Api.CHAT, {"plugins": [{"id": "web"}]}, "plugins"),
        (Api.CHAT, {"models": ["dearer"]}, "models"),
        (Api.CHAT, {"tools": [{"type": "web_search"}]}, "web_search"),
        (Api.CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        (
            Api.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "", "cache_control": {}}]}]},
            "cache_control",
        ),
        (Api.CHAT, {"messages": "hi"}, "messages"),
        (Api.CHAT, {"max_tokens": -5}, "max_tokens"),
        (Api.CHAT, {"max_tokens": 10.5}, "max_tokens"),
        (Api.CHAT, {"n": 0}, "n"),
        (Api.CHAT, {"model": None}, "model"),
        (Api.RESPONSES, {"previous_response_id": "resp_1"}, "previous_response_id"),
        (Api.RESPONSES, {"background": True}, "background"),
        (Api.RESPONSES, {"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        (Api.RESPONSES, {"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input_file"),
    ],
)
def test_what_cannot_be_priced_beforehand_is_refused_by_name(api: Api, fields: dict[str, Any], named: str) -> None:
    body = (CHAT if api is Api.CHAT else RESPONSES) | fields
    with pytest.raises(BadRequest, match=named):
        read_request(api, json.dumps(body).encode())


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="JSON"):
        read_request(Api.CHAT, raw)


def test_both_shapes_of_usage_are_read_with_cached_and_reasoning_tokens() -> None:
    of_chat = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    of_responses = {
        "input_tokens": 10,
        "output_tokens": 5,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    assert usage_of({"usage": of_chat}) == usage_of({"response": {"usage": of_responses}}) == Usage(10, 5, 4, 2)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -5, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -5},
        {"prompt_tokens": "5", "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": -1}},
    ],
)
def test_a_usage_that_cannot_be_true_is_none(usage: object) -> None:
    assert usage_of({"usage": usage}) is None


def test_null_details_mean_no_details() -> None:
    assert usage_of({"usage": {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": None}}) == Usage(
        5, 5
    )


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        (b"data: [DONE]\n\n", StreamEvent(last=True)),
        (b'data: {"choices": [], "usage": null}\n\n', StreamEvent(only_usage=True)),
        (
            b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n',
            StreamEvent(Usage(3, 2), only_usage=True),
        ),
        (b'data: {"choices": [{"delta": {}}]}\n\n', StreamEvent()),
        (
            b'event: response.completed\ndata: {"type": "response.completed", '
            b'"response": {"usage": {"input_tokens": 3, "output_tokens": 2}}}\n\n',
            StreamEvent(Usage(3, 2), last=True),
        ),
        (
            b'event: response.completed\ndata: {"type": "response.completed", '
            b'"response": {"id": "r", "usage": {"input_tokens": -3, "output_tokens": 2}}}\n\n',
            StreamEvent(
                last=True,
                corrected=b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}\n\n',
            ),
        ),
        (b": a comment\n\n", StreamEvent()),
        (b"data: {broken\n\n", StreamEvent()),
        (b"data: 5\n\n", StreamEvent()),
    ],
)
def test_what_a_streamed_event_means(event: bytes, meaning: StreamEvent) -> None:
    assert read_event(event) == meaning

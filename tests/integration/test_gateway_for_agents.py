"""The gateway as an agent meets it: behind a Unix socket, with its calls counted, in a pod of its own."""

import multiprocessing
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import openai
import pytest

from isobench.adapters.models.gateway_process import Gateway, GatewayReport, GatewaySettings
from isobench.adapters.models.gateway_service import serve_until_terminated
from isobench.adapters.models.ledger import Ledger
from isobench.contracts.reasons import Reason
from isobench.engine.money import Grant, Prices, Usage, answered
from llmserver import Breaks, Fails, Says, running_model
from llmserver.metered import HELLO, KEY, client_of, setting, settings_for

TOOLS = [{"type": "function", "function": {"name": "finish", "parameters": {"type": "object", "properties": {}}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "finish", "arguments": "{}"}}


@pytest.fixture
def socket() -> Iterator[Path]:
    """A path that is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="isobench-") as folder:
        yield Path(folder, "gateway.sock")


def test_a_socket_serves_its_owner(tmp_path: Path, socket: Path) -> None:
    with setting(tmp_path, Says("fine"), socket=socket) as scene:
        answer = scene.client.chat.completions.create(model="m", messages=HELLO)
        assert answer.choices[0].message.content == "fine"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600


def test_tool_calls_pass_whole_and_streamed(tmp_path: Path, socket: Path) -> None:
    with setting(tmp_path, Says("", tool_calls=[CALL], ending="tool_calls"), socket=socket) as scene:
        asked = {"model": "m", "messages": HELLO, "tools": TOOLS}
        (call,) = scene.client.chat.completions.create(**asked).choices[0].message.tool_calls
        assert (call.function.name, call.function.arguments) == ("finish", "{}")
        chunks = list(scene.client.chat.completions.create(**asked, stream=True))
        deltas = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
        assert deltas[0].function.name == "finish"
        assert "".join(delta.function.arguments for delta in deltas) == "{}"
        (item,) = scene.client.responses.create(model="m", input="hello").output
        assert (item.type, item.name, item.arguments) == ("function_call", "finish", "{}")


def test_no_more_calls_are_made_than_the_attempt_may_make(tmp_path: Path) -> None:
    with setting(tmp_path, Says(), max_calls=2) as scene:
        for _ in range(2):
            scene.client.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(openai.APIStatusError, match="all 2 calls") as refusal:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert (refusal.value.status_code, refusal.value.code) == (402, "calls_exhausted")
        assert len(scene.provider.asked) == 2


def test_a_call_that_the_provider_refused_does_not_count(tmp_path: Path) -> None:
    with setting(tmp_path, Fails(503), Fails(429), Says(), max_calls=1) as scene:
        scene.client.chat.completions.create(model="m", messages=HELLO)
        with pytest.raises(openai.APIStatusError, match="all 1 calls"):
            scene.client.chat.completions.create(model="m", messages=HELLO)


def test_calls_of_an_earlier_attempt_do_not_count(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        ledger.intend(7, "m", 10, Grant(16, Decimal("0.001")), datetime.now(UTC))
    with setting(tmp_path, Says(), max_calls=1) as scene:
        scene.client.chat.completions.create(model="m", messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
def test_a_lost_call_and_a_used_up_quota_have_statuses_that_no_client_repeats(tmp_path: Path, stream: bool) -> None:
    repeated = {408, 409, 429, *range(500, 600)}
    with setting(tmp_path, Fails(502), Fails(429, "insufficient_quota")) as scene:
        for text in ("one", "two"):
            messages = [{"role": "user", "content": text}]
            with pytest.raises(openai.APIStatusError) as error:
                scene.client.chat.completions.create(model="m", messages=messages, stream=stream)
            assert error.value.status_code not in repeated
        assert len(scene.provider.asked) == 2


def test_a_torn_stream_of_a_tool_call_is_charged_at_its_reserve(tmp_path: Path) -> None:
    with setting(tmp_path, Breaks(Says("a b c", tool_calls=[CALL]))) as scene:
        with pytest.raises(openai.APIError):
            list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=True))
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd


def test_a_call_waits_for_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    with closing(Ledger(tmp_path / "ledger.jsonl")) as ledger:
        monkeypatch.setattr(os, "fsync", synced.append)
        intent = ledger.intend(1, "m", 10, Grant(100, Decimal("0.25")), datetime.now(UTC))
        assert len(synced) == 1
        prices = Prices(Decimal(1), Decimal(1), Decimal(1))
        ledger.settle(answered(intent, Usage(10, 5), prices, datetime.now(UTC)))
        assert len(synced) == 1


def test_a_lost_call_is_not_made_again_by_a_client_that_insists(tmp_path: Path) -> None:
    with setting(tmp_path, Breaks(), Says()) as scene:
        for said in ("broke off", "is not made again"):
            with pytest.raises(openai.APIError, match=said):
                list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=True))
        assert len(scene.provider.asked) == 1
        other = [{"role": "user", "content": "something else"}]
        scene.client.chat.completions.create(model="m", messages=other)
        assert len(scene.provider.asked) == 2


def in_a_pod(settings: GatewaySettings, reports: Connection) -> None:
    serve_until_terminated(settings, lambda report: reports.send(report.model_dump(mode="json")))


@contextmanager
def pod(settings: GatewaySettings) -> Iterator[tuple[GatewayReport, SpawnProcess]]:
    """What a gateway in a process of its own reports first."""
    reports, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=in_a_pod, args=(settings, theirs))
    process.start()
    assert reports.poll(60)
    yield GatewayReport.parse(reports.recv(), "the report"), process
    process.terminate()
    process.join(30)


def test_a_gateway_in_a_pod_serves_until_it_is_terminated(tmp_path: Path, socket: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with running_model([Says("fine")]) as provider:
        with pod(settings_for(provider.base_url, ledger, socket=socket)) as (report, process):
            assert report.token is not None
            with client_of(Gateway("http://gateway/v1", report.token, 0, socket)) as client:
                answer = client.chat.completions.create(model="m", messages=HELLO)
                assert answer.choices[0].message.content == "fine"
        assert process.exitcode == 0
    assert KEY not in report.model_dump_json() + ledger.read_text()


def test_a_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    nowhere = tmp_path / "missing" / "gateway.sock"
    with pod(settings_for("http://127.0.0.1:1", tmp_path / "ledger.jsonl", socket=nowhere)) as (report, _):
        assert report.reason is Reason.INFRASTRUCTURE_ERROR
        assert str(nowhere.parent) in report.message


def test_a_socket_may_lie_deeper_than_sockets_can_be_named(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    with setting(tmp_path, Says(), socket=deep / "gateway.sock") as scene:
        assert stat.S_ISSOCK((deep / "gateway.sock").stat().st_mode)
        assert scene.gateway.socket == deep / "gateway.sock"

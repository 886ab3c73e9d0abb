"""The gateway between the real openai client and a scripted provider: metered, capped, and silent about the key."""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import openai
import pytest

from isobench.adapters.models.gateway_process import running_gateway
from isobench.adapters.models.ledger import Ledger, read_entries
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.money import balance
from llmserver import Breaks, Fails, Garbage, Hangs, Says
from llmserver.metered import HELLO, KEY, client_of, setting, settings_for


def ended(pid: int) -> bool:
    """Whether the process has ended, waiting for it at most 20 s."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 20)[0])
    finally:
        os.close(descriptor)


def test_a_chat_completion_is_metered_with_cached_and_reasoning_tokens(tmp_path: Path) -> None:
    says = Says("fine", prompt_tokens=1_000, completion_tokens=100, cached_tokens=400, reasoning_tokens=60)
    with setting(tmp_path, says) as scene:
        answer = scene.client.chat.completions.create(model="m", messages=HELLO, max_tokens=300)
        assert answer.choices[0].message.content == "fine"
        assert scene.balance.spent_usd == Decimal("0.0012") + Decimal("0.0002") + Decimal("0.0008")
        assert scene.answers[0].usage is not None
        assert scene.answers[0].usage.reasoning_tokens == 60
        assert scene.provider.asked[0].body["max_tokens"] == 300


def test_a_streamed_chat_completion_is_metered_and_looks_as_the_client_asked(tmp_path: Path) -> None:
    with setting(tmp_path, Says("one two three", 50, 30)) as scene:
        chunks = list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three "
        assert scene.balance.spent_usd == Decimal("0.00034")
        options = {"include_usage": True}
        chunks = list(
            scene.client.chat.completions.create(model="m", messages=HELLO, stream=True, stream_options=options)
        )
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.prompt_tokens == 50


def test_the_responses_api_is_metered_streamed_or_not(tmp_path: Path) -> None:
    with setting(tmp_path, Says("one two", 50, 30)) as scene:
        answer = scene.client.responses.create(model="m", input="hello", max_output_tokens=64)
        assert answer.output_text == "one two"
        events = list(scene.client.responses.create(model="m", input="hello", stream=True))
        assert events[-1].type == "response.completed"
        assert scene.balance.spent_usd == 2 * Decimal("0.00034")
        assert scene.provider.asked[0].body["store"] is False


def test_an_intent_is_on_disk_before_the_provider_is_asked(tmp_path: Path) -> None:
    hangs = Hangs()
    with setting(tmp_path, hangs) as scene:
        asking = threading.Thread(
            target=scene.client.chat.completions.create, kwargs={"model": "m", "messages": HELLO, "max_tokens": 10}
        )
        asking.start()
        assert hangs.reached.wait(20)
        assert [intent.max_tokens for intent in scene.intents] == [10]
        assert scene.balance.reserved_usd > 0
        hangs.until.set()
        asking.join()
        assert scene.balance.reserved_usd == 0


def test_max_tokens_is_lowered_so_that_the_cap_holds(tmp_path: Path) -> None:
    with setting(tmp_path, Says(), cap=0.005) as scene:
        scene.client.chat.completions.create(model="m", messages=HELLO, max_tokens=100_000)
        (intent,) = scene.intents
        assert scene.provider.asked[0].body["max_tokens"] == intent.max_tokens < 1_000
        assert intent.reserved_usd <= Decimal("0.005")


def test_the_call_that_could_pass_the_cap_is_refused_and_never_forwarded(tmp_path: Path) -> None:
    with setting(tmp_path, Says(), cap=0.001) as scene:
        with pytest.raises(openai.APIStatusError) as refusal:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert refusal.value.status_code == 402
        assert refusal.value.code == Reason.BUDGET_EXHAUSTED
        assert scene.provider.asked == []
        assert scene.intents == []


def test_calls_at_once_share_the_cap(tmp_path: Path) -> None:
    hangs = Hangs()
    with setting(tmp_path, hangs, cap=0.0075) as scene:
        refused = []

        def ask() -> None:
            try:
                scene.client.chat.completions.create(model="m", messages=HELLO, max_tokens=600)
            except openai.APIStatusError as error:
                refused.append(error.status_code)
                if len(refused) == 7:
                    hangs.until.set()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert hangs.reached.wait(20)
        for thread in threads:
            thread.join()
        assert refused == [402] * 7
        assert sum(intent.reserved_usd for intent in scene.intents) <= Decimal("0.0075")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": -9, "completion_tokens": 5},
        {"prompt_tokens": "many", "completion_tokens": 5},
    ],
    ids=["missing", "zero", "negative", "words"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_usage_that_cannot_be_true_is_charged_at_its_reserve(
    tmp_path: Path, usage: dict[str, object] | None, stream: bool
) -> None:
    with setting(tmp_path, Says(usage=usage)) as scene:
        shown = {"stream_options": {"include_usage": True}} if stream else {}
        answer = scene.client.chat.completions.create(model="m", messages=HELLO, stream=stream, **shown)
        assert [part.usage for part in (answer if stream else [answer]) if part.usage] == [], "no client believes it"
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd
        assert scene.answers[0].outcome == "lost"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_dies_in_the_answer_is_charged_at_the_reserve_and_not_asked_again(
    tmp_path: Path, stream: bool
) -> None:
    with setting(tmp_path, Breaks()) as scene:
        with pytest.raises(openai.APIError) as error:
            list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=stream))
        assert error.value.code == Reason.PAID_ATTEMPT_LOST
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd
        assert len(scene.provider.asked) == 1


@pytest.mark.parametrize("body", [b"{not json", b"", b"<html>"])
def test_an_unreadable_answer_is_charged_at_the_reserve_and_not_asked_again(tmp_path: Path, body: bytes) -> None:
    with setting(tmp_path, Garbage(body)) as scene:
        with pytest.raises(openai.APIStatusError) as error:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert error.value.code == Reason.PAID_ATTEMPT_LOST
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd
        assert len(scene.provider.asked) == 1


def test_a_stream_of_garbage_is_charged_at_the_reserve(tmp_path: Path) -> None:
    with setting(tmp_path, Garbage(b"\x00" * 100_000, "text/event-stream")) as scene:
        with pytest.raises(openai.APIError):
            list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=True))
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd


@pytest.mark.parametrize("stream", [False, True])
def test_an_endless_answer_is_cut_off(tmp_path: Path, stream: bool) -> None:
    with setting(tmp_path, Garbage(b'"' + b"x" * (17 * 2**20) + b'"')) as scene:
        with pytest.raises(openai.APIError):
            list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=stream))
        assert scene.answers[0].outcome == "lost"


def test_a_client_that_hangs_up_in_a_stream_is_charged_at_the_reserve(tmp_path: Path) -> None:
    more_than_sockets_hold = Says("word " * 60_000)
    with setting(tmp_path, more_than_sockets_hold) as scene:
        stream = scene.client.chat.completions.create(model="m", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
        scene.client.close()
        with client_of(scene.gateway) as another:  # the gateway goes on
            another.models.list()
    assert scene.balance.charged_usd == scene.intents[0].reserved_usd


def test_a_provider_that_does_not_answer_in_time_is_charged_at_the_reserve_and_not_asked_again(tmp_path: Path) -> None:
    hangs = Hangs()
    with setting(tmp_path, hangs, timeout=0.3) as scene:
        with pytest.raises(openai.APIStatusError) as error:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        hangs.until.set()
        assert error.value.code == Reason.PAID_ATTEMPT_LOST
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd
        assert len(scene.provider.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_busy_provider_is_asked_again_and_charges_nothing(tmp_path: Path, status: int) -> None:
    with setting(tmp_path, Fails(status), Fails(status), Says(prompt_tokens=50, completion_tokens=30)) as scene:
        scene.client.chat.completions.create(model="m", messages=HELLO)
        assert [answer.outcome for answer in scene.answers] == ["refused", "refused", "answered"]
        assert scene.balance.charged_usd == Decimal("0.00034")


@pytest.mark.parametrize("status", [502, 504, 524])
def test_a_proxy_error_of_which_nobody_knows_what_it_cost_is_charged_and_not_repeated(
    tmp_path: Path, status: int
) -> None:
    with setting(tmp_path, Fails(status)) as scene:
        with pytest.raises(openai.APIStatusError):
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert scene.balance.spent_usd == scene.intents[0].reserved_usd
        assert len(scene.provider.asked) == 1


def test_a_used_up_quota_is_final(tmp_path: Path) -> None:
    with setting(tmp_path, Fails(429, "insufficient_quota")) as scene:
        with pytest.raises(openai.APIStatusError) as error:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert (error.value.status_code, error.value.code) == (402, "insufficient_quota")
        assert len(scene.provider.asked) == 1
        assert scene.balance.charged_usd == 0


def test_a_redirect_is_not_followed_with_the_key(tmp_path: Path) -> None:
    with setting(tmp_path, Fails(307, headers={"Location": "http://127.0.0.1:1/elsewhere"})) as scene:
        with pytest.raises(openai.APIStatusError, match="final address"):
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert scene.balance.charged_usd == 0


def test_a_provider_that_cannot_be_reached_charges_nothing(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        ledger = tmp_path / "ledger.jsonl"
        with (
            running_gateway(settings_for(upstream, ledger), tmp_path / "log") as gateway,
            client_of(gateway).with_options(max_retries=0) as client,
            pytest.raises(openai.InternalServerError, match="could not be reached"),
        ):
            client.chat.completions.create(model="m", messages=HELLO)
        assert balance(read_entries(ledger)).charged_usd == 0


def test_only_priced_models_are_listed_and_served(tmp_path: Path) -> None:
    with setting(tmp_path, Says()) as scene:
        assert [model.id for model in scene.client.models.list()] == ["m"]
        with pytest.raises(openai.BadRequestError, match="has no price"):
            scene.client.chat.completions.create(model="dearer", messages=HELLO)
        assert scene.provider.asked == []


def test_what_cannot_be_priced_is_not_forwarded(tmp_path: Path) -> None:
    with setting(tmp_path, Says()) as scene:
        with pytest.raises(openai.BadRequestError, match="service_tier"):
            scene.client.chat.completions.create(model="m", messages=HELLO, service_tier="priority")
        with pytest.raises(openai.APIStatusError) as error:
            scene.client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x" * (17 * 2**20)}])
        assert error.value.status_code == 413
        assert scene.provider.asked == []


def test_a_stranger_on_this_machine_is_not_served(tmp_path: Path) -> None:
    with setting(tmp_path, Says()) as scene:
        stranger = scene.client.with_options(api_key="sk-guess")
        with pytest.raises(openai.AuthenticationError, match="given its token"):
            stranger.chat.completions.create(model="m", messages=HELLO)
        assert scene.provider.asked == []


def test_only_the_provider_sees_the_key(tmp_path: Path) -> None:
    leaky = Says(f"your key is {KEY}")
    with setting(tmp_path, Fails(401, message=f"bad key {KEY}"), leaky, leaky) as scene:
        with pytest.raises(openai.AuthenticationError) as error:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert KEY not in str(error.value)
        answer = scene.client.chat.completions.create(model="m", messages=HELLO)
        chunks = list(scene.client.chat.completions.create(model="m", messages=HELLO, stream=True))
        seen = answer.to_json() + "".join(chunk.to_json() for chunk in chunks)
        assert "***" in seen
        assert KEY not in seen
        for name in ("cmdline", "environ"):
            with suppress(PermissionError):  # which is as good: nobody but root may look
                assert KEY.encode() not in Path(f"/proc/{scene.gateway.pid}/{name}").read_bytes()
        assert {asked.headers["Authorization"] for asked in scene.provider.asked} == {f"Bearer {KEY}"}
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes()


def test_a_gateway_listens_on_loopback_only(tmp_path: Path) -> None:
    with setting(tmp_path, Says()) as scene:
        port = int(scene.gateway.base_url.rsplit(":", 1)[1].removesuffix("/v1"))
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
        assert listening == [f"0100007F:{port:04X}"]


def test_a_call_that_the_ledger_cannot_take_is_not_forwarded(tmp_path: Path) -> None:
    with setting(tmp_path, Says()) as scene:
        resource.prlimit(scene.gateway.pid, resource.RLIMIT_FSIZE, (50, 50))
        with pytest.raises(openai.APIStatusError, match="ledger can't be written") as error:
            scene.client.chat.completions.create(model="m", messages=HELLO)
        assert error.value.code == Reason.DISK_FULL
        assert scene.provider.asked == []
        assert scene.intents == []


def test_a_gateway_that_is_killed_leaves_its_call_charged_at_the_reserve(tmp_path: Path) -> None:
    hangs = Hangs()
    with setting(tmp_path, hangs) as scene:
        errors: list[openai.APIError] = []

        def ask() -> None:
            try:
                scene.client.with_options(max_retries=0).chat.completions.create(model="m", messages=HELLO)
            except openai.APIConnectionError as error:
                errors.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert hangs.reached.wait(20)
        os.kill(scene.gateway.pid, signal.SIGKILL)
        asking.join()
        hangs.until.set()
    assert len(errors) == 1
    assert scene.balance.reserved_usd == scene.intents[0].reserved_usd > 0
    with setting(tmp_path, Says(), cap=float(scene.balance.reserved_usd)) as again:
        with pytest.raises(openai.APIStatusError) as refusal:
            again.client.chat.completions.create(model="m", messages=HELLO)
        assert refusal.value.status_code == 402


def test_a_gateway_ends_with_its_parent(tmp_path: Path) -> None:
    parent = """
import sys
from pathlib import Path
from isobench.adapters.models.gateway_process import GatewaySettings, running_gateway
settings = GatewaySettings.model_validate_json(sys.stdin.readline())
with running_gateway(settings, Path(sys.argv[1])) as gateway:
    print(gateway.pid, flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", parent, tmp_path / "log"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    settings = settings_for("http://127.0.0.1:1", tmp_path / "ledger.jsonl")
    process.stdin.write(settings.model_dump_json() + "\n")
    process.stdin.flush()
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    assert ended(pid)
    Ledger(tmp_path / "ledger.jsonl").close()  # nobody holds it


def test_a_gateway_that_cannot_have_its_ledger_says_why(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with (
        pytest.raises(ItemFailure, match="in use by another gateway"),
        running_gateway(settings_for("http://127.0.0.1:1", tmp_path / "ledger.jsonl"), tmp_path / "log"),
    ):
        pass
    ledger.close()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with (
        pytest.raises(ItemFailure) as failure,
        running_gateway(settings_for("http://127.0.0.1:1", blocked / "ledger.jsonl"), tmp_path / "log"),
    ):
        pass
    assert str(blocked) in failure.value.message


def test_the_settings_do_not_show_the_key() -> None:
    assert KEY not in repr(settings_for("http://127.0.0.1:1", Path("l")))
    assert json.loads(settings_for("http://127.0.0.1:1", Path("l")).model_dump_json())["key"] == KEY

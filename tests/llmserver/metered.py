"""A client, the metering gateway, and a scripted provider behind it, with their ledger in hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai

from isobench.adapters.models.gateway_process import Gateway, GatewaySettings, running_gateway
from isobench.adapters.models.ledger import read_entries
from isobench.contracts.configuration import Price
from isobench.engine.money import Answer, Balance, Intent, balance
from llmserver.replies import Reply
from llmserver.server import ModelServer, running_model

KEY = "sk-provider-key-that-nobody-may-see"
PRICE = Price(input=2.0, output=8.0, cached=0.5)
HELLO = [{"role": "user", "content": "hello"}]


@dataclass(frozen=True)
class Setting:
    """A client, the gateway that it talks to, and the provider behind it."""

    client: openai.OpenAI
    gateway: Gateway
    provider: ModelServer
    ledger: Path

    @property
    def balance(self) -> Balance:
        return balance(read_entries(self.ledger))

    @property
    def answers(self) -> list[Answer]:
        return [entry for entry in read_entries(self.ledger) if isinstance(entry, Answer)]

    @property
    def intents(self) -> list[Intent]:
        return [entry for entry in read_entries(self.ledger) if isinstance(entry, Intent)]


def client_of(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=gateway.base_url,
        api_key=gateway.token,
        max_retries=2,
        timeout=30,
        http_client=httpx2.Client(transport=httpx2.HTTPTransport(uds=gateway.socket and str(gateway.socket))),
    )


def settings_for(
    upstream: str,
    ledger: Path,
    cap: float = 1.0,
    timeout: float = 20.0,
    *,
    socket: Path | None = None,
    max_calls: int | None = None,
    price: Price = PRICE,
) -> GatewaySettings:
    return GatewaySettings(
        upstream=upstream,
        key=KEY,
        pricing={"m": price},
        cap_usd=cap,
        ledger=ledger,
        attempt=1,
        timeout_seconds=timeout,
        default_max_tokens=1_000,
        socket=socket,
        max_calls=max_calls,
    )


@contextmanager
def setting(
    tmp_path: Path,
    *script: Reply,
    cap: float = 1.0,
    timeout: float = 20.0,
    socket: Path | None = None,
    max_calls: int | None = None,
) -> Iterator[Setting]:
    ledger = tmp_path / "ledger.jsonl"
    with running_model(script) as provider:
        settings = settings_for(provider.base_url, ledger, cap, timeout, socket=socket, max_calls=max_calls)
        with running_gateway(settings, tmp_path / "log") as gateway, client_of(gateway) as client:
            yield Setting(client, gateway, provider, ledger)

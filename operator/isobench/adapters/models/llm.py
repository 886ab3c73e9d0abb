"""Language models through the openai package, always by way of the metering gateway; and the one cost model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import openai
from openai.types.chat import (
    ChatCompletionAssistantMessageParam,
    ChatCompletionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionUserMessageParam,
)

from isobench.adapters.models.gateway_process import Gateway, GatewaySettings
from isobench.contracts.base import InvalidInput
from isobench.contracts.configuration import Configuration
from isobench.contracts.extraction import Extraction
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.generation import Preview, first_question, preview
from isobench.engine.money import Prices, Usage, prices_of
from isobench.engine.test_prompt import Message

RETRIES = 3
GATEWAY_SECONDS = 30.0
"""How much longer the client waits than the gateway, which settles a call that takes too long."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model said; ``ending`` is the protocol's finish reason."""

    text: str
    ending: str
    refusal: str | None = None


class LLMConfigManager:
    """The configured model: its prices, its key by the name of a variable, and how it is asked."""

    def __init__(self, configuration: Configuration, variables: Mapping[str, str]) -> None:
        """``variables`` are the environment's, and those of the `.env` beside the configuration."""
        self._llm = configuration.llm
        self._pricing = configuration.pricing
        self._variables = variables

    def model(self, override: str | None = None) -> str:
        """The model's name: ``override``, else the configured one.

        Raises:
            InvalidInput: neither is given.
        """
        name = override or self._llm.model
        if name is None:
            raise InvalidInput("[llm] model", ["is missing: name the model that writes tests"])
        return name

    def prices(self, model: str | None = None) -> Prices:
        """The prices of ``model``, else of the configured one.

        Raises:
            ItemFailure: MODEL_UNPRICED.
        """
        return prices_of(self.model(model), self._pricing)

    def get_cost_estimate(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0, model: str | None = None
    ) -> float:
        """Dollars at list prices for so many tokens; ``cached_tokens`` are part of ``prompt_tokens``.

        Raises:
            ItemFailure: MODEL_UNPRICED.
            ValueError: a count is negative, or more is cached than was prompted.
        """
        usage = Usage(prompt_tokens, completion_tokens, cached_tokens)
        return float(self.prices(model).cost(usage))

    def first_question(self, extraction: Extraction) -> tuple[Message, ...]:
        """What the model is asked for a test of ``extraction``."""
        return first_question(extraction, self._llm)

    def preview(self, messages: tuple[Message, ...], cap_usd: float, model: str | None = None) -> Preview:
        """What asking ``messages`` is expected to cost; calls nothing.

        Raises:
            ItemFailure: MODEL_UNPRICED.
        """
        return preview(messages, self._llm, self.prices(model), cap_usd)

    def require_usable(self, model: str | None = None, provider: str | None = None) -> None:
        """Find out, without a call, whether the model could be asked.

        Raises:
            ItemFailure: MODEL_UNPRICED, or MODEL_UNAUTHORIZED when there is no key.
            InvalidInput: no model or no base URL is configured, or another ``provider`` than the one that is meant.
        """
        if provider not in (None, self._llm.provider):
            problem = f"the batch asks {provider} and {self._llm.provider} is configured; add --provider {provider}"
            raise InvalidInput("test.generate.provider", [problem])
        self.prices(model)
        self._base_url()
        self._key()

    def gateway_settings(
        self,
        ledger: Path,
        attempt: int,
        cap_usd: float,
        model: str | None = None,
        *,
        max_calls: int | None = None,
        socket: Path | None = None,
    ) -> GatewaySettings:
        """What a gateway to the provider is told, the key included: it keeps ``ledger`` as a whole below ``cap_usd``.

        ``max_calls`` bounds what this attempt is charged for; it listens on ``socket``, else on loopback.

        Raises:
            ItemFailure: the model can't be used.
            InvalidInput: no model or no base URL is configured.
        """
        self.require_usable(model)
        name = self.model(model)
        return GatewaySettings(
            upstream=self._base_url(),
            key=self._key(),
            pricing={name: self._pricing[name]},
            cap_usd=cap_usd,
            ledger=ledger,
            attempt=attempt,
            max_calls=max_calls,
            socket=socket,
            timeout_seconds=self._llm.timeout_seconds,
            default_max_tokens=self._llm.max_tokens,
            limit_field=self._limit_field(),
        )

    def complete(self, messages: Sequence[Message], gateway: Gateway, model: str | None = None) -> Completion:
        """Ask once; busy and broken providers are asked again a few times, as long as nothing can be paid twice.

        Raises:
            ItemFailure: MODEL_UNAUTHORIZED, MODEL_UNAVAILABLE, BUDGET_EXHAUSTED, DISK_FULL, or PAID_ATTEMPT_LOST when
                the call was charged and its answer is gone.
        """
        try:
            answer = self._client(gateway).chat.completions.create(
                model=self.model(model),
                messages=[_parameter(message) for message in messages],
                temperature=self._llm.temperature,
                extra_body={self._limit_field(): self._llm.max_tokens},
            )
        except openai.APIError as error:
            raise self._failure(error, self.model(model)) from None
        if not answer.choices:
            return Completion(text="", ending="empty")
        choice = answer.choices[0]
        return Completion(choice.message.content or "", choice.finish_reason or "unknown", choice.message.refusal)

    def _client(self, gateway: Gateway) -> openai.OpenAI:
        return openai.OpenAI(
            api_key=gateway.token,
            base_url=gateway.base_url,
            timeout=self._llm.timeout_seconds + GATEWAY_SECONDS,
            max_retries=RETRIES,
            http_client=openai.DefaultHttpxClient(trust_env=False),  # loopback is never behind a proxy
        )

    def _limit_field(self) -> Literal["max_tokens", "max_completion_tokens"]:
        """OpenAI's own newer models know only the longer name, other servers often only the shorter."""
        return "max_completion_tokens" if self._llm.provider == "openai" else "max_tokens"

    def _base_url(self) -> str:
        address = self._llm.base_url
        if address is None:
            raise InvalidInput("[llm] base_url", [f"is missing: give the address of {self._llm.provider}'s API"])
        if not address.startswith(("http://", "https://")):
            raise InvalidInput("[llm] base_url", [f"{address!r} is not an http:// or https:// address"])
        return address

    def _key(self) -> str | None:
        variable = self._llm.api_key_env
        if variable is None:
            return None
        key = self._variables.get(variable, "").strip()
        if not key:
            raise ItemFailure(
                Reason.MODEL_UNAUTHORIZED, f"{variable} is not set: put the key for {self._llm.provider} into it"
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ItemFailure(
                Reason.MODEL_UNAUTHORIZED, f"{variable} holds characters that no key has: copy the key into it again"
            )
        return key

    def _failure(self, error: openai.APIError, model: str) -> ItemFailure:
        status = error.status_code if isinstance(error, openai.APIStatusError) else None
        said = _said(error)
        if error.type == "isobench" and error.code in list(Reason):
            return ItemFailure(Reason(error.code), said)
        if status in (401, 403):
            variable = self._llm.api_key_env or "api_key_env, which is not configured,"
            message = f"{self._llm.provider} refuses the key in {variable} ({status}: {said})"
            return ItemFailure(Reason.MODEL_UNAUTHORIZED, message)
        where = f"{status}: " if status else ""
        return ItemFailure(
            Reason.MODEL_UNAVAILABLE, f"{self._llm.provider} did not answer for {model!r} ({where}{said})"
        )


def _said(error: openai.APIError) -> str:
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return str(message or error.message)[:300]


def _parameter(message: Message) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return ChatCompletionSystemMessageParam(role="system", content=message.content)
        case "user":
            return ChatCompletionUserMessageParam(role="user", content=message.content)
        case "assistant":
            return ChatCompletionAssistantMessageParam(role="assistant", content=message.content)

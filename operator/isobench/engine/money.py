"""Money: prices, what a call reserves, what still fits a cap, what it cost, and the fold of a ledger.

Dollars are `Decimal`. A price is a whole number of millionths of a dollar per million tokens, so that every amount is a
whole number of 10^-12 dollars: sums are exact, don't drift, and don't depend on their order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Annotated, Literal, Self

from pydantic import Field

from isobench.contracts.configuration import Price
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import Cost

PRICED_TOKENS = 1_000_000
PRICE_GRAIN = Decimal("0.000001")
SMALLEST_ANSWER = 16
"""Tokens below which an answer is of no use: a call that can't be granted as many is refused."""

ZERO = Decimal(0)
NotNegative = Annotated[Decimal, Field(ge=0)]
"""Dollars as a ledger's line may have them; any other line can't be read."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counts them: cached ones are part of the prompt, reasoning of the completion.

    Raises:
        ValueError: a count is negative, or a part is larger than its whole.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that can't be."""
        if not 0 <= self.cached_tokens <= self.prompt_tokens:
            raise ValueError(f"{self.cached_tokens} cached of {self.prompt_tokens} prompt tokens can't be")
        if not 0 <= self.reasoning_tokens <= self.completion_tokens:
            raise ValueError(
                f"{self.reasoning_tokens} reasoning of {self.completion_tokens} completion tokens can't be"
            )


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars per million tokens of one model."""

    input: Decimal
    output: Decimal
    cached: Decimal

    @classmethod
    def of(cls, price: Price) -> Self:
        """The prices as configured; cached input costs what input costs where nothing is said of it."""
        cached = price.input if price.cached is None else price.cached
        return cls(input=dollars(price.input), output=dollars(price.output), cached=dollars(cached))

    def cost(self, usage: Usage) -> Decimal:
        """Dollars for ``usage``; reasoning tokens cost what completion tokens cost."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        return (
            fresh * self.input + usage.cached_tokens * self.cached + usage.completion_tokens * self.output
        ) / PRICED_TOKENS

    def reserve(self, prompt_tokens: int, max_tokens: int) -> Decimal:
        """The most that a call of so many tokens can cost."""
        return (prompt_tokens * max(self.input, self.cached) + max_tokens * self.output) / PRICED_TOKENS


def dollars(amount: float) -> Decimal:
    """A configured amount as an exact one, rounded up to a millionth of a dollar."""
    return Decimal(str(amount)).quantize(PRICE_GRAIN, ROUND_CEILING)


def prices_of(model: str, pricing: Mapping[str, Price]) -> Prices:
    """The prices of ``model``.

    Raises:
        ItemFailure: MODEL_UNPRICED; a model without a price can't be used.
    """
    if model not in pricing:
        known = ", ".join(sorted(pricing)) or "none"
        raise ItemFailure(
            Reason.MODEL_UNPRICED,
            f"model {model!r} has no price (priced: {known}): add a table [pricing.{model!r}] with input and output, "
            "in dollars per million tokens, to the configuration",
        )
    return Prices.of(pricing[model])


@dataclass(frozen=True, slots=True)
class Grant:
    """What a call may have: answers of at most ``max_tokens`` each, for at most ``reserved_usd`` together."""

    max_tokens: int
    reserved_usd: Decimal


def grant(prices: Prices, prompt_tokens: int, max_tokens: int, answers: int, remaining: Decimal) -> Grant:
    """The call as it fits into ``remaining`` dollars: ``max_tokens`` of each of its ``answers`` is lowered as needed.

    Raises:
        ItemFailure: BUDGET_EXHAUSTED; not even a short answer fits.
    """
    granted = min(max_tokens, _affordable(prices, prompt_tokens, answers, remaining, max_tokens))
    if granted < min(max_tokens, SMALLEST_ANSWER):
        needed = prices.reserve(prompt_tokens, answers * SMALLEST_ANSWER)
        raise ItemFailure(
            Reason.BUDGET_EXHAUSTED,
            f"a call of up to {prompt_tokens} prompt tokens can cost ${needed:.6f} and ${max(remaining, ZERO):.6f} "
            "is left of the cap: raise the cap, or take a cheaper model",
        )
    return Grant(granted, prices.reserve(prompt_tokens, answers * granted))


def _affordable(prices: Prices, prompt_tokens: int, answers: int, remaining: Decimal, wanted: int) -> int:
    left = remaining - prices.reserve(prompt_tokens, 0)
    if left < 0:
        return 0
    if prices.output == 0:
        return wanted
    return int(left * PRICED_TOKENS // (answers * prices.output))


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that is about to be made, written before it is forwarded."""

    call: int
    attempt: int
    at: datetime
    model: str
    prompt_tokens: int
    max_tokens: int
    reserved_usd: NotNegative
    kind: Literal["intent"] = "intent"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an intent: answered at its usage, refused by the provider for nothing, or lost at its reserve."""

    call: int
    at: datetime
    outcome: Literal["answered", "refused", "lost"]
    spent_usd: NotNegative
    usage: Usage | None = None
    detail: str = ""
    kind: Literal["answer"] = "answer"


Entry = Intent | Answer


def answered(intent: Intent, usage: Usage | None, prices: Prices, at: datetime) -> Answer:
    """The call was answered; without a credible ``usage`` it is charged at its reserve."""
    if usage is None:
        return lost(intent, "the answer carried no credible usage", at)
    return Answer(intent.call, at, "answered", prices.cost(usage), usage)


def refused(intent: Intent, detail: str, at: datetime) -> Answer:
    """The provider did no work for the call: nothing is charged."""
    return Answer(intent.call, at, "refused", ZERO, detail=detail)


def lost(intent: Intent, detail: str, at: datetime) -> Answer:
    """The provider may have worked for the call, and what it cost is unknown: its reserve is charged."""
    return Answer(intent.call, at, "lost", intent.reserved_usd, detail=detail)


@dataclass(frozen=True, slots=True)
class Balance:
    """A ledger in one line: what answers cost, and what intents without an answer hold."""

    spent_usd: Decimal = ZERO
    reserved_usd: Decimal = ZERO
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def charged_usd(self) -> Decimal:
        """Everything that counts against the cap."""
        return self.spent_usd + self.reserved_usd

    def cost(self, estimate_usd: float = 0.0) -> Cost:
        """The same as status, journal and record say it."""
        return Cost(
            estimate_usd=estimate_usd,
            measured_usd=float(self.charged_usd),
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
        )


def balance(entries: Iterable[Entry], attempt: int | None = None) -> Balance:
    """Fold a ledger, or one ``attempt`` of it; the order of the entries and repetitions of them don't matter."""
    intents: dict[int, Intent] = {}
    answers: dict[int, Answer] = {}
    for entry in entries:
        if isinstance(entry, Intent):
            intents[entry.call] = entry
        elif entry.call not in answers or answers[entry.call].spent_usd < entry.spent_usd:
            answers[entry.call] = entry
    calls = [call for call, intent in intents.items() if attempt is None or intent.attempt == attempt]
    settled = [answers[call] for call in calls if call in answers]
    usages = [answer.usage for answer in settled if answer.usage is not None]
    return Balance(
        spent_usd=sum((answer.spent_usd for answer in settled), ZERO),
        reserved_usd=sum((intents[call].reserved_usd for call in calls if call not in answers), ZERO),
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
    )


def charged_calls(entries: Iterable[Entry], attempt: int) -> int:
    """How many calls of ``attempt`` were made, or may have been: all but those that the provider refused."""
    own: set[int] = set()
    refusals: set[int] = set()
    for entry in entries:
        if isinstance(entry, Intent):
            if entry.attempt == attempt:
                own.add(entry.call)
        elif entry.outcome == "refused":
            refusals.add(entry.call)
    return len(own - refusals)

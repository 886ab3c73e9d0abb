"""Money: exact sums, grants that can't pass a cap, and a fold that repetition and order don't change."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.contracts.configuration import Price
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.engine.money import (
    SMALLEST_ANSWER,
    Answer,
    Entry,
    Intent,
    Prices,
    Usage,
    answered,
    balance,
    dollars,
    grant,
    lost,
    prices_of,
    refused,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
PRICES = Prices.of(Price(input=2.0, output=8.0, cached=0.5))

amounts = st.decimals(min_value=0, max_value=200, places=6).map(float)
prices = st.builds(Price, input=amounts, output=amounts, cached=st.none() | amounts).map(Prices.of)
caps = st.decimals(min_value=0, max_value=20, places=4)
calls = st.lists(
    st.tuples(
        st.integers(1, 300_000),  # bound on the prompt
        st.integers(1, 50_000),  # max_tokens
        st.integers(1, 3),  # answers
        st.floats(0, 1),  # share of the bounds that was used
        st.sampled_from(["answered", "refused", "lost", "pending", "unreported"]),
    ),
    max_size=12,
)


def intent(call: int = 1, attempt: int = 1, reserved: str = "0.5") -> Intent:
    return Intent(call, attempt, NOW, "m", 100, 100, Decimal(reserved))


def test_cost_is_list_price_times_tokens_and_cached_tokens_have_their_own_price() -> None:
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000, cached_tokens=400_000, reasoning_tokens=100_000)
    assert PRICES.cost(usage) == Decimal("1.2") + Decimal("0.2") + Decimal("4")


def test_cached_input_costs_what_input_costs_where_nothing_is_said() -> None:
    assert Prices.of(Price(input=3.0, output=15.0)).cached == Decimal(3)


def test_ten_thousand_tiny_costs_add_up_without_drift() -> None:
    price = Prices.of(Price(input=0.1, output=0.1))
    assert sum((price.cost(Usage(1, 0)) for _ in range(10_000)), Decimal(0)) == Decimal("0.001")


@pytest.mark.parametrize(
    "counts", [(-1, 0, 0, 0), (0, -1, 0, 0), (5, 5, 6, 0), (5, 5, -1, 0), (5, 5, 0, 6), (5, 5, 0, -1)]
)
def test_a_usage_that_cannot_be_is_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="can't be"):
        Usage(*counts)


def test_a_model_without_a_price_cannot_be_used_and_the_remedy_is_named() -> None:
    with pytest.raises(ItemFailure) as failure:
        prices_of("new-model", {"old-model": Price(input=1, output=1)})
    assert failure.value.reason is Reason.MODEL_UNPRICED
    assert "[pricing.'new-model']" in failure.value.message
    assert "old-model" in failure.value.message


def test_max_tokens_is_lowered_to_what_the_cap_leaves() -> None:
    granted = grant(PRICES, 1_000, 10_000, 1, Decimal("0.01"))
    assert granted.max_tokens == 1_000
    assert granted.reserved_usd == Decimal("0.01")


def test_a_call_whose_prompt_alone_could_pass_the_cap_is_refused() -> None:
    with pytest.raises(ItemFailure) as failure:
        grant(PRICES, 1_000_000, 10, 1, Decimal("1.99"))
    assert failure.value.reason is Reason.BUDGET_EXHAUSTED
    assert "$1.990000 is left" in failure.value.message


def test_a_useless_rest_is_not_granted() -> None:
    left = PRICES.reserve(10, SMALLEST_ANSWER - 1)
    with pytest.raises(ItemFailure):
        grant(PRICES, 10, 1_000, 1, left)
    assert grant(PRICES, 10, 5, 1, left).max_tokens == 5


def test_a_free_model_needs_no_budget() -> None:
    free = Prices.of(Price(input=0, output=0))
    granted = grant(free, 10**9, 4_096, 1, Decimal(0))
    assert (granted.max_tokens, granted.reserved_usd) == (4_096, 0)


@given(prices, st.integers(0, 10**7), st.integers(1, 10**6), st.integers(1, 5), caps)
def test_no_grant_can_pass_what_is_left(
    price: Prices, prompt: int, wanted: int, answers: int, remaining: Decimal
) -> None:
    try:
        granted = grant(price, prompt, wanted, answers, remaining)
    except ItemFailure:
        assert price.reserve(prompt, answers * min(wanted, SMALLEST_ANSWER)) > remaining
        return
    assert granted.max_tokens <= wanted
    assert price.cost(Usage(prompt, answers * granted.max_tokens)) <= granted.reserved_usd <= remaining
    assert price.cost(Usage(prompt, answers * granted.max_tokens, cached_tokens=prompt)) <= granted.reserved_usd


@given(prices, caps, calls)
def test_a_conversation_never_passes_its_cap_whatever_becomes_of_its_calls(
    price: Prices, cap: Decimal, conversation: list[tuple[int, int, int, float, str]]
) -> None:
    ledger: list[Entry] = []
    for number, (prompt, wanted, answers, share, fate) in enumerate(conversation):
        try:
            granted = grant(price, prompt, wanted, answers, cap - balance(ledger).charged_usd)
        except ItemFailure:
            continue
        made = Intent(number, 1, NOW, "m", prompt, granted.max_tokens, granted.reserved_usd)
        ledger.append(made)
        assert balance(ledger).charged_usd <= cap
        used = Usage(int(prompt * share), int(answers * granted.max_tokens * share))
        fates = {
            "answered": answered(made, used, price, NOW),
            "unreported": answered(made, None, price, NOW),
            "refused": refused(made, "500", NOW),
            "lost": lost(made, "broke off", NOW),
        }
        if fate in fates:
            ledger.append(fates[fate])
        assert balance(ledger).charged_usd <= cap


@given(calls, st.randoms(use_true_random=False))
def test_the_fold_does_not_depend_on_order_or_repetition(
    conversation: list[tuple[int, int, int, float, str]], shuffling: random.Random
) -> None:
    ledger: list[Entry] = []
    for number, (prompt, wanted, _, share, fate) in enumerate(conversation):
        made = Intent(number, 1, NOW, "m", prompt, wanted, PRICES.reserve(prompt, wanted))
        ledger.append(made)
        if fate != "pending":
            ledger.append(answered(made, Usage(int(prompt * share), int(wanted * share)), PRICES, NOW))
    repeated = ledger + shuffling.choices(ledger, k=3) if ledger else []
    shuffling.shuffle(repeated)
    assert balance(repeated) == balance(ledger)


def test_an_intent_without_an_answer_is_charged_at_its_reserve() -> None:
    state = balance([intent(1), intent(2), Answer(1, NOW, "answered", Decimal("0.1"), Usage(10, 5))])
    assert (state.spent_usd, state.reserved_usd, state.charged_usd) == (
        Decimal("0.1"),
        Decimal("0.5"),
        Decimal("0.6"),
    )
    assert state.cost(0.25).model_dump() == {
        "estimate_usd": 0.25,
        "measured_usd": 0.6,
        "prompt_tokens": 10,
        "completion_tokens": 5,
    }


def test_an_answer_without_credible_usage_is_charged_at_its_reserve() -> None:
    assert answered(intent(), None, PRICES, NOW).spent_usd == Decimal("0.5")


def test_two_answers_to_one_call_charge_the_dearer_one_only() -> None:
    cheap, dear = refused(intent(), "500", NOW), lost(intent(), "broke off", NOW)
    assert (
        balance([intent(), cheap, dear]).charged_usd == balance([intent(), dear, cheap]).charged_usd == Decimal("0.5")
    )


def test_an_attempt_can_be_folded_by_itself() -> None:
    ledger = [intent(1, attempt=1), intent(2, attempt=2, reserved="0.2")]
    assert balance(ledger, attempt=2).charged_usd == Decimal("0.2")


def test_a_configured_amount_is_rounded_up_to_a_millionth() -> None:
    assert dollars(0.1) == Decimal("0.100000")
    assert dollars(1e-9) == Decimal("0.000001")

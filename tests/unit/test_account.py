"""A namespace's money: never above a cap, nothing comes back that was spent, and repeating an operation is harmless."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from isobench.engine.account import Account, Limits, Wish, grant, place, shortage

BUDGETS = {"x": Decimal(10), "y": Decimal(4), "z": None}
wishes = st.builds(
    lambda number, budget, most: wish(number, budget, most),
    st.integers(0, 12),
    st.sampled_from(["x", "y", "z", ""]),
    st.integers(1, 6),
)
steps = st.lists(st.one_of(st.lists(wishes, max_size=6), st.tuples(st.integers(0, 12), st.integers(0, 6))), max_size=40)


def wish(number, budget="x", most=3, spent=0):
    return Wish(f"uid-{number}", "team", f"item-{number}", budget, Decimal(most), Decimal(spent), f"{number:03}")


def limits(namespace=None, **budgets):
    return Limits((BUDGETS | {name: Decimal(cap) for name, cap in budgets.items()}).get, namespace)


def spent_of(account, uid, asked):
    """What an item that was granted money says that it spent: never more than it was allowed."""
    hold = account.holds.get(uid)
    return None if hold is None else hold.before_usd + min(Decimal(asked), hold.reserved_usd)


@settings(derandomize=True, max_examples=300)
@given(steps, st.integers(1, 20))
def test_no_budget_and_no_namespace_is_ever_charged_above_its_cap(events, cap):
    account = Account()
    for event in events:
        if isinstance(event, list):
            account = grant(account, event, limits(Decimal(cap)))
        else:
            number, spent = event
            account = account.settled(f"uid-{number}", spent_of(account, f"uid-{number}", spent))
        assert account.charged_usd() <= cap
        assert all(limit is None or account.charged_usd(budget) <= limit for budget, limit in BUDGETS.items())


@settings(derandomize=True, max_examples=200)
@given(st.lists(wishes, max_size=12, unique_by=lambda wish: wish.uid), st.integers(1, 20))
def test_while_nothing_is_held_the_first_who_fits_is_granted(asked, cap):
    account = grant(Account(), asked, limits(Decimal(cap)))
    if not account.holds:
        assert all(shortage(Account(), one, limits(Decimal(cap))) is not None for one in asked)


@settings(derandomize=True, max_examples=200)
@given(st.lists(wishes, max_size=12, unique_by=lambda wish: wish.uid), st.integers(1, 20))
def test_everyone_is_granted_or_told_that_there_will_be_nothing(asked, cap):
    account, left = Account(), {one.uid: one for one in asked}
    for _ in range(1 + len(asked)):
        account = grant(account, left.values(), limits(Decimal(cap)))
        for uid in list(account.holds):
            account = account.settled(uid, Decimal(1))
            del left[uid]
    assert {shortage(account, one, limits(Decimal(cap))).why for one in left.values()} <= {"BudgetExhausted"}


@settings(derandomize=True, max_examples=200)
@given(st.lists(wishes, max_size=8))
def test_granting_and_settling_again_change_nothing(asked):
    account = grant(Account(), asked, limits(Decimal(20)))
    assert {
        uid: hold for uid, hold in grant(account, asked, limits(Decimal(20))).holds.items() if uid in account.holds
    } == (account.holds)
    for uid in list(account.holds):
        account = account.settled(uid, Decimal(2))
        assert account.settled(uid, Decimal(2)) == account


@settings(derandomize=True, max_examples=200)
@given(
    st.lists(wishes, max_size=4, unique_by=lambda wish: wish.uid),
    st.lists(wishes, max_size=12, unique_by=lambda wish: wish.uid),
)
def test_a_place_in_the_line_is_the_order_in_which_money_is_granted(before, asked):
    anything = Limits(lambda _: None)
    account = grant(Account(), before, anything)
    asked = [replace(one, most_usd=Decimal(1)) for one in asked if one.uid not in account.holds]
    for cap in range(len(asked) + 1):
        granted = grant(account, asked, replace(anything, namespace=account.charged_usd() + cap)).holds
        assert {one.uid for one in asked if place(account, one, asked) <= cap} == granted.keys() - account.holds.keys()


def test_what_is_settled_is_what_was_spent_since_the_hold():
    account = Account().held(wish(1, most=3)).settled("uid-1", Decimal("1.25"))
    again = account.held(wish(1, most=3, spent=Decimal("1.25"))).settled("uid-1", Decimal("2"))
    assert (account.spent, again.spent) == ({"x": Decimal("1.25")}, {"x": Decimal("2.00")})


def test_an_item_that_disappeared_is_charged_with_all_that_was_held():
    assert Account().held(wish(1, most=3)).settled("uid-1").spent == {"x": Decimal(3)}


def test_what_a_deleted_batch_spent_still_counts_for_its_namespace():
    account = Account().held(wish(1, "x", 3)).settled("uid-1").without_budgets({"x"})
    assert account.charged_usd("x") == 0
    assert account.charged_usd() == 3
    assert shortage(account, wish(2, "y", 3), limits(Decimal(5))).why == "BudgetExhausted"


def test_who_does_not_fit_waits_while_others_may_still_leave_something():
    account = grant(Account(), [wish(1, most=8), wish(2, most=3)], limits())
    assert set(account.holds) == {"uid-1"}
    waits = shortage(account, wish(2, most=3), limits())
    assert waits.why == "Budget"
    assert waits.message == "the batch has $2 of its $10 left and this item may cost $3; raise spec.budgetUsd"
    assert shortage(account.settled("uid-1", Decimal(8)), wish(2, most=3), limits()).why == "BudgetExhausted"
    assert shortage(account.settled("uid-1", Decimal(1)), wish(2, most=3), limits()) is None


def test_nobody_overtakes_an_older_item_that_waits_for_the_same_budget():
    account = Account().held(wish(0, most=6))
    assert set(grant(account, [wish(1, most=5), wish(2, most=1)], limits()).holds) == {"uid-0"}


def test_an_item_that_can_never_be_paid_holds_up_nobody():
    assert set(grant(Account(), [wish(1, most=50), wish(2, most=1)], limits()).holds) == {"uid-2"}


def test_batches_take_turns_at_the_namespaces_money():
    asked = [wish(number, "p", 1) for number in range(4)] + [wish(number, "q", 1) for number in range(10, 12)]
    account = grant(Account(), asked, limits(Decimal(4)))
    assert sorted(hold.budget for hold in account.holds.values()) == ["p", "p", "q", "q"]


def test_the_namespaces_cap_is_named():
    waits = shortage(Account().held(wish(1, "z", 4)), wish(2, "z", 4), limits(Decimal(6)))
    assert waits.why == "NamespaceBudget"
    assert (
        waits.message == "the namespace team has $2 of its $6 left and this item may cost $4; ask who runs the operator"
    )


def test_an_account_is_the_same_after_it_was_written_and_read():
    account = Account().held(wish(1)).held(wish(2)).settled("uid-2", Decimal("0.000001"))
    assert Account.model_validate_json(account.model_dump_json()) == account

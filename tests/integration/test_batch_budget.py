"""The budget of a batch on one machine: what is held, what is charged, and that nothing passes the cap."""

import threading
from contextlib import ExitStack
from decimal import Decimal

import pytest

from building.items import NOON, batch, heads
from isobench.adapters.files import write_model
from isobench.adapters.models.ledger import Ledger
from isobench.contracts.base import InvalidInput
from isobench.contracts.reasons import ItemFailure, Reason
from isobench.contracts.status import CommitBenchmarkStatus, Cost
from isobench.engine.money import Answer, Grant
from isobench.local.batch_budget import BatchBudget, open_budget
from isobench.local.batch_state import open_batch

URL = "https://host.example/owner/name.git"


def opened(root, commits=2, name="demo", **changes):
    """The run of a batch of so many items, or of these commits."""
    manifest = batch(heads(commits) if isinstance(commits, int) else commits, **changes)
    named = manifest.model_copy(update={"metadata": manifest.metadata.model_copy(update={"name": name})})
    return open_batch(root, named, {URL: "owner/name"}, NOON, fresh=False)


def pay(item, usd, *, settled=True):
    """What a paid call leaves in the item's ledger; of one that is not settled, only what it reserved."""
    ledger = Ledger(item.workspace.generation_ledger)
    reserved = Decimal(usd) * (2 if settled else 1)
    intent = ledger.intend(1, "m", 1000, Grant(1000, reserved), NOON)
    if settled:
        ledger.settle(Answer(intent.call, NOON, "answered", Decimal(usd)))
    ledger.close()


def ask(budget, item, most, usd="0", **how):
    with budget.grant(item.workspace, most):
        pay(item, usd, **how)


def test_what_an_item_did_not_spend_is_there_for_the_next(work_root):
    state = opened(work_root, 3, budgetUsd=1.0)
    budget = open_budget(state)
    for item in state.items():
        ask(budget, item, 0.8, "0.1")


def test_an_item_that_could_pass_the_cap_is_refused_with_what_is_left_and_what_to_do(work_root):
    state = opened(work_root, budgetUsd=1.0)
    budget, (first, second) = open_budget(state), state.items()
    ask(budget, first, 0.8, "0.3")
    with pytest.raises(ItemFailure) as refused:
        ask(budget, second, 0.8)
    assert refused.value.reason is Reason.BUDGET_EXHAUSTED
    assert refused.value.message == (
        "the batch has $0.7000 of its $1.0 left and this item may cost $0.8; raise spec.budgetUsd"
    )
    assert not second.workspace.root.exists()
    ask(budget, second, 0.7)


def test_sums_of_money_are_exact(work_root):
    state = opened(work_root, 3, budgetUsd=0.3)
    budget = open_budget(state)
    for item in state.items():
        ask(budget, item, 0.1, "0.1")


def test_repairs_of_a_test_share_what_the_item_may_cost(work_root):
    state = opened(work_root, 1, budgetUsd=1.0)
    budget, (item,) = open_budget(state), state.items()
    for _ in range(3):
        ask(budget, item, 1.0, "0.3")


def test_a_call_without_an_answer_is_charged_at_what_it_reserved(work_root):
    state = opened(work_root, budgetUsd=1.0)
    budget, (first, second) = open_budget(state), state.items()
    ask(budget, first, 0.5, "0.4", settled=False)
    with pytest.raises(ItemFailure):
        ask(budget, second, 0.7)


def test_an_attempt_that_breaks_off_is_charged_for_what_it_spent_and_no_more(work_root):
    state = opened(work_root, budgetUsd=1.0)
    budget, (first, second) = open_budget(state), state.items()
    with pytest.raises(RuntimeError), budget.grant(first.workspace, 1.0):
        raise RuntimeError("before anything was asked")
    ask(budget, second, 1.0)


def test_without_a_cap_everything_is_granted(work_root):
    state = opened(work_root, 1)
    (item,) = state.items()
    ask(open_budget(state), item, 10**9)


@pytest.mark.parametrize("settled", [True, False])
def test_a_run_that_goes_on_knows_what_was_spent_before_it_was_killed(work_root, settled):
    state = opened(work_root, budgetUsd=1.0)
    first, second = state.items()
    pay(first, "0.5", settled=settled)  # and its status was never written
    budget = open_budget(opened(work_root, budgetUsd=1.0))
    with pytest.raises(ItemFailure):
        ask(budget, second, 0.6)
    ask(budget, first, 1.0)  # what its own ledger holds is part of what it may cost
    ask(budget, second, 0.5)


def test_what_was_spent_before_an_item_was_begun_again_still_counts(work_root):
    state = opened(work_root, budgetUsd=1.0)
    first, second = state.items()
    for _ in range(2):
        pay(first, "0.2")
        state.begin_again([first.item_id])
    budget = open_budget(state)
    with pytest.raises(ItemFailure, match=r"has \$0\.6000 of its"):
        ask(budget, first, 0.7)
    ask(budget, first, 0.6, "0.1")
    with pytest.raises(ItemFailure, match=r"has \$0\.5000 of its"):
        ask(budget, second, 0.6)


def test_a_ledger_that_can_not_be_read_is_charged_as_the_status_says(work_root):
    state = opened(work_root, budgetUsd=1.0)
    first, second = state.items()
    first.workspace.ledger().mkdir(parents=True)
    first.workspace.generation_ledger.write_text("torn in the middle\n")
    write_model(first.workspace.status, CommitBenchmarkStatus(cost=Cost(measured_usd=0.7)))
    with pytest.raises(ItemFailure, match=r"has \$0\.3000 of its"):
        ask(open_budget(state), second, 0.4)


def test_items_that_ask_at_the_same_time_never_hold_more_than_the_cap(work_root):
    state = opened(work_root, 16, budgetUsd=1.0)
    budget, ready, held = open_budget(state), threading.Barrier(16), []

    def compete(item):
        ready.wait()
        try:
            with budget.grant(item.workspace, 0.3):
                held.append(item)
                ready.wait()
        except ItemFailure:
            ready.wait()

    threads = [threading.Thread(target=compete, args=(item,)) for item in state.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 3


def test_batches_that_share_a_budget_share_what_is_left_of_it(work_root):
    parts = [[head] for head in heads(3)]
    first = opened(work_root, parts[0], budgetUsd=1.0, name="plan-1")
    (item,) = first.items()
    pay(item, "0.6")
    second = opened(work_root, parts[1], budgetRef="plan-1", name="plan-2")
    (other,) = second.items()
    with pytest.raises(ItemFailure, match=r"has \$0\.4000 of its \$1\.0 left"):
        ask(open_budget(second), other, 0.5)
    ask(open_budget(second), other, 0.4, "0.4")
    (third,) = opened(work_root, parts[2], budgetRef="plan-1", name="plan-3").items()
    for state in (first, second):
        with pytest.raises(ItemFailure, match=r"has \$0\.0000 of its"):
            ask(open_budget(state), third, 0.1)


def test_a_shared_budget_that_is_not_known_here_is_refused(work_root):
    with pytest.raises(InvalidInput, match="the batch plan-1 was never run on this work root; run it first"):
        open_budget(opened(work_root, budgetRef="plan-1"))


def test_a_grant_is_given_back_before_the_next_is_asked_for(work_root):
    state = opened(work_root, budgetUsd=1.0)
    first, second = (item.workspace for item in state.items())
    budget = BatchBudget(1.0, {})
    with ExitStack() as held:
        held.enter_context(budget.grant(first, 0.6))
        with pytest.raises(ItemFailure, match=r"has \$0\.4000 of its"):
            held.enter_context(budget.grant(second, 0.6))
    with budget.grant(second, 0.6):
        assert not second.root.exists()

"""A namespace's money: what was spent, what is held for items that may still spend it, and who gets what is left.

An account outlives the objects: what a deleted item or batch has spent does not come back as free budget. Every
operation may be repeated: a hold is made once and settled once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal

from pydantic import Field

from isobench.contracts.base import Contract
from isobench.contracts.status import Waiting
from isobench.engine.money import ZERO

BUDGET, NAMESPACE_BUDGET, EXHAUSTED = "Budget", "NamespaceBudget", "BudgetExhausted"
NO_BUDGET = ""
"""The budget of items whose batch has none, or that have no batch."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An item that is about to spend money."""

    uid: str
    namespace: str
    name: str
    budget: str
    """UID of the batch whose budget it is paid from; `NO_BUDGET` without one."""
    most_usd: Decimal
    spent_usd: Decimal
    """What it has spent before."""
    created: str
    version: str = ""
    """The item's version when it asked: one that has ended may ask when a person wants it again."""

    @property
    def order(self) -> tuple[str, str]:
        """The oldest first."""
        return self.created, self.name


class Hold(Contract):
    """Dollars that an item may spend."""

    item: str
    budget: str
    reserved_usd: Decimal
    before_usd: Decimal
    asked_at: str = ""
    """The item's version when it asked."""


class Account(Contract):
    """One namespace's money."""

    holds: dict[str, Hold] = Field(default_factory=dict)
    """By the item's UID."""
    spent: dict[str, Decimal] = Field(default_factory=dict)
    """By budget."""

    def held_usd(self, budget: str | None = None) -> Decimal:
        """What is held for all items, or for those that ``budget`` pays."""
        return sum((hold.reserved_usd for hold in self.holds.values() if budget in (None, hold.budget)), ZERO)

    def charged_usd(self, budget: str | None = None) -> Decimal:
        """What was spent or is held, of all or of ``budget``."""
        spent = sum(self.spent.values(), ZERO) if budget is None else self.spent.get(budget, ZERO)
        return spent + self.held_usd(budget)

    def held(self, wish: Wish) -> "Account":
        """With a hold for ``wish``; one that is there stays."""
        hold = Hold(
            item=wish.name,
            budget=wish.budget,
            reserved_usd=wish.most_usd,
            before_usd=wish.spent_usd,
            asked_at=wish.version,
        )
        return Account(holds={wish.uid: hold} | self.holds, spent=self.spent)

    def with_spent(self, budget: str, usd: Decimal) -> "Account":
        """With so much more spent of ``budget``."""
        return Account(holds=self.holds, spent=self.spent | {budget: self.spent.get(budget, ZERO) + usd})

    def settled(self, uid: str, spent_usd: Decimal | None = None) -> "Account":
        """Without the item's hold: it has spent so much in all; everything that was held, if that is not known."""
        hold = self.holds.get(uid)
        if hold is None:
            return self
        more = hold.reserved_usd if spent_usd is None else max(ZERO, spent_usd - hold.before_usd)
        holds = {other: kept for other, kept in self.holds.items() if other != uid}
        return Account(holds=holds, spent=self.spent).with_spent(hold.budget, more)

    def without_budgets(self, gone: Set[str]) -> "Account":
        """What budgets that are gone have paid still counts for the namespace."""
        folded = sum((spent for budget, spent in self.spent.items() if budget in gone), ZERO)
        if not folded:
            return self
        kept = {budget: spent for budget, spent in self.spent.items() if budget not in gone}
        return Account(holds=self.holds, spent=kept | {NO_BUDGET: kept.get(NO_BUDGET, ZERO) + folded})


@dataclass(frozen=True, slots=True)
class Limits:
    """What the budgets and the namespace may cost; None: anything."""

    budget: Callable[[str], Decimal | None]
    namespace: Decimal | None = None


def shortage(account: Account, wish: Wish, limits: Limits) -> Waiting | None:
    """Why there is no money for ``wish``, if there is none; `EXHAUSTED` when none can come free any more."""
    if wish.uid in account.holds:
        return None
    cap = None if wish.budget == NO_BUDGET else limits.budget(wish.budget)
    questions: Sequence[tuple[str, str | None, Decimal | None, str, str]] = (
        (BUDGET, wish.budget, cap, "the batch", "raise spec.budgetUsd"),
        (NAMESPACE_BUDGET, None, limits.namespace, f"the namespace {wish.namespace}", "ask who runs the operator"),
    )
    for why, budget, most, who, remedy in questions:
        if most is None or account.charged_usd(budget) + wish.most_usd <= most:
            continue
        left = max(ZERO, most - account.charged_usd(budget))
        said = f"{who} has {_usd(left)} of its {_usd(most)} left and this item may cost {_usd(wish.most_usd)}; {remedy}"
        return Waiting(why=why if account.held_usd(budget) else EXHAUSTED, message=said)
    return None


def place(account: Account, wish: Wish, wishes: Iterable[Wish]) -> int:
    """The place of ``wish`` among ``wishes``, itself among them, from 1: as `grant` takes them while there is money."""
    taken = Counter(hold.budget for hold in account.holds.values())
    turns: dict[str, tuple[int, tuple[str, str]]] = {}
    for one in sorted(wishes, key=lambda one: one.order):
        turns[one.uid] = taken[one.budget], one.order
        taken[one.budget] += 1
    return 1 + sum(turn < turns[wish.uid] for turn in turns.values())


def _usd(amount: Decimal) -> str:
    return f"${amount.normalize():f}"


def grant(account: Account, wishes: Iterable[Wish], limits: Limits) -> Account:
    """With a hold for everyone who can have one: budgets take turns, the oldest item of each first.

    Who has to wait keeps its place: nobody behind it gets what it waits for.
    """
    taken = Counter(hold.budget for hold in account.holds.values())
    lines: dict[str, list[Wish]] = {}
    for wish in sorted(wishes, key=lambda wish: wish.order, reverse=True):
        lines.setdefault(wish.budget, []).append(wish)
    while lines:
        budget = min(lines, key=lambda budget: (taken[budget], lines[budget][-1].order))
        wish = lines[budget].pop()
        short = shortage(account, wish, limits)
        if short is None:
            account = account.held(wish)
            taken[budget] += 1
        elif short.why == NAMESPACE_BUDGET:
            break
        if not lines[budget] or (short is not None and short.why == BUDGET):
            del lines[budget]
    return account

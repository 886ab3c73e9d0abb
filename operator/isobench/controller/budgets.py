"""Whose money an item spends: its batch's budget, or the one that its batch shares."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from isobench.contracts.status import StageName, StageState
from isobench.controller.cache import Cache
from isobench.controller.item import Item
from isobench.controller.kinds import BATCHES, Key, Object, owner_uid
from isobench.engine.account import NO_BUDGET, Limits, Wish
from isobench.engine.money import ZERO
from isobench.engine.transitions import PAID

_STAGES = frozenset(StageName)


@dataclass(frozen=True, slots=True)
class Budget:
    """The batch whose cap counts, and what the cap is."""

    uid: str = NO_BUDGET
    cap_usd: Decimal | None = None


class NoBudget(Exception):
    """The batch that is to pay can't be found; the message is a sentence."""


def batch_of(cache: Cache, item: Object) -> Object | None:
    """The batch that ``item`` belongs to, if it is there."""
    uid = owner_uid(item, BATCHES)
    for reference in item["metadata"].get("ownerReferences", ()):
        if reference["uid"] == uid:
            found = cache.batches.get(Key(BATCHES.plural, item["metadata"]["namespace"], reference["name"]))
            return found if found is not None and found["metadata"]["uid"] == uid else None
    return None


def budget_of(cache: Cache, batch: Object) -> Budget:
    """The budget that ``batch`` has or shares.

    Raises:
        NoBudget: the batch whose budget it shares is not there, or shares one itself.
    """
    name = batch["spec"].get("budgetRef")
    if name is None:
        return _own(batch)
    owner = cache.batches.get(Key(BATCHES.plural, batch["metadata"]["namespace"], name))
    if owner is None:
        raise NoBudget(f"the batch {name}, whose budget this one shares, is not there; create it")
    if "budgetRef" in owner["spec"]:
        raise NoBudget(
            f"the batch {name} shares the budget of {owner['spec']['budgetRef']}; name that one in budgetRef"
        )
    return _own(owner)


def _own(batch: Object) -> Budget:
    cap = batch["spec"].get("budgetUsd")
    return Budget(batch["metadata"]["uid"], None if cap is None else Decimal(str(cap)))


def shared_usd(cache: Cache, batch: Object, budget: Budget) -> float:
    """What the other batches on the ``budget`` of ``batch`` were charged, as their statuses say."""
    charged = 0.0
    for other in cache.batches.all():
        if other["metadata"]["uid"] == batch["metadata"]["uid"] or not _pays(cache, budget, other):
            continue
        status = other.get("status", {})
        charged += status.get("spentUsd", 0.0) + status.get("reservedUsd", 0.0)
    return charged


def _pays(cache: Cache, budget: Budget, batch: Object) -> bool:
    try:
        return budget_of(cache, batch).uid == budget.uid
    except NoBudget:
        return False


def limits_of(cache: Cache, namespace: str, namespace_cap: Decimal | None) -> Limits:
    """The caps of all budgets of ``namespace``, as its batches say them now; one that is gone pays nothing."""
    own = [_own(batch) for batch in cache.batches.all() if batch["metadata"]["namespace"] == namespace]
    caps = {budget.uid: budget.cap_usd for budget in own}
    return Limits(lambda uid: caps.get(uid, ZERO), namespace_cap)


def most_usd(item: Item) -> Decimal:
    """What the item's paid stages may cost together."""
    paid = (Decimal(str(item.plan.cap_usd(stage))) for stage in item.plan.stages if stage in PAID)
    return sum(paid, ZERO)


def wish_of(item: Item, budget: Budget) -> Wish:
    """What the item asks for."""
    metadata = item.object["metadata"]
    return Wish(
        uid=item.uid,
        namespace=item.namespace,
        name=item.name,
        budget=budget.uid,
        most_usd=most_usd(item),
        spent_usd=spent_usd(item.object),
        created=metadata["creationTimestamp"],
        version=metadata["resourceVersion"],
    )


def spent_usd(item: Object) -> Decimal:
    """What its model calls have cost so far."""
    return Decimal(str(item.get("status", {}).get("cost", {}).get("measuredUsd", 0)))


def pays(item: Object) -> bool:
    """Whether it spends now, or has since it began and not ended; what was spent before a retry is settled already."""
    status = item.get("status", {})
    running = live_stage(item) in PAID and status["stages"][-1]["state"] == StageState.RUNNING
    return not has_ended(item) and (running or (spent_usd(item) > 0 and not status.get("retried")))


def is_reserved(batch: Object, item: str) -> bool:
    """Whether the batch's ledger, as it is written, holds money for the item."""
    return any(row.get("reservedUsd") and not row.get("outcome") for row in _rows_of(batch, item))


def is_closed(batch: Object, item: str) -> bool:
    """Whether the batch's ledger, as it is written, says how the item ended."""
    return any(row.get("outcome") for row in _rows_of(batch, item))


def _rows_of(batch: Object, item: str) -> Iterator[Object]:
    """The item's row in the ledger, if it is entered."""
    return (row for row in batch.get("status", {}).get("ledger", ()) if row.get("item") == item)


def has_ended(item: Object) -> bool:
    """Whether its status says so."""
    conditions = item.get("status", {}).get("conditions", ())
    return any(answer["type"] == "Succeeded" and answer["status"] != "Unknown" for answer in conditions)


def live_stage(item: Object) -> StageName | None:
    """The stage that is claimed and has not ended; one that only a newer version knows is none."""
    stages = item.get("status", {}).get("stages", ())
    if not stages or stages[-1]["state"] not in ("Creating", "Running") or stages[-1]["name"] not in _STAGES:
        return None
    return StageName(stages[-1]["name"])

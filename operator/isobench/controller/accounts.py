"""The accounts' reconcile: who has asked for money, who pays already, who has ended; written before anybody may spend.

An account is reconciled like an object, under a key of its own: who asked is remembered here, who ended or is gone the
cache says, and what is granted counts only once it is written.
"""

from dataclasses import replace
from datetime import datetime

from isobench.contracts.status import Waiting
from isobench.controller.app import Parts
from isobench.controller.budgets import batch_of, has_ended, is_reserved, limits_of, live_stage, spent_usd
from isobench.controller.cache import Cache
from isobench.controller.kinds import BATCHES, ITEMS, Key, Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.account import (
    BUDGET,
    EXHAUSTED,
    NO_BUDGET,
    Account,
    Hold,
    Limits,
    Wish,
    grant,
    place,
    shortage,
)
from isobench.engine.money import ZERO
from isobench.engine.transitions import PAID

ACCOUNTS = "accounts"
_WRITTEN_FIRST = Waiting(why=BUDGET, message="the account is written first")
_BEHIND = Waiting(why=BUDGET, message="those that asked earlier are given theirs first")


def account_key(namespace: str) -> Key:
    """The key under which the account of ``namespace`` is reconciled."""
    return Key(ACCOUNTS, namespace, "")


class Accounts:
    """Keeps the book, and knows who waits for money."""

    def __init__(self, parts: Parts) -> None:
        """Nothing is read before the first item is looked at."""
        self._book = parts.book
        self._cache: Cache = parts.cache
        self._settings: ControllerSettings = parts.settings
        self._wake = parts.wake
        self._wishes: dict[str, dict[str, tuple[Wish, Waiting | None]]] = {}
        self._paying: dict[str, dict[str, Wish]] = {}

    def look(self, namespace: str) -> None:
        """There are items in ``namespace``: its account is read, if nobody has read it yet."""
        self._wake(account_key(namespace))

    def pays(self, wish: Wish) -> None:
        """The item pays already, and no account may know of it: an older operator wrote none where no cap counted."""
        self._paying.setdefault(wish.namespace, {})[wish.uid] = replace(wish, spent_usd=ZERO)

    def hold(self, namespace: str, uid: str) -> Hold | None:
        """What is held for the item."""
        account = self._book.known.get(namespace)
        return account.holds.get(uid) if account else None

    def is_awaited(self, namespace: str, uid: str) -> bool:
        """Whether the item holds money and somebody in ``namespace`` waits for some."""
        return self.hold(namespace, uid) is not None and bool(self._wishes.get(namespace))

    def ended(self, namespace: str, uid: str) -> None:
        """The item has ended, or is gone: what it did not spend comes free. An account nobody has read yet may say."""
        account = self._book.known.get(namespace)
        if account is None or uid in account.holds:
            self._wake(account_key(namespace))

    def is_settled(self, item: Object) -> bool:
        """Whether nothing is held any more for what ``item``, which has ended, did before; it soon will be, if not."""
        namespace, uid = item["metadata"]["namespace"], item["metadata"]["uid"]
        hold = self.hold(namespace, uid)
        if namespace in self._book.known and (hold is None or not _over(item, hold.asked_at)):
            return True
        self.ended(namespace, uid)
        return False

    def ask(self, wish: Wish) -> Waiting:
        """Ask for money, and be told what it waits for; the item, or its batch, is woken when that has changed."""
        account = self._book.known.get(wish.namespace)
        short = None if account is None else self._shortage(account, wish)
        self._wishes.setdefault(wish.namespace, {})[wish.uid] = wish, short
        self.look_again(wish.namespace)
        if account is None:
            unreadable = self._book.unreadable.get(wish.namespace)
            return Waiting(why=BUDGET, message=unreadable) if unreadable else _WRITTEN_FIRST
        return self._placed(account, wish, short)

    def _placed(self, account: Account, wish: Wish, short: Waiting | None) -> Waiting:
        """What ``wish`` waits for, and its place in the line for that: its budget's, or the whole namespace's."""
        if short is not None and short.why == EXHAUSTED:
            return short
        by_budget = short.why == BUDGET if short else self._limits(wish.namespace).namespace is None
        asked = (other for other, _ in self._wishes[wish.namespace].values())
        position = place(account, wish, [one for one in asked if one.budget == wish.budget or not by_budget])
        if short is None and position == 1:
            return _WRITTEN_FIRST
        return (short or _BEHIND).model_copy(update={"position": position})

    def _shortage(self, account: Account, wish: Wish) -> Waiting | None:
        return shortage(account, wish, self._limits(wish.namespace))

    def _limits(self, namespace: str) -> Limits:
        return limits_of(self._cache, namespace, self._settings.caps_of(namespace).dollars)

    def look_again(self, namespace: str) -> None:
        """Something changed that money may depend on."""
        if namespace in self._book.known or self._wishes.get(namespace):
            self._wake(account_key(namespace))

    async def reconcile(self, key: Key) -> datetime | None:
        """Enter who pays already, settle what has ended, grant what can be granted, store it, then tell."""
        namespace = key.namespace
        paying = self._paying.get(namespace, {})
        before = account = await self._book.read(namespace, paying.keys())
        for wish in paying.values():
            account = account.held(wish)
        asked = dict(self._wishes.get(namespace, {}))
        wishes = [wish for wish, _ in asked.values() if self._is_open(wish)]
        after = grant(self._settled(namespace, account), wishes, self._limits(namespace))
        if after != before:
            await self._book.write(namespace, after)
        self._paying.pop(namespace, None)
        for wish, short in asked.values():
            if wish not in wishes or wish.uid in after.holds:
                self._wishes[namespace].pop(wish.uid, None)
            if wish.uid in after.holds:
                self._tell(wish)
            elif self._shortage(after, wish) != short:
                self._wake(Key(ITEMS.plural, namespace, wish.name))
        return None

    def _is_open(self, wish: Wish) -> bool:
        item = self._item(wish.namespace, wish.name, wish.uid)
        return item is not None and not _over(item, wish.version)

    def _settled(self, namespace: str, account: Account) -> Account:
        """Without the holds of items that have ended, at what they spent; at all that was held, where nobody can say.

        That is so of items that are gone, and of those that were refused while they paid.
        """
        for uid, hold in account.holds.items():
            item = self._item(namespace, hold.item, uid)
            if item is None or _over(item, hold.asked_at):
                known = None if item is None or live_stage(item) in PAID else spent_usd(item)
                account = account.settled(uid, known)
        living = {batch["metadata"]["uid"] for batch in self._cache.batches.all()}
        return account.without_budgets(account.spent.keys() - living - {NO_BUDGET})

    def _item(self, namespace: str, name: str, uid: str) -> Object | None:
        item = self._cache.items.get(Key(ITEMS.plural, namespace, name))
        return item if item is not None and item["metadata"]["uid"] == uid else None

    def _tell(self, wish: Wish) -> None:
        """A batch enters the hold into its ledger, unless it is there, before its item may spend it."""
        item = self._item(wish.namespace, wish.name, wish.uid)
        batch = batch_of(self._cache, item) if item else None
        if batch is not None and not is_reserved(batch, wish.name):
            self._wake(Key.of(BATCHES, batch))
        else:
            self._wake(Key(ITEMS.plural, wish.namespace, wish.name))


def _over(item: Object, asked_at: str) -> bool:
    """Whether it has ended since it asked; one that ended before is about to begin again."""
    return has_ended(item) and item["metadata"]["resourceVersion"] != asked_at

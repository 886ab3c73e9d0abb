"""The accounts: one ConfigMap a tenant's namespace, in the release's own, written before anybody may spend.

An account is reconciled like an object, under a key of its own: who asked is remembered here, who ended or is gone the
cache says, and what is granted counts only once it is written.
"""

from datetime import datetime
from decimal import Decimal

from isobench.contracts.status import Waiting
from isobench.controller.api import Api
from isobench.controller.api_errors import AlreadyExists, Conflict, NotFound
from isobench.controller.app import Parts
from isobench.controller.budgets import NoBudget, batch_of, budget_of, has_ended, is_reserved, limits_of, spent_usd
from isobench.controller.cache import Cache
from isobench.controller.jobs.names import APP_LABELS
from isobench.controller.kinds import BATCHES, CONFIG_MAPS, CONTROLLER_LABEL, ITEMS, Key, Object
from isobench.controller.settings import ControllerSettings
from isobench.engine.account import BUDGET, NO_BUDGET, Account, Hold, Limits, Wish, grant, shortage

ACCOUNTS = "accounts"
_ENTRY = "account.json"
_WRITTEN_FIRST = Waiting(why=BUDGET, message="the account is written first")


def account_key(namespace: str) -> Key:
    """The key under which the account of ``namespace`` is reconciled."""
    return Key(ACCOUNTS, namespace, "")


class Accounts:
    """Every namespace's account as it is stored, and who waits for money."""

    def __init__(self, parts: Parts) -> None:
        """Nothing is read before somebody asks for money, or has ended."""
        self._api: Api = parts.api
        self._cache: Cache = parts.cache
        self._settings: ControllerSettings = parts.settings
        self._wake = parts.wake
        self._stored: dict[str, Object] = {}
        self._known: dict[str, Account] = {}
        self._wishes: dict[str, dict[str, tuple[Wish, Waiting]]] = {}

    def hold(self, namespace: str, uid: str) -> Hold | None:
        """What is held for the item."""
        account = self._known.get(namespace)
        return account.holds.get(uid) if account else None

    def ended(self, namespace: str, uid: str) -> None:
        """The item has ended, or is gone: what it did not spend comes free. An account nobody has read yet may say."""
        account = self._known.get(namespace)
        if account is None or uid in account.holds:
            self._wake(account_key(namespace))

    def is_settled(self, item: Object) -> bool:
        """Whether nothing is held any more for what ``item``, which has ended, did before; it soon will be, if not."""
        namespace, uid = item["metadata"]["namespace"], item["metadata"]["uid"]
        hold = self.hold(namespace, uid)
        if namespace in self._known and (hold is None or not _over(item, hold.asked_at)):
            return True
        self.ended(namespace, uid)
        return False

    def ask(self, wish: Wish) -> Waiting:
        """Ask for money, and be told what it waits for; the item, or its batch, is woken when that has changed."""
        account = self._known.get(wish.namespace)
        told = _WRITTEN_FIRST if account is None else self._answer(account, wish)
        self._wishes.setdefault(wish.namespace, {})[wish.uid] = wish, told
        self.look_again(wish.namespace)
        return told

    def _answer(self, account: Account, wish: Wish) -> Waiting:
        return shortage(account, wish, self._limits(wish.namespace)) or _WRITTEN_FIRST

    def _limits(self, namespace: str) -> Limits:
        return limits_of(self._cache, namespace, self._settings.caps_of(namespace).dollars)

    def look_again(self, namespace: str) -> None:
        """Something changed that money may depend on."""
        if namespace in self._known or self._wishes.get(namespace):
            self._wake(account_key(namespace))

    async def reconcile(self, key: Key) -> datetime | None:
        """Settle what has ended, grant what can be granted, store it, then tell."""
        namespace = key.namespace
        before = await self._read(namespace)
        asked = dict(self._wishes.get(namespace, {}))
        wishes = [wish for wish, _ in asked.values() if self._is_open(wish)]
        after = grant(self._settled(namespace, before), wishes, self._limits(namespace))
        if after != before:
            await self._write(namespace, after)
        for wish, told in asked.values():
            if wish not in wishes or wish.uid in after.holds:
                self._wishes[namespace].pop(wish.uid, None)
            if wish.uid in after.holds:
                self._tell(wish)
            elif self._answer(after, wish) != told:
                self._wake(Key(ITEMS.plural, namespace, wish.name))
        return None

    def _is_open(self, wish: Wish) -> bool:
        item = self._item(wish.namespace, wish.name, wish.uid)
        return item is not None and not _over(item, wish.version)

    def _settled(self, namespace: str, account: Account) -> Account:
        """Without the holds of items that have ended, at what they spent, or are gone, at all that was held."""
        for uid, hold in account.holds.items():
            item = self._item(namespace, hold.item, uid)
            if item is None or _over(item, hold.asked_at):
                account = account.settled(uid, None if item is None else spent_usd(item))
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

    def _name(self, namespace: str) -> str:
        return f"{self._settings.controller_name}-account-{namespace}"

    async def _read(self, namespace: str) -> Account:
        if namespace in self._known:
            return self._known[namespace]
        stored = await self._api.get(CONFIG_MAPS, self._settings.release_namespace, self._name(namespace))
        if stored is None:
            self._known[namespace] = self._from_objects(namespace)
        else:
            self._stored[namespace] = stored
            self._known[namespace] = Account.model_validate_json(stored["data"][_ENTRY])
        return self._known[namespace]

    async def _write(self, namespace: str, account: Account) -> None:
        """Store ``account``, provided that what is stored is what we know; else it is read again.

        Raises:
            Conflict: somebody else has stored another.
        """
        data = {_ENTRY: account.model_dump_json()}
        place = self._settings.release_namespace
        stored = self._stored.get(namespace)
        try:
            if stored is not None:
                stored = await self._api.replace(CONFIG_MAPS, stored | {"data": data})
            else:
                stored = await self._api.create(CONFIG_MAPS, place, self._manifest(namespace, data))
        except (AlreadyExists, Conflict, NotFound) as error:
            self._stored.pop(namespace, None)
            if not isinstance(error, NotFound):  # one that was deleted is made again from what we know
                self._known.pop(namespace, None)
            raise Conflict(str(error)) from None
        self._stored[namespace], self._known[namespace] = stored, account

    def _manifest(self, namespace: str, data: dict[str, str]) -> Object:
        labels = APP_LABELS | {CONTROLLER_LABEL: self._settings.controller_name}
        metadata = {"name": self._name(namespace), "namespace": self._settings.release_namespace, "labels": labels}
        return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.name, "metadata": metadata, "data": data}

    def _from_objects(self, namespace: str) -> Account:
        """A first account: what the objects that are there say of money."""
        account = Account()
        for batch in self._cache.batches.all():
            if batch["metadata"]["namespace"] == namespace:
                account = self._with_ledger(account, batch)
        for item in self._cache.items.all():
            if item["metadata"]["namespace"] == namespace and batch_of(self._cache, item) is None:
                account = account.with_spent(NO_BUDGET, spent_usd(item))
        return account

    def _with_ledger(self, account: Account, batch: Object) -> Account:
        try:
            budget = budget_of(self._cache, batch).uid
        except NoBudget:
            budget = NO_BUDGET
        children = {child["metadata"]["name"]: child for child in self._cache.children_of(batch["metadata"]["uid"])}
        for row in batch.get("status", {}).get("ledger", ()):
            spent, reserved = Decimal(str(row.get("spentUsd", 0))), Decimal(str(row.get("reservedUsd", 0)))
            account = account.with_spent(budget, spent)
            child = children.get(row.get("item"))
            if reserved and child is not None:
                hold = Hold(item=row["item"], budget=budget, reserved_usd=reserved, before_usd=spent)
                account = Account(holds=account.holds | {child["metadata"]["uid"]: hold}, spent=account.spent)
            elif reserved:
                account = account.with_spent(budget, reserved)
        return account


def _over(item: Object, asked_at: str) -> bool:
    """Whether it has ended since it asked; one that ended before is about to begin again."""
    return has_ended(item) and item["metadata"]["resourceVersion"] != asked_at

"""The book of accounts: one ConfigMap a tenant's namespace, in the release's own; no other version is written over."""

from collections.abc import Mapping, Set
from decimal import Decimal

from isobench.contracts.base import InvalidInput
from isobench.controller.api import Api
from isobench.controller.api_errors import AlreadyExists, Conflict, NotFound
from isobench.controller.budgets import NoBudget, batch_of, budget_of, spent_usd
from isobench.controller.cache import Cache
from isobench.controller.jobs.names import APP_LABELS
from isobench.controller.kinds import CONFIG_MAPS, CONTROLLER_LABEL, Object, selector_of
from isobench.controller.settings import ControllerSettings
from isobench.engine.account import NO_BUDGET, Account, Hold

_ENTRY = "account.json"


class Book:
    """Every namespace's account as it is known to be stored."""

    def __init__(self, api: Api, cache: Cache, settings: ControllerSettings) -> None:
        """Nothing is read before `read`."""
        self._api, self._cache = api, cache
        self._place = settings.release_namespace
        self._labels = APP_LABELS | {CONTROLLER_LABEL: settings.controller_name}
        self._prefix = f"{settings.controller_name}-account-"
        self._stored: dict[str, Object] = {}
        self._known: dict[str, Account] = {}
        self._unreadable: dict[str, str] = {}
        self._unread = True

    @property
    def known(self) -> Mapping[str, Account]:
        """The accounts that were read, by namespace."""
        return self._known

    @property
    def unreadable(self) -> Mapping[str, str]:
        """What is wrong with accounts that are stored and can't be read, in a sentence each, by namespace."""
        return self._unreadable

    async def read(self, namespace: str, paying: Set[str] = frozenset()) -> Account:
        """The account of ``namespace``; where none is stored, what the objects say but of the items ``paying`` now.

        All that are stored are read at once: those of namespaces without an object are known by then too.

        Raises:
            ApiError: they can't be had.
            InvalidInput: what is stored for ``namespace`` is no account; it is read again the next time.
        """
        if namespace not in self._known and (self._unread or namespace in self._unreadable):
            there = (await self._api.list(CONFIG_MAPS, self._place, selector_of(self._labels))).items
            self._unreadable.clear()
            for stored in there:
                self._learn(stored)
            self._unread = False
        if namespace in self._unreadable:
            raise InvalidInput(self._prefix + namespace, [self._unreadable[namespace]])
        if namespace not in self._known:
            self._known[namespace] = from_objects(self._cache, namespace, paying)
        return self._known[namespace]

    def _learn(self, stored: Object) -> None:
        name = stored["metadata"]["name"]
        namespace = name.removeprefix(self._prefix)
        if namespace != name and namespace not in self._known:
            try:
                self._known[namespace] = Account.model_validate_json(stored["data"][_ENTRY])
            except (KeyError, TypeError, ValueError):
                said = f"the ConfigMap {name} in {self._place} holds no account: mend it, or delete it to begin anew"
                self._unreadable[namespace] = f"{said} from what the objects say"
            else:
                self._stored[namespace] = stored

    async def write(self, namespace: str, account: Account) -> None:
        """Store ``account``, provided that what is stored is what we know; else it is read again.

        Raises:
            Conflict: somebody else has stored another.
        """
        data = {_ENTRY: account.model_dump_json()}
        stored = self._stored.get(namespace)
        try:
            if stored is not None:
                stored = await self._api.replace(CONFIG_MAPS, stored | {"data": data})
            else:
                stored = await self._api.create(CONFIG_MAPS, self._place, self._manifest(namespace, data))
        except (AlreadyExists, Conflict, NotFound) as error:
            self._stored.pop(namespace, None)
            if not isinstance(error, NotFound):  # one that was deleted is made again from what we know
                self._known.pop(namespace, None)
                self._unread = True
            raise Conflict(str(error)) from None
        self._stored[namespace], self._known[namespace] = stored, account

    def _manifest(self, namespace: str, data: dict[str, str]) -> Object:
        metadata = {"name": self._prefix + namespace, "namespace": self._place, "labels": self._labels}
        return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.name, "metadata": metadata, "data": data}


def from_objects(cache: Cache, namespace: str, paying: Set[str]) -> Account:
    """A first account: what the objects that are there say of money; items ``paying`` now are entered whole, later."""
    account = Account()
    for batch in cache.batches.all():
        if batch["metadata"]["namespace"] == namespace:
            account = _with_ledger(account, cache, batch)
    for item in cache.items.all():
        metadata = item["metadata"]
        if metadata["namespace"] == namespace and metadata["uid"] not in paying and batch_of(cache, item) is None:
            account = account.with_spent(NO_BUDGET, spent_usd(item))
    return account


def _with_ledger(account: Account, cache: Cache, batch: Object) -> Account:
    try:
        budget = budget_of(cache, batch).uid
    except NoBudget:
        budget = NO_BUDGET
    children = {child["metadata"]["name"]: child for child in cache.children_of(batch["metadata"]["uid"])}
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

"""The reconcilers of the operator, put together."""

from isobench.controller.accounts import ACCOUNTS, Accounts
from isobench.controller.admission import Admission
from isobench.controller.app import Parts
from isobench.controller.batches import BatchReconciler
from isobench.controller.item_actions import Actions
from isobench.controller.items import ItemReconciler
from isobench.controller.kinds import BATCHES, ITEMS
from isobench.controller.providers import Providers
from isobench.controller.work import Reconcilers


def make_reconcilers(parts: Parts) -> Reconcilers:
    """One for each of our kinds, and one for the namespaces' accounts.

    Raises:
        InvalidInput: a provider's configuration can't be taken.
    """
    accounts = Accounts(parts)
    admission = Admission(parts, accounts)
    actions = Actions(parts, Providers.in_folder(parts.settings.configurations))
    return {
        ITEMS.plural: ItemReconciler(parts, admission, actions),
        BATCHES.plural: BatchReconciler(parts, admission),
        ACCOUNTS: accounts,
    }

"""The reconcilers of the operator, put together."""

from isobench.controller.app import Parts
from isobench.controller.work import Reconcilers


def make_reconcilers(parts: Parts) -> Reconcilers:
    """One for each of our kinds."""
    raise NotImplementedError(parts)

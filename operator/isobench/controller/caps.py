"""Caps on a namespace: how many of its items run at once and what they may cost; flags say it, out of tenants' reach."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from isobench.contracts.base import InvalidInput


@dataclass(frozen=True, slots=True)
class Caps:
    """What one namespace may have; None: anything."""

    items: int | None = None
    dollars: Decimal | None = None


def parse_cap(text: str) -> tuple[str, Caps]:
    """A namespace and its caps, as `team-a:items=10,dollars=50` says them; what is left out is not capped.

    Raises:
        InvalidInput: it says something else.
    """
    namespace, _, rest = text.partition(":")
    named = dict(part.partition("=")[::2] for part in rest.split(",") if part)
    try:
        if not namespace or not named or set(named) - {"items", "dollars"}:
            raise ValueError(text)
        items = int(named["items"]) if "items" in named else None
        dollars = Decimal(named["dollars"]) if "dollars" in named else None
        if (items is not None and items < 1) or (dollars is not None and not dollars >= 0):
            raise ValueError(text)
    except (ValueError, InvalidOperation):
        raise InvalidInput(
            "--namespace-cap", [f"{text!r} is no cap; write NAMESPACE:items=10,dollars=50 or one of the two"]
        ) from None
    return namespace, Caps(items, dollars)

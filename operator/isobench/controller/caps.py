"""Caps on a namespace: how many of its items run at once and what they may cost; the operator's flags say it."""

import re
from dataclasses import dataclass
from decimal import Decimal

from isobench.contracts.base import InvalidInput

_CAP = re.compile(
    r"(?P<namespace>[a-z0-9-]+):(?:items=(?P<items>[1-9][0-9]*))?,?(?:dollars=(?P<dollars>[0-9]+(?:\.[0-9]+)?))?"
)


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
    found = _CAP.fullmatch(text)
    if found is None or not (found["items"] or found["dollars"]):
        problem = f"{text!r} is no cap; write NAMESPACE:items=10,dollars=50 or one of the two"
        raise InvalidInput("--namespace-cap", [problem])
    items = int(found["items"]) if found["items"] else None
    dollars = Decimal(found["dollars"]) if found["dollars"] else None
    return found["namespace"], Caps(items, dollars)

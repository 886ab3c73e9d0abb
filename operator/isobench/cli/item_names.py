"""How a person names an item: its name, a part of it, or the beginning of its head commit."""

from collections.abc import Iterable

from isobench.contracts.base import InvalidInput
from isobench.local.batch_state import ItemRow

NAMES_SHOWN = 5


def item_called(asked: str, rows: Iterable[ItemRow], source: str) -> ItemRow:
    """The first of ``rows`` that ``asked`` fits; ``source`` is where a person wrote it.

    Raises:
        InvalidInput: none fits, or items of several names do.
    """
    fitting = [row for row in rows if asked in row.item_id or row.head.startswith(asked.lower())]
    names = sorted({row.item_id for row in fitting})
    if not names:
        raise InvalidInput(source, ["no item of that name is recorded here; `isobench status` lists them"])
    if len(names) > 1:
        raise InvalidInput(source, [f"could be {', '.join(names[:NAMES_SHOWN])}; give more of the name"])
    return fitting[0]

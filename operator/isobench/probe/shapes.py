"""Shapes of JSON values, checked piece by piece: a refusal names the key, what is expected, and what was given."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Callable, Dict, List, Optional, Tuple

LARGEST = 2**62

Check = Callable[[Any, str], Any]
"""Gives the value as it is used; the other argument says where it stands. Raises BadRequest."""


class BadRequest(Exception):
    """The request can't be followed; the message is one sentence with the key, the value and the remedy."""


def keyed(value: Any, where: str, shape: Dict[str, Check]) -> Dict[str, Any]:
    """An object with exactly the keys of `shape`, each value as its check gives it."""
    if not isinstance(value, dict):
        raise BadRequest("%s must be an object, not %s" % (where, _shown(value)))
    for key in value:
        if key not in shape:
            raise BadRequest("%s has the unknown key %s; known are %s" % (where, _shown(key), ", ".join(shape)))
    for key in shape:
        if key not in value:
            raise BadRequest("%s lacks the key %s" % (where, key))
    return {key: check(value[key], "%s: %s" % (where, key)) for key, check in shape.items()}


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _refuse(where: str, expected: str, value: object) -> BadRequest:
    return BadRequest("%s must be %s, not %s" % (where, expected, _shown(value)))


def _text(value: Any, where: str) -> str:
    if isinstance(value, str) and "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value):
        return value
    raise _refuse(where, "text without NUL or lone surrogates", value)


def path(value: Any, where: str) -> str:
    """An absolute path."""
    if os.path.isabs(_text(value, where)):
        return str(value)
    raise _refuse(where, "an absolute path", value)


def path_or_null(value: Any, where: str) -> Optional[str]:
    """An absolute path, or null."""
    return None if value is None else path(value, where)


def address(value: Any, where: str) -> Tuple[str, int]:
    """A plain address: a name would have to be asked for, and nobody can be asked where nothing is reached."""
    host, _, port = _text(value, where).rpartition(":")
    if host and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise _refuse(where, "an address such as 10.0.0.1:443", value)


def one_of(*choices: object) -> Check:
    """One of `choices`; true and false are no numbers here."""

    def check(value: Any, where: str) -> Any:
        if value in choices and not isinstance(value, bool):
            return value
        raise _refuse(where, " or ".join(map(_shown, choices)), value)

    return check


def whole(at_least: int, at_most: int = LARGEST) -> Check:
    """A whole number within these bounds."""

    def check(value: Any, where: str) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= at_most:
            return value
        raise _refuse(where, "a whole number from %d to %d" % (at_least, at_most), value)

    return check


def positive(value: Any, where: str) -> float:
    """A number above 0."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and 0 < value <= LARGEST:
        return float(value)
    raise _refuse(where, "a number above 0", value)


def list_of(check: Check, at_least: int, at_most: float = math.inf) -> Check:
    """A list of so many entries, each of which passes `check`."""

    def check_list(value: Any, where: str) -> Tuple[Any, ...]:
        if not isinstance(value, list) or not at_least <= len(value) <= at_most:
            raise _refuse(where, "a list of %s" % _amount(at_least, at_most), value)
        return tuple(check(entry, "%s[%d]" % (where, index)) for index, entry in enumerate(value))

    return check_list


def _amount(at_least: int, at_most: float) -> str:
    return "%d" % at_least if at_least == at_most else "at least %d" % at_least


def variables(value: Any, where: str) -> Dict[str, str]:
    """Environment variables by name."""
    if not isinstance(value, dict) or any(not key or "=" in key for key in value):
        raise _refuse(where, "an object of variables", value)
    names: List[str] = [_text(key, where) for key in value]
    return {name: _text(value[name], "%s.%s" % (where, name)) for name in names}

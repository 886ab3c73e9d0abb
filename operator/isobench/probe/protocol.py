"""What a test script prints: the measurement in its standard output, and how fine the printed number is."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation
from typing import Any, Iterator, NamedTuple, Optional

from .failure import ArmFailure


class Measurement(NamedTuple):
    """What one run says of itself, in milliseconds per iteration."""

    printed_ms: float
    digit_ms: float
    """Value of the last printed digit: no difference smaller than this can be seen."""
    iterations: int
    result_sha256: Optional[str]


_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_NUMBER = r"(?<![\w.,])([-+]?(?:(?:%s(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?))" % _DIGITS
_SECONDS = r"\s*s(?:ec(?:ond)?s?)?\b"

_EXECUTION_TIME = re.compile(r"Execution time:\s*" + _NUMBER + _SECONDS, re.IGNORECASE)
_LAST_RESORTS = (
    (re.compile(_NUMBER + r"\s*(?:ms|msecs?|milliseconds?)\b", re.IGNORECASE), Decimal(1)),
    (re.compile(_NUMBER + _SECONDS, re.IGNORECASE), Decimal(1000)),
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_output(text: str) -> Measurement:
    """Read the measurement from a run's standard output.

    In this order: the last JSON line with `avg_ms`, the last `Execution time: <seconds>s`, the last `... ms`, the last
    `... seconds`. Raises ArmFailure with NoMeasurement or InvalidMeasurement.
    """
    report = next(_reports(text), None)
    if report is not None:
        return _from_report(report)
    for pattern, milliseconds in ((_EXECUTION_TIME, Decimal(1000)), *_LAST_RESORTS):
        found = pattern.findall(text)
        if found:
            return _measurement(_decimal(found[-1].replace(",", "")), milliseconds, 1, None)
    raise ArmFailure(
        "NoMeasurement",
        "the test exited with status 0 but printed no measurement: print one JSON line with avg_ms, "
        "or 'Execution time: <seconds>s'",
    )


def _reports(text: str) -> Iterator["dict[str, Any]"]:
    """JSON objects with avg_ms, a line each, the last first."""
    for line in reversed(text.splitlines()):
        if '"avg_ms"' not in line:
            continue
        try:
            value = json.loads(line, parse_float=_decimal, parse_int=_decimal, parse_constant=_decimal)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and "avg_ms" in value:
            yield value


def _from_report(report: "dict[str, Any]") -> Measurement:
    average = report["avg_ms"]
    if not isinstance(average, Decimal):
        raise _invalid("avg_ms", average, "print a number of milliseconds")
    iterations = report.get("iterations", Decimal(1))
    whole = isinstance(iterations, Decimal) and iterations.is_finite() and 1 <= iterations < 1e18
    if not whole or iterations != int(iterations):
        raise _invalid("iterations", iterations, "print a whole number of at least 1")
    digest = report.get("result_sha256")
    if digest is not None and not (isinstance(digest, str) and _SHA256.fullmatch(digest.lower())):
        raise _invalid("result_sha256", digest, "print 64 hexadecimal digits or leave it out")
    return _measurement(average, Decimal(1), int(iterations), digest.lower() if digest else None)


def _decimal(literal: str) -> Decimal:
    try:
        return Decimal(literal)
    except InvalidOperation:  # an exponent beyond what decimal can hold
        return Decimal("Infinity")


def _measurement(number: Decimal, milliseconds: Decimal, iterations: int, digest: Optional[str]) -> Measurement:
    value = float(number) * float(milliseconds)
    if not math.isfinite(value) or value < 0:
        raise _invalid("the printed time", number, "print a finite number that is not negative")
    exponent = number.as_tuple().exponent
    digit = float(Decimal((0, (1,), int(exponent))) * milliseconds)
    return Measurement(abs(value), digit, iterations, digest)


def _invalid(name: str, value: object, remedy: str) -> ArmFailure:
    shown = str(value)
    return ArmFailure("InvalidMeasurement", "%s is %s: %s" % (name, shown[:60], remedy))

"""What a test script may print, and what is read from it."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isobench.probe.failure import ArmFailure
from isobench.probe.protocol import Measurement, parse_output

times = st.floats(min_value=0, max_value=1e12, allow_nan=False, allow_infinity=False, allow_subnormal=False)
noise = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="0123456789"), max_size=40).filter(
    lambda text: not any(word in text.lower() for word in ("nan", "inf"))
)
DIGEST = "0123456789abcdef" * 4


def reason_of(text: str) -> str:
    with pytest.raises(ArmFailure) as caught:
        parse_output(text)
    return caught.value.reason


@given(times, st.integers(1, 10**6), noise, noise)
def test_a_json_line_is_read_exactly_whatever_stands_around_it(
    milliseconds: float, iterations: int, before: str, after: str
) -> None:
    line = json.dumps({"avg_ms": milliseconds, "iterations": iterations, "result_sha256": DIGEST})
    measurement = parse_output(f"{before}\n{line}\n{after}")
    assert (measurement.printed_ms, measurement.iterations) == (milliseconds, iterations)
    assert measurement.result_sha256 == DIGEST


@given(times, st.integers(0, 9))
def test_seconds_become_milliseconds_and_keep_their_last_digit(seconds: float, digits: int) -> None:
    measurement = parse_output(f"Execution time: {seconds:.{digits}f}s")
    assert measurement.printed_ms == pytest.approx(float(f"{seconds:.{digits}f}") * 1000)
    assert measurement.digit_ms == pytest.approx(1000 * 10.0**-digits)


@given(st.integers(1, 999), st.integers(0, 6), st.integers(-9, 9))
def test_the_last_digit_follows_the_exponent(number: int, decimals: int, exponent: int) -> None:
    literal = f"{Decimal(number).scaleb(-decimals):f}e{exponent}"
    measurement = parse_output(f'{{"avg_ms": {literal}}}')
    assert measurement.digit_ms == pytest.approx(10.0 ** (exponent - decimals))
    assert measurement.printed_ms == pytest.approx(float(literal))


@pytest.mark.parametrize(
    ("text", "milliseconds", "digit"),
    [
        ("Execution time: 1.50s", 1500, 10),
        ("Execution time: 0.0123 s", 12.3, 0.1),
        ("execution TIME:2 seconds", 2000, 1000),
        ("Execution time: 1.5e-3s", 1.5, 0.1),
        ("Execution time: .5s", 500, 100),
        ("Execution time: 5.s", 5000, 1000),
        ("Execution time: +1s", 1000, 1000),
        ("Execution time: 1,234.5s", 1234500, 100),
        ("took 12.50 ms", 12.5, 0.01),
        ("took 12.50ms.", 12.5, 0.01),
        ("took 3 milliseconds", 3, 1),
        ("total 3.25 seconds", 3250, 10),
        ("total 3.25 sec", 3250, 10),
        ('{"avg_ms": 1E+2}', 100, 100),
        ('{"avg_ms": 0}', 0, 1),
        ('{"avg_ms": 0.000}', 0, 0.001),
        ('{"avg_ms": -0}', 0, 1),
    ],
)
def test_numbers_in_any_usual_notation(text: str, milliseconds: float, digit: float) -> None:
    measurement = parse_output(text)
    assert measurement.printed_ms == pytest.approx(milliseconds)
    assert measurement.digit_ms == pytest.approx(digit)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ('{"avg_ms": 1}\n{"avg_ms": 2}\n{"other": 3}', 2),
        ('{"avg_ms": 2}\n{"avg_ms": broken}', 2),
        ('Execution time: 9s\n{"avg_ms": 2}\nExecution time: 9s', 2),
        ("Execution time: 1s\nExecution time: 2s\n7 ms", 2000),
        ("10 seconds of warm-up\n7 ms\n8 ms\n10 seconds", 8),
        ("Execution time: 5 ms", 5),
    ],
)
def test_the_last_of_the_strongest_form_counts(text: str, milliseconds: float) -> None:
    assert parse_output(text).printed_ms == milliseconds


@pytest.mark.parametrize(
    "text", ["", "42", "Execution time: fast", "version 1.2.3s4", "abc7ms5", "0x12ms", '["avg_ms", 3]', "\x00" * 100]
)
def test_anything_else_is_no_measurement(text: str) -> None:
    assert reason_of(text) == "NoMeasurement"


@pytest.mark.parametrize(
    "value",
    ["-1", "-0.0001", "NaN", "Infinity", "-Infinity", "1e999", "1e99999999999999999999", "true", "null", '"1"', "{}"],
)
def test_what_is_not_a_time_is_invalid(value: str) -> None:
    assert reason_of(f'{{"avg_ms": {value}}}') == "InvalidMeasurement"


@pytest.mark.parametrize("text", ["Execution time: nans", "Execution time: inf s", "Execution time: -1s", "-3 ms"])
def test_an_invalid_number_is_not_skipped_for_a_weaker_one(text: str) -> None:
    assert reason_of(f"5 ms\n{text}") == "InvalidMeasurement"


@pytest.mark.parametrize("iterations", ["0", "-1", "1.5", "true", '"3"', "NaN", "1e30"])
def test_iterations_must_be_a_whole_number(iterations: str) -> None:
    assert reason_of(f'{{"avg_ms": 1, "iterations": {iterations}}}') == "InvalidMeasurement"


@pytest.mark.parametrize("digest", ['""', '"abc"', "7", f'"{DIGEST}0"', f'"{DIGEST[:-1]}g"'])
def test_a_result_digest_must_be_one(digest: str) -> None:
    assert reason_of(f'{{"avg_ms": 1, "result_sha256": {digest}}}') == "InvalidMeasurement"


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(['{"avg_ms":', "1", "s", "ms", "}", ",", ".", "e", "-", " "])).map("".join)
)
def test_any_output_gives_a_finite_measurement_or_a_reason(text: str) -> None:
    outcome = read(text)
    if isinstance(outcome, Measurement):
        assert 0 <= outcome.printed_ms < math.inf
    else:
        assert outcome in ("NoMeasurement", "InvalidMeasurement")


def read(text: str) -> Measurement | str:
    try:
        return parse_output(text)
    except ArmFailure as failure:
        return failure.reason


def test_a_megabyte_of_near_misses_is_read_at_once() -> None:
    assert reason_of('{"avg_ms": [' * 80000) == "NoMeasurement"
    assert reason_of("1,234" * 200000) == "NoMeasurement"
    assert reason_of("1" * 10**6) == "NoMeasurement"

"""Decimal strings: exact both ways, and nothing but plain notation."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.decimals import NANO, divide_half_even, format_fixed, format_nano, parse_nano

NANOS = st.integers(-(10**27) + 1, 10**27 - 1)


@given(NANOS)
def test_every_value_survives_its_text(value: int) -> None:
    """What is written is read back as the same number, and in the shortest form."""
    text = format_nano(value)
    assert parse_nano(text) == value
    assert Decimal(text) * NANO == value
    assert "." not in text or not text.endswith(("0", "."))


@given(st.integers(-(10**27), 10**27), st.integers(0, 12))
def test_fixed_places_are_exact(value: int, places: int) -> None:
    """A value with fixed places has exactly that many and loses nothing."""
    text = format_fixed(value, places)
    assert Decimal(text).scaleb(places) == value
    assert len(text.partition(".")[2]) == places


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_division_rounds_half_to_even(numerator: int, denominator: int) -> None:
    """The quotient is what decimal arithmetic with ROUND_HALF_EVEN gives."""
    rounded = divide_half_even(numerator, denominator)
    exact_twice = 2 * numerator
    distance = abs(exact_twice - 2 * rounded * denominator)
    assert distance <= denominator
    assert distance < denominator or rounded % 2 == 0


@pytest.mark.parametrize(
    ("numerator", "expected"), [(5, 2), (15, 8), (25, 12), (-5, -2), (-15, -8), (-25, -12), (26, 13), (-24, -12)]
)
def test_halves_go_to_the_even_neighbour(numerator: int, expected: int) -> None:
    """2.5 halves down to 2 in units of 10/4, 7.5 up to 8: ties go to the even number on either side of zero."""
    assert divide_half_even(numerator, 2) == expected
    quotient = Decimal(numerator) / 2
    assert int(quotient.to_integral_value(ROUND_HALF_EVEN)) == expected


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("-0", 0),
        ("1", NANO),
        ("101.25", 101_250_000_000),
        ("0.000000001", 1),
        ("-0.000000001", -1),
        ("007", 7 * NANO),
        ("999999999999999999.999999999", 10**27 - 1),
    ],
)
def test_plain_notation_is_read(text: str, nano: int) -> None:
    """Up to 18 digits before and 9 after the point, with or without a minus."""
    assert parse_nano(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " 1",
        "1 ",
        "1\n",
        "+1",
        "--1",
        ".5",
        "5.",
        "1.",
        "1e3",
        "1E3",
        "1_000",
        "1,5",
        "1,000.00",
        "0x10",
        "NaN",
        "Infinity",
        "-",
        ".",
        "1.2.3",
        "1000000000000000000",
        "0.0000000001",
        "\u0661",
        "\uff11",
        "\u00bd",
        "\u22121",
        "1\x00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """No exponent, plus, spaces, separators, missing or too many digits, nor digits of other scripts."""
    with pytest.raises(ValueError, match="is not a plain decimal"):
        parse_nano(text)


@given(st.text(max_size=30))
def test_no_text_is_misread(text: str) -> None:
    """Any text either is refused or is ASCII that Decimal reads as the same number."""
    try:
        value = parse_nano(text)
    except ValueError:
        return
    assert text.isascii()
    assert Decimal(text) * NANO == value


def test_the_refusal_quotes_only_the_beginning() -> None:
    """A megabyte of digits does not come back in the message."""
    with pytest.raises(ValueError, match="is not a plain decimal") as refused:
        parse_nano("9" * 1_000_000)
    assert len(str(refused.value)) < 200

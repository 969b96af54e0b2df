"""Decimal strings of the contracts, and integers of 10^-9 behind them.

Plain notation only: an optional minus, at most 18 digits before and 9 after the
point, no exponent, no plus, no spaces. Never a float. Pure.
"""

import re

NANO = 1_000_000_000
PLACES_MAX = 9
DIGITS_MAX = 18
_PLAIN = re.compile(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,9}))?")


def parse_nano(text: str) -> int:
    """The value of a decimal string in units of 10^-9.

    Raises:
        ValueError: not in plain notation, or too many digits.
    """
    match = _PLAIN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a plain decimal of at most {DIGITS_MAX}.{PLACES_MAX} digits")
    sign, whole, fraction = match.groups()
    value = int(whole) * NANO + (int(fraction.ljust(PLACES_MAX, "0")) if fraction else 0)
    return -value if sign else value


def format_nano(value: int) -> str:
    """A value in units of 10^-9 as a plain decimal string, without trailing zeros."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), NANO)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:09d}".rstrip("0")


def format_fixed(value: int, places: int) -> str:
    """`value` in units of 10^-places as a decimal string with exactly that many places."""
    if places == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def divide_half_even(numerator: int, denominator: int) -> int:
    """The quotient rounded half to even, for `denominator` > 0."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient

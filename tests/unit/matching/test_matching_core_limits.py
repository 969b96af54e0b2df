"""Section 6, limits: scopes, versions and masks."""

from dataclasses import fields
from typing import Any

import pytest

from matching.core import commands
from matching.core.commands import Limits
from matching.core.words import Side
from tests.unit.matching.asking import denial, passes
from tests.unit.matching.market import SECOND_NS, Market

BUY = Side.BUY
OVER = 60 * SECOND_NS + 1
SCOPES = [("", ""), ("", "XYZ"), ("ALICE", ""), ("ALICE", "XYZ")]


@pytest.mark.parametrize("tightest", SCOPES)
def test_the_tightest_scope_counts(market: Market, tightest: tuple[str, str]) -> None:
    """A narrower one never loosens a wider one, nor the other way round."""
    for account, symbol in SCOPES:
        market.limit(account, symbol, order_qty_lots=5 if (account, symbol) == tightest else 50)
    assert passes(market, "ALICE", BUY, 5, 90)
    assert denial(market, "ALICE", BUY, 6, 90)[1] == ("order_qty", "LOTS", 5, 0, 6, 4)


def test_a_scope_is_of_others_no_matter(market: Market) -> None:
    """Another account's, another instrument's limits do not count."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    for account, symbol in (("BOB", ""), ("BOB", "XYZ"), ("", "ABC"), ("ALICE", "ABC")):
        market.limit(account, symbol, order_qty_lots=1)
    assert passes(market, "ALICE", BUY, 50, 90)


def test_zero_is_no_limit(market: Market) -> None:
    """In one scope it leaves the others', and where all are 0 nothing is limited."""
    market.limit(order_qty_lots=5)
    market.limit("ALICE", order_qty_lots=0)
    assert not passes(market, "ALICE", BUY, 6, 90)
    market.limit(order_qty_lots=0)
    assert passes(market, "ALICE", BUY, 6, 90)


@pytest.mark.parametrize("field", [field.name for field in fields(Limits)])
def test_of_each_field_the_tighter_counts(market: Market, field: str) -> None:
    """The lower limit, the longer window, restricted where one scope says so; whichever scope it comes from."""
    narrow: dict[str, Any] = {field: 7}
    wide: dict[str, Any] = {field: 9}
    if field == "restricted":
        narrow, wide = {field: False}, {field: True}
    expected = wide[field] if field.endswith("window_ns") or field == "restricted" else narrow[field]
    for first, second in ((narrow, wide), (wide, narrow)):
        market.limit(**first)
        market.limit("ALICE", **second)
        market.buy("ALICE", 1, 90)
        resolved = market.position("ALICE").limits
        assert resolved is not None
        assert getattr(resolved, field) == expected


def test_only_the_fields_of_the_mask_change(market: Market) -> None:
    """And each change raises the version, which its event and later denials tell."""
    assert market.limit(order_qty_lots=5, message_rate=9)[0].fields["limits_version"] == 1
    change = commands.SetLimits("", "", "r", ["message_rate"], Limits(order_qty_lots=1_000, message_rate=0))
    (told,) = market.tell(change)
    assert told.fields == {"change": change, "limits_version": 2}
    assert denial(market, "ALICE", BUY, 6, 90)[1] == ("order_qty", "LOTS", 5, 0, 6, 2)


@pytest.mark.parametrize(
    ("account", "symbol", "mask", "limits", "why"),
    [
        ("NOBODY", "", ["message_rate"], {}, "ACCOUNT_UNKNOWN account"),
        ("", "NONE", ["message_rate"], {}, "SYMBOL_UNKNOWN symbol"),
        ("", "", [], {}, "FIELD_INVALID update_mask"),
        ("", "", ["message_rate", "nonsense"], {}, "FIELD_INVALID update_mask"),
        ("", "", ["__doc__"], {}, "FIELD_INVALID update_mask"),
        ("", "", ["message_rate"], {"message_rate": -1}, "NOT_POSITIVE message_rate"),
        ("", "", ["duplicate_window_ns"], {"duplicate_window_ns": OVER}, "FIELD_INVALID duplicate_window_ns"),
        ("", "", ["repeated_window_ns"], {"repeated_window_ns": OVER}, "FIELD_INVALID repeated_window_ns"),
    ],
)
def test_limits_that_cannot_be_are_refused(
    market: Market, account: str, symbol: str, mask: list[str], limits: dict[str, Any], why: str
) -> None:
    """With the field at fault; the version stays."""
    told = market.tell(commands.SetLimits(account, symbol, "r", mask, Limits(**limits)))
    assert told.story == [f"command_refused {why}"]
    assert (told[0].fields["account"], told[0].fields["request_id"]) == (account, "r")
    assert market.engine.venue.limits_version == 0


def test_windows_are_at_most_a_minute(market: Market) -> None:
    """60 s itself passes."""
    told = market.limit(duplicate_window_ns=60 * SECOND_NS, repeated_window_ns=60 * SECOND_NS)
    assert told.story == ["limits_set"]

"""Section 7, mass cancels and mass quotes."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.commands import MassCancel, MassQuote, QuoteEntry
from matching.core.words import Cause, ContingencyType, ExecType, OrdType, RequestKind, Side, TimeInForce
from tests.unit.matching.market import Market, Told


@pytest.fixture
def busy(market: Market) -> Market:
    """ALICE's orders: purchases, sales and short sales in two instruments, by two sessions."""
    market.configure("ALICE", short_sale_permitted=True)
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    market.buy("ALICE", 1, 90, key="buy", session_id="S1")
    market.sell("ALICE", 1, 110, key="sell", session_id="S2")
    market.short("ALICE", 1, 110, key="short", symbol="ABC")
    market.buy("ALICE", 1, 90, key="abc", symbol="ABC", session_id="S1")
    market.sell("ALICE", 1, key="stop", ord_type=OrdType.STOP, stop_px_ticks=80, session_id="S1")
    market.buy("BOB", 1, 90, key="bob", session_id="S1")
    return market


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, ["buy", "sell", "short", "abc", "stop"]),
        ({"symbol": "XYZ"}, ["buy", "sell", "stop"]),
        ({"symbol": "ABC"}, ["short", "abc"]),
        ({"symbol": "NONE"}, []),
        ({"side": Side.BUY}, ["buy", "abc"]),
        ({"side": Side.SELL}, ["sell", "short", "stop"]),
        ({"side": Side.SELL_SHORT}, ["short"]),
        ({"session_id": "S1"}, ["buy", "abc", "stop"]),
        ({"symbol": "XYZ", "side": Side.SELL, "session_id": "S1"}, ["stop"]),
    ],
)
def test_a_mass_cancel_takes_what_matches_every_filter(busy: Market, filters: dict[str, Any], keys: list[str]) -> None:
    """By account and any of symbol, side, session; SELL takes SELL_SHORT along; told with the number, then by id."""
    told = busy.tell(MassCancel("ALICE", "M", **filters))
    assert told.story == ["orders_mass_canceled", *[f"{key} CANCELED" for key in keys]]
    expected = {"account": "ALICE", "cl_ord_id": "M", "symbol": "", "side": 0, "session_id": ""} | filters
    assert told[0].fields == expected | {"canceled_orders": len(keys)}
    assert {event.cause for event in told[1:]} <= {Cause.CLIENT}


def test_a_mass_cancel_needs_an_account(market: Market) -> None:
    """A known one."""
    told = market.tell(MassCancel("NOBODY", "M"))
    assert told.story == ["command_refused ACCOUNT_UNKNOWN account"]
    assert (told[0].fields["account"], told[0].fields["request_id"]) == ("NOBODY", "M")


def test_a_mass_cancel_passes_over_what_falls_with_another(market: Market) -> None:
    """The rival of a cancelled leg is CANCELED as CONTINGENCY, once."""
    oco: dict[str, Any] = {"contingency_type": ContingencyType.OCO, "list_id": "L"}
    market.sell("ALICE", 1, 110, key="one", leg=1, **oco)
    market.sell("ALICE", 1, 120, key="two", leg=2, **oco)
    told = market.tell(MassCancel("ALICE"))
    assert told.story == ["orders_mass_canceled", "one CANCELED", "two CANCELED CONTINGENCY"]
    assert told[0].fields["canceled_orders"] == 2


def quote(market: Market, quote_id: str, *entries: tuple[int, int, int, int], symbol: str = "XYZ") -> Told:
    """ALICE quotes: bid price and lots, ask price and lots."""
    return market.tell(MassQuote("ALICE", quote_id, [QuoteEntry(symbol, *entry) for entry in entries]))


def test_a_quote_is_two_limit_orders_of_the_day(market: Market) -> None:
    """The bid, then the ask, with `cl_ord_id` = `quote_id` and request QUOTE."""
    told = quote(market, "Q", (98, 5, 102, 6))
    assert told.story == ["mass_quote_accepted", "Q NEW", "Q NEW"]
    assert told[0].fields == {"account": "ALICE", "quote_id": "Q", "entries": 1}
    for event, side in zip(told[1:], (Side.BUY, Side.SELL), strict=True):
        assert (event.terms.side, event.terms.ord_type, event.terms.time_in_force) == (
            side, OrdType.LIMIT, TimeInForce.DAY,
        )  # fmt: skip
        assert event.request == RequestKind.QUOTE
    assert (market.bids(), market.asks()) == (["Q 5@98"], ["Q 6@102"])


def test_a_quote_that_is_the_same_stays_untouched(market: Market) -> None:
    """Price and open quantity the same: no event, and it keeps its key."""
    quote(market, "Q1", (98, 5, 102, 6))
    market.sell("BOB", 2, 98, time_in_force=TimeInForce.IOC)
    assert quote(market, "Q2", (98, 3, 102, 6)).story == ["mass_quote_accepted"]
    assert (market.bids(), market.asks()) == (["Q1 3@98"], ["Q1 6@102"])


def test_a_lower_quantity_lowers_it_in_its_place(market: Market) -> None:
    """REPLACED with the new key, request QUOTE; what has traded counts."""
    quote(market, "Q1", (98, 5, 102, 6))
    market.buy("BOB", 5, 98, key="behind")
    market.open("CAROL")
    market.sell("CAROL", 2, 98, time_in_force=TimeInForce.IOC)
    told = quote(market, "Q2", (98, 1, 102, 6))
    assert told.story == ["mass_quote_accepted", "Q2 REPLACED 3"]
    assert (told[1].orig_cl_ord_id, told[1].request, told[1].leaves_qty_lots) == ("Q1", RequestKind.QUOTE, 1)
    assert market.bids() == ["Q2 1@98", "behind 5@98"]


@pytest.mark.parametrize(("entry", "bids"), [((97, 5, 102, 6), ["Q2 5@97"]), ((98, 6, 102, 6), ["Q2 6@98"])])
def test_another_price_or_more_is_a_new_quote(
    market: Market, entry: tuple[int, int, int, int], bids: list[str]
) -> None:
    """The standing one is CANCELED by the client, request QUOTE, then the new one is entered."""
    quote(market, "Q1", (98, 5, 102, 6))
    told = quote(market, "Q2", entry)
    assert told.story == ["mass_quote_accepted", "Q1 CANCELED", "Q2 NEW"]
    assert (told[1].cause, told[1].request) == (Cause.CLIENT, RequestKind.QUOTE)
    assert (market.bids(), market.asks()) == (bids, ["Q1 6@102"])


def test_both_sides_leave_before_either_enters(market: Market) -> None:
    """Bid then ask; so a quote can move through its own old price."""
    quote(market, "Q1", (98, 5, 102, 6))
    told = quote(market, "Q2", (103, 5, 107, 6))
    assert told.story == ["mass_quote_accepted", "Q1 CANCELED", "Q1 CANCELED", "Q2 NEW", "Q2 NEW"]


@pytest.mark.parametrize("entry", [(0, 0, 102, 6), (0, 5, 102, 6)])
def test_no_price_is_no_quote_on_that_side(market: Market, entry: tuple[int, int, int, int]) -> None:
    """A standing one is withdrawn."""
    quote(market, "Q1", (98, 5, 102, 6))
    assert quote(market, "Q2", entry).story == ["mass_quote_accepted", "Q1 CANCELED"]
    assert quote(market, "Q3", (0, 0, 0, 0)).story == ["mass_quote_accepted", "Q1 CANCELED"]
    assert quote(market, "Q4", (0, 0, 0, 0)).story == ["mass_quote_accepted"]


@pytest.mark.parametrize("ask", [98, 97])
def test_a_quote_that_crosses_itself_is_rejected_and_changes_nothing(market: Market, ask: int) -> None:
    """As its bid: FIELDS_CONFLICT `ask_px`, also when they are equal; the standing quotes stay."""
    quote(market, "Q1", (95, 5, 102, 6))
    (_, refused) = told = quote(market, "Q2", (98, 4, ask, 3))
    assert told.story == ["mass_quote_accepted", "Q2 REJECTED FIELDS_CONFLICT ask_px"]
    assert (refused.terms.side, refused.qty_lots, refused.price_ticks, refused.request) == (
        Side.BUY, 4, 98, RequestKind.QUOTE,
    )  # fmt: skip
    assert (market.bids(), market.asks()) == (["Q1 5@95"], ["Q1 6@102"])


def test_a_refused_side_stays_out_of_the_market(market: Market) -> None:
    """All checks apply to each side on its own: a negative quantity, too little money, an unknown symbol."""
    assert quote(market, "Q1", (98, -5, 102, 6)).story == [
        "mass_quote_accepted",
        "Q1 REJECTED NOT_POSITIVE qty",
        "Q1 NEW",
    ]
    assert quote(market, "Q2", (98, 10**9, 102, 6)).story == ["mass_quote_accepted", "Q2 DENIED BUYING_POWER"]
    assert quote(market, "Q3", (-1, 5, 102, 6)).story == ["mass_quote_accepted", "Q3 REJECTED NOT_POSITIVE price"]
    assert quote(market, "Q4", (98, 5, 102, 6), symbol="NONE").story == [
        "mass_quote_accepted", "Q4 REJECTED SYMBOL_UNKNOWN symbol", "Q4 REJECTED SYMBOL_UNKNOWN symbol",
    ]  # fmt: skip


def test_a_side_that_is_refused_now_leaves_without_its_old_quote(market: Market) -> None:
    """The old one has been cancelled by then."""
    quote(market, "Q1", (98, 5, 102, 6))
    assert quote(market, "Q2", (98, -1, 102, 6)).story[1:] == ["Q1 CANCELED", "Q2 REJECTED NOT_POSITIVE qty"]
    assert market.bids() == []


def test_entries_are_carried_out_in_turn(market: Market) -> None:
    """A later entry of the same instrument finds the earlier one standing."""
    told = quote(market, "Q", (98, 5, 102, 6), (97, 5, 102, 6))
    assert told.story == ["mass_quote_accepted", "Q NEW", "Q NEW", "Q CANCELED", "Q NEW"]
    assert told[0].fields["entries"] == 2


def test_a_quote_may_trade_at_once(market: Market) -> None:
    """What is filled stands no more; the next quote enters a new one."""
    market.sell("BOB", 5, 98, key="ask")
    assert quote(market, "Q1", (98, 5, 102, 6)).story == [
        "mass_quote_accepted", "Q1 NEW", "ask TRADE 5@98", "Q1 TRADE 5@98", "Q1 NEW",
    ]  # fmt: skip
    assert quote(market, "Q2", (98, 5, 102, 6)).story == ["mass_quote_accepted", "Q2 NEW"]


def test_quotes_end_like_orders(market: Market) -> None:
    """Filled, cancelled by id, and with the day: the next quote does not miss them."""
    told = quote(market, "Q1", (98, 5, 102, 6))
    market.sell("BOB", 5, 98)
    market.cancel(told[2])
    assert quote(market, "Q2", (98, 5, 102, 6)).story == ["mass_quote_accepted", "Q2 NEW", "Q2 NEW"]
    market.tell(commands.CloseDay(20261122))
    assert quote(market, "Q3", (98, 5, 102, 6)).story == ["mass_quote_accepted", "Q3 NEW", "Q3 NEW"]


def test_a_quote_is_forgotten_when_it_ends(market: Market) -> None:
    """It has no key of its own but the quote's; one that was cancelled under a key is known by that."""
    told = quote(market, "Q1", (98, 5, 102, 6))
    market.cancel(told[1])
    assert market.engine.lookup("ALICE", told[1].order_id, "") is None
    (ended,) = market.cancel(told[2], key="C")
    assert market.engine.lookup("ALICE", told[2].order_id, "") == (ended, told[2].time_unix_ns)


def test_a_quote_may_be_replaced_like_an_order(market: Market) -> None:
    """It still stands for its side."""
    told = quote(market, "Q1", (98, 5, 102, 6))
    assert market.replace(told[1], qty=4, key="R")[0].exec_type == ExecType.REPLACED
    assert quote(market, "Q2", (98, 4, 102, 6)).story == ["mass_quote_accepted"]
    assert market.bids() == ["R 4@98"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (MassQuote("NOBODY", "Q", [QuoteEntry("XYZ")]), "ACCOUNT_UNKNOWN account"),
        (MassQuote("ALICE", "", [QuoteEntry("XYZ")]), "FIELD_MISSING quote_id"),
        (MassQuote("ALICE", "Q", []), "FIELD_MISSING entries"),
        (MassQuote("ALICE", "", []), "FIELD_MISSING quote_id"),
    ],
)
def test_a_mass_quote_that_cannot_be_is_refused(market: Market, body: MassQuote, why: str) -> None:
    """Without account, key or entries."""
    assert market.tell(body).story == [f"command_refused {why}"]

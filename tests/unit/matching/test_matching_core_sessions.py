"""Section 3, market sessions: what may follow what, what each takes, the volatility halt, the end of a listing."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import Cause, ContingencyType, OrdType, Reason, TimeInForce, TradingSession
from tests.unit.matching.market import TICK_MICRO, Market, word

CLOSED, PRE_OPEN, OPENING = TradingSession.CLOSED, TradingSession.PRE_OPEN, TradingSession.OPENING_AUCTION
CONTINUOUS, HALTED, CLOSING = TradingSession.CONTINUOUS, TradingSession.HALTED, TradingSession.CLOSING_AUCTION
ALLOWED = {
    CLOSED: {PRE_OPEN, OPENING, CONTINUOUS},
    PRE_OPEN: {OPENING, CONTINUOUS, HALTED, CLOSED},
    OPENING: {CONTINUOUS, HALTED, CLOSED},
    CONTINUOUS: {HALTED, CLOSING, CLOSED},
    HALTED: {OPENING, CONTINUOUS, CLOSED},
    CLOSING: {HALTED, CLOSED},
}


def listed_in(market: Market, trading_session: int) -> Market:
    """The market with ABC, listed in a session."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9, trading_session=trading_session))
    return market


@pytest.mark.parametrize("after", [0, CLOSED, PRE_OPEN, OPENING, CONTINUOUS, HALTED, CLOSING, 7])
@pytest.mark.parametrize("before", ALLOWED, ids=lambda number: word(TradingSession, number))
def test_every_transition(market: Market, before: int, after: int) -> None:
    """Those of the table happen and are told with both sessions, all others are refused and change nothing."""
    listed_in(market, before)
    (told,) = events = market.session(after, "ABC")
    if after in ALLOWED[before]:
        assert told.fields == {
            "symbol": "ABC",
            "previous": before,
            "trading_session": after,
            "auction_px_ticks": 0,
            "auction_qty_lots": 0,
            "cause": Cause.OPERATOR,
        }
        assert market.listing("ABC").trading_session == after
    else:
        assert events.story == ["command_refused FIELDS_CONFLICT trading_session"]
        assert market.listing("ABC").trading_session == before


def test_an_instrument_begins_continuous_unless_its_listing_says_otherwise(market: Market) -> None:
    """XYZ's listing says nothing."""
    assert market.listing().trading_session == CONTINUOUS
    assert listed_in(market, HALTED).listing("ABC").trading_session == HALTED


def test_the_session_of_an_unknown_instrument(market: Market) -> None:
    """SYMBOL_UNKNOWN; and so its reference price."""
    assert market.session(CLOSED, "NONE").story == ["command_refused SYMBOL_UNKNOWN symbol"]
    assert market.reference(100, "NONE").story == ["command_refused SYMBOL_UNKNOWN symbol"]
    assert market.reference(0).story == ["command_refused NOT_POSITIVE price"]


KINDS: dict[str, dict[str, Any]] = {
    "LIMIT": {"price": 99},
    "STOP": {"ord_type": OrdType.STOP, "stop_px_ticks": 105},
    "STOP_LIMIT": {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 105, "price": 105},
    "TRAILING_STOP": {"ord_type": OrdType.TRAILING_STOP, "trail_offset": 5, "trail_unit": 1},
    "MARKET": {},
    "IOC": {"price": 99, "time_in_force": TimeInForce.IOC},
    "FOK": {"price": 99, "time_in_force": TimeInForce.FOK},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trading_session", ALLOWED, ids=lambda number: word(TradingSession, number))
def test_what_each_session_takes(market: Market, trading_session: int, kind: str) -> None:
    """PRE_OPEN and the auctions take what may rest or wait; CLOSED and HALTED take nothing; CONTINUOUS everything."""
    listed_in(market, trading_session)
    told = market.buy("ALICE", 5, key="K", symbol="ABC", **KINDS[kind]).story[0]
    expected = "K PENDING_NEW" if "STOP" in kind else "K NEW"
    if trading_session == HALTED:
        expected = "K REJECTED HALTED symbol"
    elif trading_session == CLOSED:
        expected = "K REJECTED SESSION_CLOSED symbol"
    elif trading_session != CONTINUOUS and kind == "MARKET":
        expected = "K REJECTED SESSION_CLOSED ord_type"
    elif trading_session != CONTINUOUS and kind in ("IOC", "FOK"):
        expected = "K REJECTED SESSION_CLOSED time_in_force"
    assert told == expected


def test_outside_continuous_the_book_may_be_crossed(market: Market) -> None:
    """Nothing is matched there."""
    market.session(CLOSED)
    market.session(PRE_OPEN)
    market.sell("ALICE", 5, 99, key="ask")
    assert market.buy("BOB", 5, 101, key="bid").story == ["bid NEW"]
    assert (market.bids(), market.asks()) == (["bid 5@101"], ["ask 5@99"])


def banded(market: Market, bps: int = 500, reference: int = 100) -> Market:
    """A band around a reference."""
    market.reference(reference)
    market.configure_instrument(price_band_bps=bps)
    return market


@pytest.mark.parametrize(("bps", "highest"), [(500, 105), (599, 105), (600, 106), (9_999, 199)])
def test_the_highest_price_of_the_band(market: Market, bps: int, highest: int) -> None:
    """`floor(ref * (10,000 + bps) / 10,000)`: a trade at it happens, the next one a tick above halts."""
    banded(market, bps)
    market.sell("ALICE", 1, highest, key="inside")
    market.sell("ALICE", 1, highest + 1, key="outside")
    told = market.buy("BOB", 2, highest + 1, key="bid")
    assert told.story[1:] == [
        f"inside TRADE 1@{highest}", f"bid TRADE 1@{highest}", "trading_session_changed HALTED PRICE_BAND",
    ]  # fmt: skip


@pytest.mark.parametrize(("bps", "lowest"), [(500, 95), (501, 95), (499, 96), (9_999, 1)])
def test_the_lowest_price_of_the_band(market: Market, bps: int, lowest: int) -> None:
    """`ceil(ref * (10,000 - bps) / 10,000)`."""
    banded(market, bps)
    market.buy("ALICE", 1, lowest, key="inside")
    assert market.sell("BOB", 1, lowest, key="ask").story[1:] == [f"inside TRADE 1@{lowest}", f"ask TRADE 1@{lowest}"]
    if lowest > 1:
        market.buy("ALICE", 1, lowest - 1, key="outside")
        assert market.sell("BOB", 1, lowest - 1, key="low").story[1:] == ["trading_session_changed HALTED PRICE_BAND"]


def test_the_halt_is_told_and_the_rest_rests(market: Market) -> None:
    """Cause SYSTEM, reason PRICE_BAND; what may rest rests, even across the book."""
    banded(market)
    market.sell("ALICE", 1, 106, key="ask")
    _, halt = market.buy("BOB", 2, 107, key="bid")
    assert halt.fields == {
        "symbol": "XYZ",
        "previous": CONTINUOUS,
        "trading_session": HALTED,
        "cause": Cause.SYSTEM,
        "reason": Reason.PRICE_BAND,
    }
    assert (market.bids(), market.asks()) == (["bid 2@107"], ["ask 1@106"])


@pytest.mark.parametrize("terms", [{"price": 107, "time_in_force": TimeInForce.IOC}, {}], ids=["IOC", "MARKET"])
def test_what_may_not_rest_is_cancelled(market: Market, terms: dict[str, Any]) -> None:
    """HALTED, cause SYSTEM."""
    banded(market)
    market.sell("ALICE", 1, 106, key="ask")
    told = market.buy("BOB", 2, key="bid", **terms)
    assert told.story[1:] == ["trading_session_changed HALTED PRICE_BAND", "bid CANCELED HALTED"]
    assert told[-1].cause == Cause.SYSTEM


def test_fok_and_min_qty_halt_nothing(market: Market) -> None:
    """An order that would need a price outside is NOT_FILLABLE."""
    banded(market)
    market.sell("ALICE", 1, 105)
    market.sell("ALICE", 1, 106)
    cases: dict[str, dict[str, Any]] = {"fok": {"time_in_force": 4}, "min": {"time_in_force": 3, "min_qty_lots": 2}}
    for key, terms in cases.items():
        assert market.buy("BOB", 2, 106, key=key, **terms).story[1:] == [f"{key} CANCELED NOT_FILLABLE"]
    assert market.listing().trading_session == CONTINUOUS
    told = market.buy("BOB", 2, 106, key="least", time_in_force=TimeInForce.IOC, min_qty_lots=1)
    assert told.story[-2:] == ["trading_session_changed HALTED PRICE_BAND", "least CANCELED HALTED"]


def test_a_band_without_a_reference_holds_nothing(market: Market) -> None:
    """Nor does a reference without a band; a last trade is no reference of the band."""
    market.configure_instrument(price_band_bps=1)
    for price in (100, 200):
        market.trade(price)
    market.configure_instrument(price_band_bps=0)
    market.reference(100)
    market.trade(300)
    assert market.listing().trading_session == CONTINUOUS


def test_the_newest_of_reference_and_auction_is_the_middle(market: Market) -> None:
    """An auction at 200 moves the band there, a later reference of 100 moves it back."""
    banded(market)
    market.session(HALTED)
    market.session(OPENING)
    market.sell("ALICE", 1, 200)
    market.buy("BOB", 1, 200)
    market.session(CONTINUOUS)
    market.trade(209)
    market.reference(100)
    market.sell("ALICE", 1, 209)
    assert market.buy("BOB", 1, 209).story[1:] == ["trading_session_changed HALTED PRICE_BAND"]


def test_waiting_orders_wait_through_a_halt(market: Market) -> None:
    """Those already in line when it comes get their turn: what may rest rests, the others are cancelled."""
    banded(market)
    market.open("CAROL")
    market.buy("CAROL", 1, 120, key="limit", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=104)
    market.buy("CAROL", 1, key="first", ord_type=OrdType.STOP, stop_px_ticks=104)
    market.buy("CAROL", 1, key="second", ord_type=OrdType.STOP, stop_px_ticks=104)
    for price in (104, 105, 106):
        market.sell("ALICE", 1, price, key=str(price))
    assert market.buy("BOB", 1, 104, key="bid").story[3:] == [
        "limit TRIGGERED", "105 TRADE 1@105", "limit TRADE 1@105",
        "first TRIGGERED", "trading_session_changed HALTED PRICE_BAND", "first CANCELED HALTED",
        "second TRIGGERED", "second CANCELED HALTED",
    ]  # fmt: skip


def test_delisting_cancels_every_order(market: Market) -> None:
    """By id, over all accounts, waiting ones too: cause OPERATOR, reason DELISTED; others are not touched."""
    listed_in(market, CONTINUOUS)
    market.buy("BOB", 1, 99, key="bid")
    market.buy("ALICE", 1, key="stop", ord_type=OrdType.STOP, stop_px_ticks=105)
    market.sell("BOB", 1, 110, key="ask")
    market.buy("ALICE", 1, 99, key="other", symbol="ABC")
    told = market.tell(commands.DelistInstrument("XYZ", "r"))
    assert told.story == ["instrument_delisted", *[f"{key} CANCELED DELISTED" for key in ("bid", "stop", "ask")]]
    assert told[0].fields == {"symbol": "XYZ", "request_id": "r", "canceled_orders": 3}
    assert {event.cause for event in told[1:]} == {Cause.OPERATOR}
    assert market.bids("ABC") == ["other 1@99"]


def test_a_delisted_instrument_takes_nothing_again(market: Market) -> None:
    """No order, no session, no second end; positions stay, and are still marked."""
    market.tell(commands.DelistInstrument("XYZ", "r"))
    assert market.reference(120).story == ["reference_price_set"]
    assert market.position("ALICE").unrealized_micro() == 1_000 * 20 * TICK_MICRO
    assert market.buy("ALICE", 1, 99, key="K").story == ["K REJECTED DELISTED symbol"]
    assert market.session(CLOSED).story == ["command_refused DELISTED symbol"]
    assert market.tell(commands.DelistInstrument("XYZ", "again")).story == ["command_refused DELISTED symbol"]
    assert market.tell(commands.DelistInstrument("NONE", "none")).story == ["command_refused SYMBOL_UNKNOWN symbol"]


def test_delisting_passes_over_what_falls_with_another(market: Market) -> None:
    """The rival of a cancelled leg ends as CONTINGENCY; a partly filled parent's child is cancelled in the line."""
    market.sell("ALICE", 5, 110, key="one", contingency_type=ContingencyType.OCO, list_id="L", leg=1)
    market.sell("ALICE", 5, 120, key="two", contingency_type=ContingencyType.OCO, list_id="L", leg=2)
    market.buy("BOB", 5, 99, key="parent", contingency_type=ContingencyType.OTO, list_id="L", leg=1)
    market.sell("BOB", 5, 130, key="child", contingency_type=ContingencyType.OTO, list_id="L", leg=2)
    market.sell("ALICE", 2, 99)
    assert market.tell(commands.DelistInstrument("XYZ", "r")).story == [
        "instrument_delisted", "one CANCELED DELISTED", "two CANCELED CONTINGENCY",
        "parent CANCELED DELISTED", "child RESTATED 2 CONTINGENCY", "child CANCELED DELISTED",
    ]  # fmt: skip

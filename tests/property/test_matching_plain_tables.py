"""The tables of docs/matching.md: types, self-trade prevention, sessions, auctions; by hand, on both venues."""

from typing import Any

import pytest
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.story import (
    BID_ASK,
    BUY,
    CANCEL_BOTH,
    CANCEL_NEWEST,
    CANCEL_OLDEST,
    CLOSED,
    CLOSING,
    CONTINUOUS,
    DECREMENT,
    FOK,
    GTD,
    HALTED,
    IOC,
    LIMIT,
    MARK,
    MARKET,
    OPENING,
    PRE_OPEN,
    SELL,
    STOP,
    STOP_LIMIT,
    TRAILING_STOP,
    Story,
)

NEEDS: dict[int, dict[str, Any]] = {
    MARKET: {},
    LIMIT: {"price_ticks": 100},
    STOP: {"stop_px_ticks": 100},
    STOP_LIMIT: {"price_ticks": 100, "stop_px_ticks": 100},
    TRAILING_STOP: {"trail_offset": 2, "trail_unit": types.TRAIL_UNIT_PRICE},
}
EXTRAS: dict[str, tuple[dict[str, Any], str]] = {
    "price": ({"price_ticks": 100}, "price"),
    "stop_px": ({"stop_px_ticks": 100}, "stop_px"),
    "display_qty": ({"display_qty_lots": 1}, "display_qty"),
    "post_only": ({"post_only": True}, "exec_inst"),
    "IOC": ({"time_in_force": IOC}, "time_in_force"),
    "FOK": ({"time_in_force": FOK}, "time_in_force"),
    "GTD": ({"time_in_force": GTD, "expire_unix_ns": 2**62}, "time_in_force"),
    "trail": ({"trail_offset": 2, "trail_unit": types.TRAIL_UNIT_PRICE}, "trail"),
}
REFUSED: dict[int, set[str]] = {
    MARKET: {"price", "stop_px", "display_qty", "post_only", "GTD", "trail"},
    LIMIT: {"stop_px", "trail"},
    STOP: {"price", "display_qty", "post_only", "IOC", "FOK", "trail"},
    STOP_LIMIT: {"IOC", "FOK", "trail"},
    TRAILING_STOP: {"price", "display_qty", "post_only", "IOC", "FOK"},
}


@pytest.fixture
def story() -> Story:
    """A new market."""
    return Story("A", "B", "C", "D", "E", "F")


@pytest.mark.parametrize("ord_type", NEEDS)
@pytest.mark.parametrize("extra", EXTRAS)
def test_what_a_type_refuses(story: Story, ord_type: int, extra: str) -> None:
    """Each type takes what the table does not refuse, and names the field of what it does."""
    terms, field = EXTRAS[extra]
    told = story.place("A", BUY, 5, key="k", ord_type=ord_type, **(NEEDS[ord_type] | terms))
    refused = [f"k REJECTED FIELDS_CONFLICT {field}"]
    assert (told == refused) is (extra in REFUSED[ord_type])
    assert told == refused or told[0] in ("k NEW", "k PENDING_NEW")


@pytest.mark.parametrize("ord_type", NEEDS)
def test_what_a_type_needs(story: Story, ord_type: int) -> None:
    """Without any of its needs it is FIELD_MISSING, named."""
    fields = {"price_ticks": "price", "stop_px_ticks": "stop_px", "trail_offset": "trail", "trail_unit": "trail"}
    for name in NEEDS[ord_type]:
        rest = {other: value for other, value in NEEDS[ord_type].items() if other != name}
        told = story.place("A", BUY, 5, key=f"no-{name}", ord_type=ord_type, **rest)
        assert told == [f"no-{name} REJECTED FIELD_MISSING {fields[name]}"]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (CANCEL_NEWEST, ["a2 CANCELED SELF_TRADE"]),
        (CANCEL_OLDEST, ["a1 CANCELED SELF_TRADE", "b1 TRADE 3@100", "a2 TRADE 3@100"]),
        (CANCEL_BOTH, ["a1 CANCELED SELF_TRADE", "a2 CANCELED SELF_TRADE"]),
        (DECREMENT, ["a1 RESTATED 2 SELF_TRADE", "a2 CANCELED SELF_TRADE"]),
    ],
)
def test_self_trade_prevention(story: Story, mode: int, told: list[str]) -> None:
    """The incoming order's mode decides when it meets an own order of 5 with its 3; a group counts as one owner."""
    story.sell("A", 5, 100)
    story.sell("B", 5, 100)
    assert story.buy("A", 3, 100, self_trade_prevention=mode)[1:] == told
    grouped = Story()
    for account in "AD":
        grouped.configure(account, self_trade_group="G")
    grouped.sell("A", 5, 100)
    grouped.sell("B", 5, 100)
    assert grouped.buy("D", 3, 100, key="a2", self_trade_prevention=mode)[1:] == told


def test_decrement_of_more_and_of_the_same(story: Story) -> None:
    """Who has more left goes on with the rest; of two equal ones neither is left."""
    story.sell("A", 3, 100)
    story.sell("B", 5, 101)
    assert story.buy("A", 5, 101, self_trade_prevention=DECREMENT)[1:] == [
        "a1 CANCELED SELF_TRADE",
        "a2 RESTATED 2 SELF_TRADE",
        "b1 TRADE 2@101",
        "a2 TRADE 2@101",
    ]
    story.sell("A", 4, 99)
    assert story.buy("A", 4, 99, self_trade_prevention=DECREMENT)[1:] == [
        "a3 CANCELED SELF_TRADE",
        "a4 CANCELED SELF_TRADE",
    ]


FOLLOWERS = {
    CLOSED: {PRE_OPEN, OPENING, CONTINUOUS},
    PRE_OPEN: {OPENING, CONTINUOUS, HALTED, CLOSED},
    OPENING: {CONTINUOUS, HALTED, CLOSED},
    CONTINUOUS: {HALTED, CLOSING, CLOSED},
    HALTED: {OPENING, CONTINUOUS, CLOSED},
    CLOSING: {HALTED, CLOSED},
}
WAYS = {
    CLOSED: (CLOSED,),
    PRE_OPEN: (CLOSED, PRE_OPEN),
    OPENING: (HALTED, OPENING),
    CONTINUOUS: (),
    HALTED: (HALTED,),
    CLOSING: (CLOSING,),
}


@pytest.mark.parametrize("before", FOLLOWERS)
@pytest.mark.parametrize("after", range(7))
def test_market_sessions(story: Story, before: int, after: int) -> None:
    """Only what the table has follows; anything else is refused and changes nothing."""
    for session in WAYS[before]:
        story.session(session)
    told = story.session(after)
    if after in FOLLOWERS[before]:
        assert story.pair.plain.listings["XYZ"].session == after
    else:
        assert told == ["refused FIELDS_CONFLICT trading_session"]
        assert story.pair.plain.listings["XYZ"].session == before


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "told"),
    [
        ([(10, 102), (5, 101)], [(12, 100), (4, 101)], 0, "101 x 15"),
        ([(10, 102), (2, 100)], [(10, 99)], 0, "102 x 10"),
        ([(10, 102)], [(4, 99), (4, 100)], 0, "102 x 8"),
        ([(4, 102), (4, 101)], [(10, 99)], 0, "99 x 8"),
        ([(5, 104)], [(5, 100)], 103, "104 x 5"),
        ([(5, 104)], [(5, 100)], 102, "104 x 5"),
        ([(5, 104)], [(5, 100)], 101, "100 x 5"),
        ([(5, 104)], [(5, 100)], 0, "100 x 5"),
    ],
    ids=["quantity", "surplus", "more bids", "more asks", "nearest", "equally near", "nearest below", "no reference"],
)
def test_price_of_an_auction(
    story: Story, bids: list[tuple[int, int]], asks: list[tuple[int, int]], reference: int, told: str
) -> None:
    """The four rules in their order: quantity, surplus, pressure, the reference."""
    story.session(HALTED)
    story.session(OPENING)
    if reference:
        story.reference(reference)
    for qty, price in bids:
        story.buy("A", qty, price)
    for qty, price in asks:
        story.sell("B", qty, price)
    assert story.session(CONTINUOUS)[0] == f"XYZ CONTINUOUS {told}"
    assert not story.pair.plain.events[0].get("reason")


def test_an_auction_trades_in_price_and_time(story: Story) -> None:
    """Best meets best at the one price, the older one rests and pays the maker's rate too, hidden quantity counts."""
    story.fees("F", 100, 900)
    for account in "AB":
        story.configure(account, fee_schedule="F")
    story.session(HALTED)
    story.session(OPENING)
    story.reference(100)
    story.sell("B", 6, 99, display_qty_lots=1)
    story.buy("C", 2, 100)
    story.buy("A", 5, 101)
    assert story.session(CONTINUOUS) == [
        "XYZ CONTINUOUS 100 x 6",
        "b1 TRADE 5@100",
        "a1 TRADE 5@100",
        "b1 TRADE 1@100",
        "c1 TRADE 1@100",
    ]
    assert [event.get("liquidity") for event in story.events[1:]] == [types.LIQUIDITY_AUCTION] * 4
    assert [event.get("fee_micro", 0) for event in story.events[1:]] == [500, 500, 100, 0]


def test_an_auction_leaves_nothing_crossed(story: Story) -> None:
    """Where self-trade prevention leaves the book crossed the uncross begins again."""
    story.session(HALTED)
    story.session(OPENING)
    story.sell("A", 10, 95)
    story.buy("B", 5, 99)
    story.buy("A", 10, 100)
    assert story.session(CONTINUOUS) == [
        "XYZ CONTINUOUS 100 x 10",
        "a2 CANCELED SELF_TRADE",
        "a1 TRADE 5@95",
        "b1 TRADE 5@95",
    ]


def test_market_order_within_its_collar(story: Story) -> None:
    """At most 10 % away from the best price when it is worked: up to floor(110), down to ceil(90); the rest ends."""
    story.sell("B", 1, 100)
    story.sell("B", 1, 110)
    story.sell("B", 1, 111)
    told = story.buy("A", 3)
    assert told[1:] == [
        "b1 TRADE 1@100",
        "a1 TRADE 1@100",
        "b2 TRADE 1@110",
        "a1 TRADE 1@110",
        "a1 CANCELED NO_LIQUIDITY",
    ]
    story.buy("C", 1, 99)
    story.buy("C", 1, 90)
    story.buy("C", 1, 89)
    assert story.sell("A", 3, key="s")[-1] == "s CANCELED NO_LIQUIDITY"
    assert story.queue(89, buys=True) == ["c3"]
    assert story.queue(90, buys=True) == [], "ceil(99 x 0.9) = 90"


def test_minimum_quantity(story: Story) -> None:
    """Like FOK for that much, and then the rest as IOC."""
    story.sell("B", 4, 100)
    assert story.buy("A", 9, 100, time_in_force=IOC, min_qty_lots=5)[1:] == ["a1 CANCELED NOT_FILLABLE"]
    told = story.buy("A", 9, 100, time_in_force=IOC, min_qty_lots=4)
    assert told[1:] == ["b1 TRADE 4@100", "a2 TRADE 4@100", "a2 CANCELED NO_LIQUIDITY"]


def test_trails(story: Story) -> None:
    """A trail follows the price it watches by its offset, in ticks or basis points, and never goes back."""
    story.trade(100)
    story.sell("A", 1, ord_type=TRAILING_STOP, trail_offset=3, trail_unit=1)
    story.buy("A", 1, ord_type=TRAILING_STOP, trail_offset=250, trail_unit=2, key="up")
    story.sell("A", 1, ord_type=TRAILING_STOP, trail_offset=1, trail_unit=1, trigger_by=MARK, key="mark")
    assert (story.stop_px("a1"), story.stop_px("up"), story.stop_px("mark")) == (97, 102, 0)
    story.trade(101)
    assert (story.stop_px("a1"), story.stop_px("up")) == (98, 102)
    story.trade(99)
    assert (story.stop_px("a1"), story.stop_px("up")) == (98, 101), "99 x 2.5 % = 2.475: two ticks"
    story.reference(50)
    assert story.stop_px("mark") == 49
    assert story.reference(49) == ["reference_price_set", "mark TRIGGERED", "mark CANCELED NO_LIQUIDITY"]


def test_what_a_trigger_watches(story: Story) -> None:
    """A sale watches the best bid, a purchase the best ask; a print of LAST comes before both."""
    story.trade(100)
    story.buy("B", 5, 99)
    story.sell("A", 1, ord_type=STOP, stop_px_ticks=98, trigger_by=BID_ASK, key="bid")
    story.sell("C", 1, ord_type=STOP, stop_px_ticks=99, key="last")
    story.buy("B", 5, 98)
    assert story.sell("D", 5, 99)[3:] == [
        "last TRIGGERED",
        "b2 TRADE 1@98",
        "last TRADE 1@98",
        "bid TRIGGERED",
        "b2 TRADE 1@98",
        "bid TRADE 1@98",
    ]


def test_first_and_last_print(story: Story) -> None:
    """A sweep prints its first and its last price; what only the prices between have reached waits on."""
    story.trade(100)
    for price in (101, 105, 109):
        story.sell("B", 1, price)
    story.buy("A", 1, ord_type=TRAILING_STOP, trail_offset=20, trail_unit=1, stop_px_ticks=106, key="trail")
    story.buy("A", 1, 50, ord_type=STOP_LIMIT, stop_px_ticks=110, key="far")
    told = story.buy("C", 3, 109)
    assert told[7:] == ["trail TRIGGERED", "trail CANCELED NO_LIQUIDITY"]
    assert story.stop_px("far") == 110


def test_quotes(story: Story) -> None:
    """Standing quotes stay when they are the same, are lowered in place, and are replaced otherwise."""

    def quote(*sides: int) -> list[str]:
        return story.do(c.MassQuote("A", story.key("q"), [c.QuoteEntry("XYZ", *sides)]))

    assert quote(99, 5, 101, 5)[1:] == ["q1 NEW", "q1 NEW"]
    assert quote(99, 5, 101, 3)[1:] == ["q2 REPLACED 3"]
    assert quote(98, 5, 101, 3)[1:] == ["q1 CANCELED", "q3 NEW"]
    assert quote(98, 5, 0, 0)[1:] == ["q2 CANCELED"]
    assert quote(98, 5, 98, 5)[1:] == ["q5 REJECTED FIELDS_CONFLICT ask_px"]
    assert quote(0, 0, 0, 0)[1:] == ["q3 CANCELED"]


def test_time_and_sessions_of_clients(story: Story) -> None:
    """A tick expires what is due by time and id, then cancels for the timers that have run out; a timer rests then."""
    due = story.now + 1_000
    story.do(c.OpenSession("s", "gw", True, 5_000))
    story.buy("A", 1, 90, time_in_force=GTD, expire_unix_ns=due + 1, session_id="s")
    story.buy("A", 1, 91, time_in_force=GTD, expire_unix_ns=due)
    story.buy("A", 1, 92, session_id="s")
    assert story.do(c.TimeTick(), after_ns=900) == ["time_advanced"]
    assert story.do(c.TimeTick(), after_ns=900) == ["time_advanced", "a2 EXPIRED EXPIRED", "a1 EXPIRED EXPIRED"]
    assert story.do(c.TimeTick(), after_ns=5_000) == ["time_advanced", "session_timed_out 1", "a3 CANCELED"]
    assert story.do(c.TimeTick(), after_ns=50_000) == ["time_advanced"]
    story.buy("A", 1, 93, session_id="s")
    assert story.do(c.CloseSession("s")) == ["session_closed 1", "a4 CANCELED"]


def test_close_of_day(story: Story) -> None:
    """DAY orders expire by id, GTC stays, and lists without open orders are forgotten."""
    story.sell("A", 1, 110, contingency_type=1, list_id="l", leg=1)
    story.sell("B", 1, 111, time_in_force=2)
    assert story.do(c.CloseDay(20270104)) == ["a1 EXPIRED EXPIRED", "day_closed"]
    assert story.do(c.CloseDay(20270104)) == ["refused ALREADY_EXISTS trading_day"]
    assert story.sell("A", 1, 110, contingency_type=1, list_id="l", leg=1) == ["a2 NEW"]
    assert story.place("A", SELL, 1, 110, contingency_type=1, list_id="l", leg=1, key="k") == [
        "k REJECTED ALREADY_EXISTS contingency.list_id"
    ]

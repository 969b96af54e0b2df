"""Section 6, the rules at entry: at the limit passes, one beyond is denied, with exact numbers.

CheckOrder says the same (`asking`). A docstring begins with the rule that it shows.
"""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import KillSwitchScope, OrdType, Side, TimeInForce, TradingSession
from tests.unit.matching.asking import asked, denial, passes
from tests.unit.matching.market import SECOND_NS, TICK_MICRO, Market

BUY, SELL = Side.BUY, Side.SELL


@pytest.mark.parametrize(
    ("scope", "target", "field"),
    [
        (KillSwitchScope.FIRM, "", "firm"),
        (KillSwitchScope.ACCOUNT, "ALICE", "account"),
        (KillSwitchScope.SYMBOL, "XYZ", "symbol"),
    ],
)
def test_kill_switch(market: Market, scope: int, target: str, field: str) -> None:
    """kill_switch: the field names the scope; there are no numbers; a replace is denied as well."""
    market.tell(commands.EngageKillSwitch(scope, target, "kill"))
    assert denial(market, "ALICE", BUY, 1, 99) == (f"KILL_SWITCH {field}", None)


def test_the_widest_switch_is_named(market: Market) -> None:
    """kill_switch: FIRM before ACCOUNT before SYMBOL before SESSION; the latter by the session of the request."""
    fields = []
    for scope, target in ((4, "S"), (3, "XYZ"), (2, "ALICE"), (1, "")):
        market.tell(commands.EngageKillSwitch(scope, target, f"kill{scope}"))
        order = market.order("ALICE", BUY, 1, 99)
        said = market.check(order, session_id="S")
        assert said is not None
        (told,) = market.tell(order, session_id="S")
        assert said.field == told.field
        fields.append(told.field)
    assert fields == ["session", "symbol", "account", "firm"]
    assert market.buy("BOB", 1, 99, session_id="T")[0].field == "firm"


def test_restricted(market: Market) -> None:
    """restricted: RESTRICTED_INSTRUMENT without numbers, for entries and replaces, in the scope that has it."""
    (first,) = market.buy("ALICE", 1, 99)
    market.limit(account="ALICE", symbol="XYZ", restricted=True)
    assert denial(market, "ALICE", BUY, 1, 99) == ("RESTRICTED_INSTRUMENT symbol", None)
    assert market.replace(first, qty=2, key="R").story == ["R DENIED RESTRICTED_INSTRUMENT symbol"]
    assert passes(market, "BOB", BUY, 1, 99)
    market.limit(account="ALICE", symbol="XYZ", restricted=False)
    assert passes(market, "ALICE", BUY, 1, 99)


def at_second(market: Market, number: int) -> None:
    """Lets the next command come at the beginning of a second."""
    market.now_unix_ns = (1_700_000_001 + number) * SECOND_NS - 1


def test_message_rate(market: Market) -> None:
    """message_rate: the limit, the requests before, with this; a new second of engine time begins anew."""
    market.limit(message_rate=3)
    at_second(market, 0)
    assert [passes(market, "ALICE", BUY, 1, 90 + n) for n in range(3)] == [True] * 3
    assert denial(market, "ALICE", BUY, 1, 99) == ("MESSAGE_RATE_LIMIT", ("message_rate", "COUNT", 3, 3, 4, 1))
    assert passes(market, "BOB", BUY, 1, 99)
    at_second(market, 1)
    assert passes(market, "ALICE", BUY, 1, 98)


def test_message_rate_counts_what_was_denied(market: Market) -> None:
    """message_rate: every request that came as far as the rules, passed or denied; nothing else."""
    market.limit(message_rate=2, order_qty_lots=5)
    at_second(market, 0)
    market.buy("ALICE", 0, 99)
    market.buy("ALICE", 1, 99, symbol="NONE")
    market.buy("ALICE", 6, 99)
    assert market.buy("ALICE", 1, 99, key="A").story == ["A NEW"]
    assert denial(market, "ALICE", BUY, 1, 99)[1] == ("message_rate", "COUNT", 2, 2, 3, 1)
    assert denial(market, "ALICE", BUY, 1, 99)[1] == ("message_rate", "COUNT", 2, 3, 4, 1)


def test_message_rate_counts_replaces_lists_and_quotes(market: Market) -> None:
    """message_rate: each replace, each order of a list, each side of a quote; not cancels and lowered quantities."""
    (first,) = market.buy("ALICE", 5, 90)
    market.limit(message_rate=6)
    at_second(market, 0)
    market.replace(first, qty=4)
    market.replace(first, price=91)
    market.tell(commands.NewOrderList("ALICE", [market.order("ALICE", BUY, 1, 80 + n) for n in range(2)]))
    market.tell(commands.MassQuote("ALICE", "Q", [commands.QuoteEntry("XYZ", 85, 1, 120, 1)]))
    market.cancel(first)
    assert market.buy("ALICE", 1, 99, key="six")[0].reason == 0
    assert denial(market, "ALICE", BUY, 1, 99)[1] == ("message_rate", "COUNT", 6, 6, 7, 1)


def test_message_rate_denies_a_replace(market: Market) -> None:
    """message_rate: with the same numbers."""
    (first,) = market.buy("ALICE", 5, 90)
    market.limit(message_rate=1)
    at_second(market, 0)
    market.replace(first, price=91)
    told = market.replace(first, price=92, key="R")
    assert told.story == ["R DENIED MESSAGE_RATE_LIMIT"]
    assert told.numbers == ("message_rate", "COUNT", 1, 1, 2, 1)


def test_order_qty(market: Market) -> None:
    """order_qty: LOTS, 0, qty; entry and replace, the latter with the whole new quantity."""
    market.limit(order_qty_lots=10)
    assert passes(market, "ALICE", BUY, 10, 90)
    assert denial(market, "ALICE", BUY, 11, 90) == ("ORDER_QTY_LIMIT qty", ("order_qty", "LOTS", 10, 0, 11, 1))
    (first,) = market.buy("ALICE", 5, 90)
    market.sell("BOB", 2, 90, time_in_force=TimeInForce.IOC)
    assert market.replace(first, qty=10)[0].reason == 0
    assert market.replace(first, qty=11).numbers == ("order_qty", "LOTS", 10, 0, 11, 1)


def test_order_notional(market: Market) -> None:
    """order_notional: MONEY, 0, qty × price × worth at the limit price."""
    market.limit(order_notional_micro=990 * TICK_MICRO)
    assert passes(market, "ALICE", BUY, 10, 99)
    expected = ("order_notional", "MONEY_MICRO", 990 * TICK_MICRO, 0, 1_000 * TICK_MICRO, 1)
    assert denial(market, "ALICE", BUY, 10, 100) == ("ORDER_NOTIONAL_LIMIT qty", expected)


@pytest.mark.parametrize(
    "terms",
    [
        {"ord_type": OrdType.STOP, "stop_px_ticks": 100},
        {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 1, "price": 100},
        {"ord_type": OrdType.MARKET},
        {"ord_type": OrdType.TRAILING_STOP, "trail_offset": 1, "trail_unit": 1},
    ],
    ids=["stop_px", "price before stop_px", "MARKET", "TRAILING_STOP"],
)
def test_order_notional_of_orders_without_a_price(market: Market, terms: dict[str, Any]) -> None:
    """order_notional: else at the stop_px, else a purchase at the collar's price: 110 where the best ask is 100."""
    market.sell("BOB", 9, 100)
    market.sell("BOB", 99, 109)
    value = (1_000 if "stop_px_ticks" in terms else 1_100) * TICK_MICRO
    market.limit(order_notional_micro=value - 1)
    numbers = ("order_notional", "MONEY_MICRO", value - 1, 0, value, 1)
    assert denial(market, "ALICE", BUY, 10, **terms) == ("ORDER_NOTIONAL_LIMIT qty", numbers)
    market.limit(order_notional_micro=value)
    assert passes(market, "ALICE", BUY, 10, **terms)


def test_order_notional_of_a_market_sale(market: Market) -> None:
    """order_notional: at the best bid, and with nothing where there is none."""
    market.limit("ALICE", order_notional_micro=1_000 * TICK_MICRO - 1)
    assert passes(market, "ALICE", SELL, 10)
    market.buy("BOB", 1, 100)
    assert denial(market, "ALICE", SELL, 10)[1][4] == 1_000 * TICK_MICRO
    assert passes(market, "ALICE", SELL, 9)


def test_order_notional_of_a_replace_is_of_the_whole_order(market: Market) -> None:
    """order_notional: what has traded of it is still part of the order."""
    (first,) = market.buy("ALICE", 10, 99)
    market.sell("BOB", 4, 99)
    market.limit(order_notional_micro=1_200 * TICK_MICRO)
    assert market.replace(first, qty=12, price=100)[0].reason == 0
    told = market.replace(first, price=101)
    assert told.numbers == ("order_notional", "MONEY_MICRO", 1_200 * TICK_MICRO, 0, 1_212 * TICK_MICRO, 1)


@pytest.mark.parametrize(
    ("side", "bps", "furthest", "beyond"),
    [(BUY, 500, 210, 211), (BUY, 499, 209, 210), (SELL, 500, 190, 189), (SELL, 499, 191, 190)],
)
def test_price_collar(market: Market, side: int, bps: int, furthest: int, beyond: int) -> None:
    """price_collar: TICKS, the furthest price, the reference, the price; beyond `bps` of it on the aggressive side."""
    market.reference(200)
    market.limit(price_collar_bps=bps)
    assert passes(market, "ALICE", side, 1, furthest)
    expected = ("price_collar", "TICKS", furthest, 200, beyond, 1)
    assert denial(market, "BOB", side, 1, beyond) == ("PRICE_COLLAR price", expected)


def test_price_collar_looks_at_the_aggressive_side_only(market: Market) -> None:
    """price_collar: a purchase far below the reference hurts nobody; an order without a price has none to look at."""
    market.limit(price_collar_bps=1)
    assert passes(market, "ALICE", BUY, 1)
    market.reference(200)
    assert passes(market, "ALICE", BUY, 1, 1)
    assert passes(market, "ALICE", SELL, 1, 9_999)
    stop: dict[str, Any] = {"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 300}
    assert denial(market, "ALICE", BUY, 1, 201, **stop)[0] == "PRICE_COLLAR price"


def test_price_collar_denies_a_replace(market: Market) -> None:
    """price_collar: the new price counts."""
    market.reference(200)
    market.limit(price_collar_bps=500)
    (first,) = market.buy("ALICE", 1, 210)
    assert market.replace(first, price=211).numbers == ("price_collar", "TICKS", 210, 200, 211, 1)


def test_a_stale_reference(market: Market) -> None:
    """price_collar: REFERENCE_STALE without a reference, or with one older than `reference_age_ns`; no numbers."""
    market.limit(price_collar_bps=500, reference_age_ns=5)
    assert denial(market, "ALICE", BUY, 1, 99) == ("REFERENCE_STALE price", None)
    market.reference(100)
    set_at = market.now_unix_ns
    market.now_unix_ns = set_at + 4
    assert passes(market, "ALICE", BUY, 1, 99)
    assert denial(market, "ALICE", BUY, 1, 98) == ("REFERENCE_STALE price", None)
    market.limit(reference_age_ns=0)
    assert passes(market, "ALICE", BUY, 1, 98)


def test_duplicate_order(market: Market) -> None:
    """duplicate_order: COUNT 1, 1, 2 within the window; at its end the same order passes again."""
    market.limit(duplicate_window_ns=10)
    market.buy("ALICE", 5, 99)
    first = market.now_unix_ns
    assert denial(market, "ALICE", BUY, 5, 99) == ("DUPLICATE_ORDER", ("duplicate_order", "COUNT", 1, 1, 2, 1))
    market.now_unix_ns = first + 8
    assert denial(market, "ALICE", BUY, 5, 99)[0] == "DUPLICATE_ORDER"
    assert passes(market, "ALICE", BUY, 5, 99)
    assert denial(market, "ALICE", BUY, 5, 99)[0] == "DUPLICATE_ORDER"


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({}, True),
        ({"decision_maker": "bob", "time_in_force": TimeInForce.DAY, "display_qty_lots": 1}, True),
        ({"side": SELL}, False),
        ({"qty": 6}, False),
        ({"price": 98}, False),
        ({"ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": 120}, False),
        ({"symbol": "ABC"}, False),
        ({"account": "BOB"}, False),
    ],
)
def test_what_makes_an_order_the_same(market: Market, other: dict[str, Any], is_same: bool) -> None:
    """duplicate_order: symbol, side, type, qty, price and stop_px of the account, and nothing else."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    market.limit(duplicate_window_ns=SECOND_NS)
    market.buy("ALICE", 5, 99)
    given: dict[str, Any] = {"account": "ALICE", "side": BUY, "qty": 5, "price": 99} | other
    order = market.order(given.pop("account"), given.pop("side"), given.pop("qty"), given.pop("price"), **given)
    assert (asked(market, order)[0].reason != 0) == is_same


def test_different_orders_with_the_same_fingerprint_are_not_duplicates(market: Market) -> None:
    """duplicate_order: what is compared are the orders, also where what they are looked up by is equal."""
    market.limit(duplicate_window_ns=100)
    pairs = [(131, 100), (100, 101), (69, 102)]
    stops: list[dict[str, Any]] = [
        {"price": price, "ord_type": OrdType.STOP_LIMIT, "stop_px_ticks": stop_px} for price, stop_px in pairs
    ]
    begun = market.now_unix_ns
    assert [passes(market, "ALICE", BUY, 5, **stop) for stop in stops] == [True] * 3
    assert [denial(market, "ALICE", BUY, 5, **stop)[0] for stop in stops] == ["DUPLICATE_ORDER"] * 3
    market.now_unix_ns = begun + 100
    assert passes(market, "ALICE", BUY, 5, **stops[0])
    assert denial(market, "ALICE", BUY, 5, **stops[0])[0] == "DUPLICATE_ORDER"
    assert passes(market, "ALICE", BUY, 5, **stops[1])
    market.now_unix_ns = begun + 500
    assert [passes(market, "ALICE", BUY, 5, **stop) for stop in stops] == [True] * 3


def test_what_is_older_than_the_window_takes_no_room(market: Market) -> None:
    """duplicate_order: each accepted order lets go of those that are over."""
    market.limit(duplicate_window_ns=10)
    for number in range(50):
        market.buy("ALICE", 5, 40 + number)
        assert len(market.position("ALICE").recent) == len(market.position("ALICE").recent_line) == min(number + 1, 10)


def test_only_accepted_orders_are_remembered_and_only_while_a_window_is_set(market: Market) -> None:
    """duplicate_order: a denied order may come again; what came before the window was set does not count."""
    market.buy("ALICE", 5, 99)
    market.limit(duplicate_window_ns=SECOND_NS)
    assert passes(market, "ALICE", BUY, 5, 99)
    market.limit(account="ALICE", order_qty_lots=1)
    assert denial(market, "ALICE", BUY, 2, 99)[0] == "ORDER_QTY_LIMIT qty"
    market.limit(account="ALICE", order_qty_lots=0)
    assert passes(market, "ALICE", BUY, 2, 99)


def test_what_is_remembered_is_forgotten_when_limits_change(market: Market) -> None:
    """duplicate_order: for an account and instrument whenever any limits change, be it others'."""
    market.limit(duplicate_window_ns=SECOND_NS)
    market.buy("ALICE", 5, 99)
    market.limit(account="BOB", message_rate=1)
    assert passes(market, "ALICE", BUY, 5, 99)


def test_a_replace_is_no_duplicate(market: Market) -> None:
    """duplicate_order: entry only."""
    market.limit(duplicate_window_ns=SECOND_NS)
    (first,) = market.buy("ALICE", 5, 99)
    market.buy("ALICE", 6, 99)
    assert market.replace(first, qty=6)[0].reason == 0


def loses(market: Market, lots: int, ticks: int) -> None:
    """ALICE sells lots that cost 100 ticks each for less."""
    market.buy("BOB", lots, 100 - ticks)
    market.sell("ALICE", lots, 100 - ticks)


def test_daily_loss(market: Market) -> None:
    """daily_loss: MONEY, limit, loss, loss; the loss at the limit passes, entry and replace are denied beyond it."""
    market.limit(daily_loss_micro=50 * TICK_MICRO)
    loses(market, 5, 10)
    (first,) = market.buy("ALICE", 1, 50)
    assert passes(market, "ALICE", BUY, 1, 51)
    loses(market, 1, 1)
    expected = ("daily_loss", "MONEY_MICRO", 50 * TICK_MICRO, 51 * TICK_MICRO, 51 * TICK_MICRO, 1)
    assert denial(market, "ALICE", BUY, 1, 52) == ("DAILY_LOSS_LIMIT", expected)
    assert market.replace(first, qty=2).numbers == expected
    assert passes(market, "BOB", BUY, 1, 50)


def test_daily_loss_counts_what_is_unrealised_and_fees(market: Market) -> None:
    """daily_loss: against the reference price, nothing without one; fees on top."""
    market.limit(account="ALICE", daily_loss_micro=1)
    market.fees("ALICE", maker_ppm=1_000)
    market.sell("ALICE", 10, 100)
    market.buy("BOB", 10, 100)
    assert denial(market, "ALICE", BUY, 1, 50)[1][3] == 10_000
    market.reference(99)
    assert denial(market, "ALICE", BUY, 1, 50)[1][3] == 10_000 + 990 * TICK_MICRO
    market.reference(200)
    assert passes(market, "ALICE", BUY, 1, 50)


def test_daily_loss_begins_anew_with_close_day(market: Market) -> None:
    """daily_loss: since the last CloseDay, what was unrealised then included."""
    market.limit(account="ALICE", daily_loss_micro=1)
    loses(market, 5, 10)
    market.reference(90)
    assert denial(market, "ALICE", BUY, 1, 50)[1][3] == (50 + 9_950) * TICK_MICRO
    market.tell(commands.CloseDay(20261122))
    assert passes(market, "ALICE", BUY, 1, 50)
    market.reference(89)
    assert denial(market, "ALICE", BUY, 1, 51)[1][3] == 995 * TICK_MICRO


def test_daily_loss_is_of_the_instrument_s_currency(market: Market) -> None:
    """daily_loss: a loss in dollars does not stop euros."""
    market.tell(commands.ListInstrument("DAX", 1, "EUR", 10**7, 10**9))
    market.tell(commands.AdjustCash("ALICE", "EUR", 10**9, "eur"))
    market.limit(daily_loss_micro=1)
    loses(market, 5, 10)
    assert passes(market, "ALICE", BUY, 1, 50, symbol="DAX")
    assert not passes(market, "ALICE", BUY, 1, 50)


def test_the_first_rule_that_fails_answers(market: Market) -> None:
    """order_qty: before order_notional, before price_collar, and so on in the order of the table."""
    market.limit(
        restricted=True, message_rate=1, order_qty_lots=1, order_notional_micro=1, price_collar_bps=1,
        duplicate_window_ns=SECOND_NS, open_notional_micro=1, position_lots=1, gross_position_micro=1,
    )  # fmt: skip
    at_second(market, 0)
    market.session(TradingSession.CLOSING_AUCTION)
    reasons = []
    for lifted in ("", "restricted", "message_rate", "order_qty_lots", "order_notional_micro", "price_collar_bps",
                   "open_notional_micro", "position_lots", "gross_position_micro"):  # fmt: skip
        change: dict[str, Any] = {lifted: False if lifted == "restricted" else 0}
        if lifted:
            market.limit(**change)
        reasons.append(denial(market, "ALICE", BUY, 10**9, 5)[0].split()[0])
    assert reasons == [
        "RESTRICTED_INSTRUMENT", "MESSAGE_RATE_LIMIT", "ORDER_QTY_LIMIT", "ORDER_NOTIONAL_LIMIT", "REFERENCE_STALE",
        "OPEN_NOTIONAL_LIMIT", "POSITION_LIMIT", "POSITION_LIMIT", "BUYING_POWER",
    ]  # fmt: skip

"""What people query: the history in decimals, and pages of the trail."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from compliance import trail
from tests.integration.compliance.journal import BUY, SELL, START_NS, Journal, order_event, terms
from tests.integration.compliance.running import Running


async def test_the_history_shows_orders_executions_positions_and_balances(running: Running, superuser: Any) -> None:
    """Decimals in the instrument's units, exact, and cash that trades moved."""
    journal = Journal()
    maker = journal.order("MM", "BTC", SELL, 15_000, 6_000_001, key="ask")
    await running.log.apply(journal.batch(1))
    before = journal.seq
    journal.trade(maker, journal.order("DEMO", "BTC", BUY, 15_000, 6_000_100), 15_000)
    option = journal.order("DEMO", "OPT", BUY, 2, 241)
    journal.trade(option, journal.order("MM", "OPT", SELL, 2, 241), 2)
    journal.cancel(journal.order("DEMO", "AAPL", BUY, 7, 18_999))
    await running.log.apply(journal.batch(before + 1))
    await running.stored(journal.seq)
    columns = "ord_status, order_qty, price, cum_qty, leaves_qty, avg_px"
    orders = await superuser.fetch(f"SELECT account, symbol, {columns} FROM history.orders ORDER BY order_id")
    assert [tuple(row) for row in orders] == [
        ("MM", "BTC", "FILLED", *_decimals("1.5", "60000.01", "1.5", "0", "60000.01")),
        ("DEMO", "BTC", "FILLED", *_decimals("1.5", "60001", "1.5", "0", "60000.01")),
        ("DEMO", "OPT", "FILLED", *_decimals("2", "12.05", "2", "0", "12.05")),
        ("MM", "OPT", "FILLED", *_decimals("2", "12.05", "2", "0", "12.05")),
        ("DEMO", "AAPL", "CANCELED", *_decimals("7", "189.99", "0", "0"), None),
    ]
    columns = "account, side, liquidity, last_px, last_qty, last_value"
    executions = await superuser.fetch(f"SELECT {columns} FROM history.executions WHERE symbol = 'BTC' ORDER BY seq")
    assert [tuple(row) for row in executions] == [
        ("MM", "SELL", "MAKER", *_decimals("60000.01", "1.5", "90000.015")),
        ("DEMO", "BUY", "TAKER", *_decimals("60000.01", "1.5", "90000.015")),
    ]
    positions = await superuser.fetch("SELECT account, symbol, qty FROM history.positions ORDER BY account, symbol")
    assert [tuple(row) for row in positions] == [
        ("DEMO", "AAPL", Decimal(1000)),
        ("DEMO", "BTC", Decimal("1.5")),
        ("DEMO", "OPT", Decimal(2)),
        ("MM", "AAPL", Decimal(1000)),
        ("MM", "BTC", Decimal("-1.5")),
        ("MM", "OPT", Decimal(-2)),
    ]
    balances = await superuser.fetch("SELECT account, cash FROM history.balances ORDER BY account")
    assert [tuple(row) for row in balances] == [
        ("DEMO", Decimal(1_000_000) - Decimal("90000.015") - 2410),
        ("MM", Decimal(1_000_000) + Decimal("90000.015") + 2410),
    ]
    columns = "accepted_time, last_time, last_seq"
    accepted, last, last_seq = await superuser.fetchrow(f"SELECT {columns} FROM history.orders WHERE cl_ord_id = 'ask'")
    assert (last - accepted).microseconds == last_seq - maker


async def test_fees_and_both_currencies_of_a_pair_are_cash(running: Running, superuser: Any) -> None:
    """A fill shows its fee or rebate, positions and balances have it, and a currency pair moves two currencies."""
    journal = Journal()
    journal.write(instrument_listed=events.InstrumentListed(instrument=terms("PAIR", "0.00001", "1000", 1, "EUR")))
    euros = events.CashAdjusted(account="MM", currency="EUR", amount_micro=5_000_000_000)
    journal.write(cash_adjusted=euros)
    maker = journal.order("MM", "PAIR", SELL, 3, 110_000)
    journal.trade(maker, journal.order("DEMO", "PAIR", BUY, 3, 110_000), 3, fees_micro=(-66_000, 495_000))
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    executions = await superuser.fetch("SELECT account, last_value, fee, currency FROM history.executions ORDER BY seq")
    assert [tuple(row) for row in executions] == [
        ("MM", *_decimals("3300", "-0.066"), "USD"),
        ("DEMO", *_decimals("3300", "0.495"), "USD"),
    ]
    fees = await superuser.fetch("SELECT account, fees FROM history.positions WHERE symbol = 'PAIR' ORDER BY account")
    assert [tuple(row) for row in fees] == [("DEMO", Decimal("0.495")), ("MM", Decimal("-0.066"))]
    balances = await superuser.fetch("SELECT account, currency, cash FROM history.balances ORDER BY account, currency")
    assert [tuple(row) for row in balances] == [
        ("DEMO", "EUR", Decimal(3000)),
        ("DEMO", "USD", Decimal(1_000_000) - 3300 - Decimal("0.495")),
        ("MM", "EUR", Decimal(2000)),
        ("MM", "USD", Decimal(1_000_000) + 3300 + Decimal("0.066")),
    ]


async def test_the_history_shows_every_term_of_an_order(running: Running, superuser: Any) -> None:
    """A trailing stop of a list, which moves, and an iceberg show what they have; a plain order nothing."""
    journal = Journal()
    journal.order("DEMO", "AAPL", BUY, 7, 18_999, key="plain")
    waiting = {"ord_type": types.ORD_TYPE_TRAILING_STOP, "ord_status": types.ORD_STATUS_PENDING_NEW}
    trail = {"trail_offset": 150, "trail_unit": types.TRAIL_UNIT_PRICE, "stop_px_ticks": 18_900}
    leg = {"contingency_type": types.CONTINGENCY_TYPE_OCO, "list_id": "l-1", "leg": 2, "reduce_only": True}
    moving = journal.order("DEMO", "AAPL", SELL, 7, 0, key="trails", **waiting, **trail, **leg)
    iceberg = {"display_qty_lots": 2, "post_only": True, "expire_unix_ns": START_NS + 10**9}
    journal.order("DEMO", "BTC", BUY, 15_000, 6_000_001, key="iceberg", **iceberg)
    await running.log.apply(journal.batch(1))
    before = journal.seq
    moved = events.Event.FromString(journal.entries[moving - 1]).order
    moved.exec_type, moved.stop_px_ticks, moved.qty_lots = types.EXEC_TYPE_RESTATED, 19_050, 5
    journal.write(order=moved)
    await running.log.apply(journal.batch(before + 1))
    await running.stored(journal.seq)
    columns = "ord_type, ord_status, order_qty, stop_px, trail_offset, trail_unit, reduce_only, contingency_type, leg"
    rows = await superuser.fetch(f"SELECT cl_ord_id, {columns} FROM history.orders WHERE symbol = 'AAPL' ORDER BY 1")
    nothing = (None, None, None, False, None, None)
    assert [tuple(row) for row in rows] == [
        ("plain", "LIMIT", "NEW", Decimal(7), *nothing),
        ("trails", "TRAILING_STOP", "PENDING_NEW", Decimal(5), *_decimals("190.5", "1.5"), "PRICE", True, "OCO", 2),
    ]
    columns = "display_qty, post_only, expire_time > accepted_time, list_id"
    [shown] = await superuser.fetch(f"SELECT {columns} FROM history.orders WHERE symbol = 'BTC'")
    assert tuple(shown) == (Decimal("0.0002"), True, True, None)


async def test_the_end_of_a_listing_is_history(running: Running, superuser: Any) -> None:
    """The instrument stays, for the orders and trades it had, and names the event that ended it."""
    journal = Journal()
    journal.write(instrument_delisted=events.InstrumentDelisted(symbol="OPT"))
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    rows = await superuser.fetch("SELECT symbol, delisted_seq FROM history.instruments ORDER BY symbol")
    assert [tuple(row) for row in rows] == [("AAPL", None), ("BTC", None), ("OPT", journal.seq)]


def _decimals(*texts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(text) for text in texts)


async def test_pages_of_the_trail_follow_each_other(running: Running, journal: Journal) -> None:
    """Newest first, without loss or repetition, under every filter and while entries come in."""
    await running.log.apply(journal.batch(1, 600))
    await running.stored(600)
    cases: dict[trail.TrailFilter, Callable[[events.Event], bool]] = {
        trail.TrailFilter(): lambda event: True,
        trail.TrailFilter(account="DEMO"): lambda event: _account(event) == "DEMO",
        trail.TrailFilter(account="DEMO", symbol="AAPL"): lambda event: (
            _account(event) == "DEMO" and "AAPL" in str(event)
        ),
        trail.TrailFilter(symbol="BTC"): lambda event: event.instrument_listed.instrument.symbol == "BTC",
        trail.TrailFilter(order_id=400): lambda event: event.order.order_id == 400,
        trail.TrailFilter(cl_ord_id="key-400"): lambda event: event.order.cl_ord_id == "key-400",
        trail.TrailFilter(event_type="CASH_ADJUSTED"): lambda event: event.HasField("cash_adjusted"),
        trail.TrailFilter(from_time_ns=START_NS + 500_000, to_time_ns=START_NS + 550_000): lambda event: (
            500 <= event.seq < 550
        ),
        trail.TrailFilter(from_time_ns=START_NS + 10**9): lambda event: False,
        trail.TrailFilter(account="NOBODY"): lambda event: False,
    }
    for wanted, matches in cases.items():
        found: list[int] = []
        before = None
        while rows := await trail.page(running.reader, wanted, before, 37):
            found += [row[0] for row in rows]
            before = found[-1]
        expected = [index for index in range(600) if matches(events.Event.FromString(journal.entries[index]))]
        assert found == expected[::-1], wanted
    first = await trail.page(running.reader, trail.TrailFilter(), None, 10)
    await running.log.apply(journal.batch(601))
    await running.stored(700)
    second = await trail.page(running.reader, trail.TrailFilter(), first[-1][0], 10)
    assert [row[0] for row in (*first, *second)] == list(range(599, 579, -1))


def _account(event: events.Event) -> str:
    """The account of whatever the event is."""
    body = getattr(event, event.WhichOneof("body") or "")
    return str(getattr(body, "account", ""))


async def test_events_that_no_column_takes_are_stored_all_the_same(running: Running, journal: Journal) -> None:
    """A key with NUL or of 5,000 characters does not stop the log."""
    order = order_event(0, "DEMO", "NONE", BUY, 1, 1, "\0" + "x" * 5000)
    order.exec_type, order.ord_status = types.EXEC_TYPE_REJECTED, types.ORD_STATUS_REJECTED
    journal.write(order=order)
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    assert (await running.reader.entries(700, 701)) == [journal.entries[700]]

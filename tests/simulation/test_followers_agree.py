"""Who follows the journal comes to what the core has: book, sessions, orders, positions and cash, for any flow.

A random flow of every kind of command is carried out by the core; gateway,
market data and compliance get nothing but the bytes of its events.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from compliance.rows import ADJUSTED, BOUGHT, BOUGHT_VALUE, FEES, ORDER_COLUMNS, SOLD, SOLD_VALUE, Rows
from gateway.convert import report
from gateway.encoding import execution_report
from gateway.events import Event
from marketdata.depth import Depth, Level
from marketdata.publisher import Publisher
from marketdata.view import MarketView
from matching.core.engine import Engine
from runtime.follower import FeedBatch
from runtime.instruments import Instruments
from tests.simulation.matching_story import Story

SEEDS = (3, 17)
COMMANDS = 2_500
ENDED = {"FILLED", "CANCELED", "EXPIRED"}


def book_of(engine: Engine, symbol: str) -> Depth:
    """The public part of the core's own book."""
    book = engine.venue.listings[symbol].book
    sides = []
    for side in (book.bids, book.asks):
        levels = []
        for price_ticks, level in side.best_first():
            shown = [one.shown_qty_lots if one.display_qty_lots else one.leaves_qty_lots for one in level.orders()]
            levels.append(Level(price_ticks, sum(shown), len(shown)))
        sides.append(tuple(levels))
    return Depth(*sides)


@pytest.mark.parametrize("seed", SEEDS)
def test_market_data_has_the_book_after_every_command(seed: int) -> None:
    """Levels, sessions and last prices are the core's own; a book is crossed in no continuous trading."""
    publisher = Publisher(Instruments())
    view = MarketView(publisher.market, publisher.instruments, publisher.publish, lambda: None)
    story = Story(seed)
    trades = 0
    for entry in story.entries(COMMANDS):
        first = wire.Event.FromString(entry.events[0])
        last_seq = first.seq + len(entry.events) - 1
        asyncio.run(view.apply(FeedBatch(1, first.seq, last_seq, entry.events, last_seq)))
        for symbol, listing in story.engine.venue.listings.items():
            market = publisher.market.symbols[symbol]
            assert market.book.depth(10**6) == book_of(story.engine, symbol), f"{symbol} after event {last_seq}"
            assert market.status.trading_session == listing.trading_session
            assert market.status.delisted == listing.is_delisted
            assert not market.book.quote().crossed or listing.trading_session != types.TRADING_SESSION_CONTINUOUS
            assert (market.last_trade.px_ticks if market.last_trade else 0) == listing.last_ticks
            trades += market.last_trade is not None and market.last_trade.seq > first.seq
    assert trades > COMMANDS // 50, "a flow without trades shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_history_adds_up_to_the_ledger(seed: int) -> None:
    """Positions, cash and orders that come from events alone are those of the core."""
    rows, story = Rows(), Story(seed)
    for entry in story.entries(COMMANDS):
        for data in entry.events:
            rows.add(data, 0)
    venue = story.engine.venue
    positions, cash = ledger_of(rows, story.engine)
    for name, account in venue.accounts.items():
        for symbol, position in account.positions.items():
            assert positions[name, symbol] == position.qty_lots, (name, symbol)
        for currency, held in account.cash.items():
            assert cash[name, currency] == held.cash_micro, (name, currency)
    stored = {row[0]: dict(zip(ORDER_COLUMNS, row, strict=True)) for row in rows.new_orders()}
    open_orders = {one.order_id: one for account in venue.accounts.values() for one in account.open_orders()}
    assert {order_id for order_id, row in stored.items() if row["ord_status"] not in ENDED} == set(open_orders)
    for order_id, order in open_orders.items():
        row = stored[order_id]
        assert (row["qty_lots"], row["cum_qty_lots"]) == (order.qty_lots, order.cum_qty_lots)
        assert (row["price_ticks"] or 0, row["display_qty_lots"] or 0) == (order.price_ticks, order.display_qty_lots)


def ledger_of(rows: Rows, engine: Engine) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """Lots by account and symbol, and cash in 10^-6 by account and currency, as the SQL views have them."""
    lots: Counter[tuple[str, str]] = Counter()
    cash: Counter[tuple[str, str]] = Counter(rows.cash)
    for (account, symbol), change in rows.positions.items():
        listing = engine.venue.listings[symbol]
        instrument = listing.instrument
        bought = change[BOUGHT] - change[SOLD]
        lots[account, symbol] += change[ADJUSTED] + bought
        paid = (change[BOUGHT_VALUE] - change[SOLD_VALUE]) * listing.micro_per_tick_lot
        cash[account, instrument.currency] -= paid + change[FEES]
        if instrument.asset_class == types.ASSET_CLASS_FX:
            cash[account, instrument.base_currency] += bought * instrument.lot_size_nano // 1000
    return lots, cash


@pytest.mark.parametrize("seed", SEEDS)
def test_reports_are_the_same_by_either_way(seed: int) -> None:
    """A report that is laid out from the bytes equals the one built from the message, for each kind of event."""
    listed, kinds = Instruments(), Counter[Any]()
    for entry in Story(seed).entries(COMMANDS):
        for data in entry.events:
            event = wire.Event.FromString(data)
            listed.learn(event)
            if event.HasField("order"):
                built = report(event, listed, 1, 2, 4)
                built.sent_unix_ns = 3
                laid_out = execution_report(Event(data), listed, 1, 2, 3, 4)
                assert orders.ExecutionReport.FromString(laid_out) == built
                kinds[types.ExecType.Name(event.order.exec_type)] += 1
                kinds["in place"] += Event(data).state is not None
    assert {"EXEC_TYPE_NEW", "EXEC_TYPE_TRADE", "EXEC_TYPE_TRIGGERED", "EXEC_TYPE_RESTATED", "in place"} <= set(kinds)

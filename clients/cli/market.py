"""Commands that watch the market: the book and the ticks, in place on a terminal, line by line elsewhere."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import asdict
from typing import TypeVar

import click
from ordergate.marketdata.v1 import marketdata_pb2 as md
from ordergate.types.v1 import types_pb2 as types
from rich.console import RenderableType
from rich.live import Live

from clients.cli.connection import Connection, json_option, pass_connection
from clients.cli.output import clock_time, console, make_table, word, write_json, write_table
from clients.sdk.book import Book, BookLevel

Update = TypeVar("Update")
REFRESH_PER_SECOND = 10
NO_LEVEL = BookLevel("", "", 0)

count_option = click.option("--count", type=click.IntRange(1), help="Stop after so many updates.")


@click.command("book")
@click.argument("symbol")
@click.option("--depth", type=click.IntRange(1, 100), default=10, show_default=True, help="Levels of each side.")
@count_option
@json_option
@pass_connection
async def book(connection: Connection, symbol: str, depth: int, count: int | None) -> None:
    """Shows the depth of SYMBOL as it changes, until Ctrl-C."""
    async with connection.client("trader") as client:
        await watch(connection, client.book(symbol, depth=depth), count, _book_json, _book_line, _book_table)


@click.command("ticks")
@click.argument("symbols", nargs=-1, required=True)
@count_option
@json_option
@pass_connection
async def ticks(connection: Connection, symbols: tuple[str, ...], count: int | None) -> None:
    """Shows quotes, trades and reference prices of SYMBOLS as they change, until Ctrl-C."""
    board = TickBoard(symbols)
    async with connection.client("trader") as client:
        await watch(connection, client.ticks(*symbols), count, write_json, _tick_line, board.table_after)


@click.command("market-data")
@click.argument("symbols", nargs=-1)
@json_option
@pass_connection
async def market_data(connection: Connection, symbols: tuple[str, ...]) -> None:
    """Shows the present quote, last trade and reference price of SYMBOLS, or of all."""
    async with connection.client("trader") as client:
        found = await client.market_data(*symbols)
    if connection.as_json:
        for data in found.market_data:
            write_json(data)
        return
    write_table(
        f"Market data at seq {found.as_of_seq}", TICK_COLUMNS, [_market_row(data) for data in found.market_data]
    )


@click.command("instruments")
@json_option
@pass_connection
async def instruments(connection: Connection) -> None:
    """Lists the instruments."""
    async with connection.client("trader") as client:
        found = [instrument async for instrument in client.instruments()]
    if connection.as_json:
        for instrument in found:
            write_json(instrument)
        return
    columns = ("symbol", "class", "currency", "tick>", "lot>", "multiplier>", "description")
    rows = [
        (
            one.symbol,
            word(types.AssetClass, one.asset_class, "ASSET_CLASS_"),
            one.currency,
            one.tick_size,
            one.lot_size,
            one.multiplier,
            one.description,
        )
        for one in found
    ]
    write_table("Instruments", columns, rows)


async def watch(
    connection: Connection,
    updates: AsyncIterator[Update],
    count: int | None,
    as_json: Callable[[Update], None],
    as_line: Callable[[Update], str],
    as_table: Callable[[Update], RenderableType],
) -> None:
    """Shows each update in the form that fits where it goes."""
    in_place = sys.stdout.isatty() and not connection.as_json
    live = Live(console=console(), refresh_per_second=REFRESH_PER_SECOND) if in_place else None
    shown = 0
    with live or nullcontext():
        async for update in updates:
            if connection.as_json:
                as_json(update)
            elif live is not None:
                live.update(as_table(update))
            else:
                click.echo(as_line(update))
            shown += 1
            if shown == count:
                return


def _book_json(shown: Book) -> None:
    session = types.TradingSession.Name(types.TradingSession.ValueType(shown.trading_session))
    write_json({**asdict(shown), "time": f"{shown.time.isoformat()}Z", "trading_session": session})


def _book_line(shown: Book) -> str:
    bid = shown.bids[0] if shown.bids else NO_LEVEL
    ask = shown.asks[0] if shown.asks else NO_LEVEL
    return (
        f"{shown.time:%H:%M:%S.%f} seq {shown.seq:<8} {shown.symbol} "
        f"bid {bid.qty or '-'}@{bid.px or '-'} ask {ask.qty or '-'}@{ask.px or '-'} "
        f"levels {len(shown.bids)}/{len(shown.asks)}{_unless_continuous(shown.trading_session)}"
    )


def _book_table(shown: Book) -> RenderableType:
    rows = []
    for place in range(max(len(shown.bids), len(shown.asks))):
        bid = shown.bids[place] if place < len(shown.bids) else NO_LEVEL
        ask = shown.asks[place] if place < len(shown.asks) else NO_LEVEL
        rows.append((bid.orders or "", bid.qty, bid.px, ask.px, ask.qty, ask.orders or ""))
    title = f"{shown.symbol}  seq {shown.seq}  {shown.time:%H:%M:%S}{_unless_continuous(shown.trading_session)}"
    return make_table(title, ("orders>", "bid_qty>", "bid>", "ask>", "ask_qty>", "orders>"), rows)


TICK_COLUMNS = ("symbol", "session", "bid_qty>", "bid>", "ask>", "ask_qty>", "last>", "last_qty>", "reference>", "time")


def _market_row(data: md.MarketData) -> tuple[object, ...]:
    quote, trade = data.quote, data.last_trade
    return (
        data.symbol,
        _status_text(data.status),
        quote.bid_qty,
        quote.bid_px,
        quote.ask_px,
        quote.ask_qty,
        trade.px,
        trade.qty,
        data.reference.px,
        clock_time(data.updated_time),
    )


class TickBoard:
    """What is known of each symbol, for a table that changes in place."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self._known = {symbol: md.MarketData(symbol=symbol) for symbol in symbols}

    def table_after(self, update: md.MarketData | md.Tick) -> RenderableType:
        """The table after `update`."""
        self.take(update)
        return make_table("Ticks", TICK_COLUMNS, [_market_row(data) for data in self._known.values()])

    def take(self, update: md.MarketData | md.Tick) -> None:
        """Brings one symbol up to date."""
        known = self._known[update.symbol]
        if isinstance(update, md.MarketData):
            known.CopyFrom(update)
            return
        known.updated_time.CopyFrom(update.time)
        match update.WhichOneof("change"):
            case "quote":
                known.quote.CopyFrom(update.quote)
            case "trade":
                known.last_trade.CopyFrom(update.trade)
            case "reference":
                known.reference.CopyFrom(update.reference)
            case "status":
                known.status.CopyFrom(update.status)


def _tick_line(update: md.MarketData | md.Tick) -> str:
    if isinstance(update, md.MarketData):
        quote, moment = update.quote, clock_time(update.updated_time)
        last = update.last_trade.px or "-"
        return f"{moment} {update.symbol} {_status_text(update.status)} now {_quote_text(quote)} last {last}"
    head = f"{clock_time(update.time)} {update.symbol}"
    match update.WhichOneof("change"):
        case "quote":
            return f"{head} quote {_quote_text(update.quote)}"
        case "trade":
            side = word(types.Side, update.trade.aggressor_side, "SIDE_")
            return f"{head} trade {update.trade.qty}@{update.trade.px} {side or 'AUCTION'} {update.trade.trade_id}"
        case "status":
            return f"{head} session {_status_text(update.status)}{_auction_text(update.status)}"
        case _:
            return f"{head} reference {update.reference.px} {update.reference.source}"


def _status_text(status: md.TradingStatus) -> str:
    return "DELISTED" if status.delisted else word(types.TradingSession, status.trading_session, "TRADING_SESSION_")


def _auction_text(status: md.TradingStatus) -> str:
    return f" auction {status.auction_qty}@{status.auction_px}" if status.auction_px else ""


def _unless_continuous(trading_session: int) -> str:
    """The session for the end of a line, where it is worth a word."""
    if trading_session == types.TRADING_SESSION_CONTINUOUS:
        return ""
    return f"  {word(types.TradingSession, trading_session, 'TRADING_SESSION_')}"


def _quote_text(quote: md.Quote) -> str:
    return f"{quote.bid_qty or '-'}@{quote.bid_px or '-'} / {quote.ask_qty or '-'}@{quote.ask_px or '-'}"

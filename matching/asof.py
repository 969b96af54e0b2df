"""What the venue was after an event, as rows with decimals: orders, positions, cash, limits.

Reads an engine that recovery has rebuilt (`matching.recovery.as_of`) and
changes nothing. Called by `ordergate replay --as-of`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.convert import encode_command_part
from matching.core.administration import LIMIT_NAMES
from matching.core.commands import Limits
from matching.core.engine import Engine
from matching.core.ledger import MONEY_MICRO_MAX, Account, Position
from matching.core.orders import Order
from matching.core.venue import Listing
from runtime.clock import NANOS_PER_SECOND
from runtime.decimals import NANO, format_nano
from runtime.instruments import Instrument, money_text

Row = dict[str, str]
"""A value for each column; the columns are the same for all rows of a kind."""


def order_rows(engine: Engine, account: str = "", symbol: str = "", *, open_only: bool = True) -> list[Row]:
    """The orders that the venue knew, by id; of an account or in an instrument if one is named.

    Raises:
        ValueError: there was no such account or instrument.
    """
    found = [
        order
        for holder in _accounts(engine, account)
        for order in (holder.open_orders() if open_only else _orders_of(holder))
        if symbol in ("", order.listing.symbol)
    ]
    _check_symbol(engine, symbol)
    return [_order(order) for order in sorted(found, key=lambda order: order.order_id)]


def position_rows(engine: Engine, account: str = "", symbol: str = "") -> list[Row]:
    """What accounts held, by account and symbol.

    Raises:
        ValueError: there was no such account or instrument.
    """
    _check_symbol(engine, symbol)
    return [
        _position(holder, position)
        for holder in _accounts(engine, account)
        for name, position in sorted(holder.positions.items())
        if position.is_used and symbol in ("", name)
    ]


def cash_rows(engine: Engine, account: str = "") -> list[Row]:
    """The money of accounts, by account and currency.

    Raises:
        ValueError: there was no such account.
    """
    rows = []
    for holder in _accounts(engine, account):
        for currency, cash in sorted(holder.cash.items()):
            margin_micro = holder.margin_micro(cash)
            rows.append(
                {
                    "account": holder.account,
                    "currency": currency,
                    "cash": money_text(cash.cash_micro),
                    "held": money_text(cash.held_micro),
                    "margin": money_text(margin_micro),
                    "buying_power": money_text(cash.cash_micro - cash.held_micro - margin_micro),
                    "fees": money_text(cash.fees_micro),
                }
            )
    return rows


def limit_rows(engine: Engine, account: str = "", symbol: str = "") -> list[Row]:
    """The limits that were set, by scope; those that bear upon an account or an instrument if one is named.

    An empty account or symbol in a row stands for all of them. Money and times
    are decimals, and quantities where the scope names an instrument.

    Raises:
        ValueError: there was no such account or instrument.
    """
    _check_symbol(engine, symbol)
    list(_accounts(engine, account))
    return [
        {"account": scope[0], "symbol": scope[1], "limit": name, "value": value}
        for scope, limits in sorted(engine.venue.limits.items())
        if (not account or scope[0] in ("", account)) and (not symbol or scope[1] in ("", symbol))
        for name, value in _limits(limits, engine.venue.listings.get(scope[1]))
    ]


def _accounts(engine: Engine, account: str) -> Iterator[Account]:
    accounts = engine.venue.accounts
    if account and account not in accounts:
        raise ValueError(f"there was no account {account} at seq {engine.seq}")
    return (accounts[name] for name in ([account] if account else sorted(accounts)))


def _check_symbol(engine: Engine, symbol: str) -> None:
    if symbol and symbol not in engine.venue.listings:
        raise ValueError(f"{symbol} was not listed at seq {engine.seq}")


def _orders_of(account: Account) -> Iterator[Order]:
    order = account.newest
    while order is not None:
        yield order
        order = order.older


def _instrument(listing: Listing) -> Instrument:
    return Instrument.from_proto(cast(wire.ListInstrument, encode_command_part(listing.instrument)))


def _order(order: Order) -> Row:
    instrument, terms = _instrument(order.listing), order.terms
    return {
        "order_id": str(order.order_id),
        "account": terms.account,
        "cl_ord_id": order.cl_ord_id,
        "symbol": terms.symbol,
        "side": _word(types.Side, terms.side),
        "ord_type": _word(types.OrdType, terms.ord_type),
        "time_in_force": _word(types.TimeInForce, terms.time_in_force),
        "qty": instrument.qty_text(order.qty_lots),
        "price": instrument.price_text(order.price_ticks) if order.price_ticks else "",
        "stop_px": instrument.price_text(order.stop_px_ticks) if order.stop_px_ticks else "",
        "cum_qty": instrument.qty_text(order.cum_qty_lots),
        "leaves_qty": instrument.qty_text(order.leaves_qty_lots),
        "avg_px": instrument.avg_px_text(order.cum_value_ticks_lots, order.cum_qty_lots),
        "ord_status": _word(types.OrdStatus, order.status),
    }


def _position(account: Account, position: Position) -> Row:
    listing = position.listing
    instrument, mark_ticks = _instrument(listing), listing.mark_ticks()
    unrealized_micro = max(-MONEY_MICRO_MAX, min(MONEY_MICRO_MAX, position.unrealized_micro()))
    return {
        "account": account.account,
        "symbol": listing.symbol,
        "qty": instrument.qty_text(position.qty_lots),
        "held_qty": instrument.qty_text(position.held_lots),
        "avg_cost": instrument.avg_px_text(position.cost_ticks_lots, position.qty_lots),
        "mark_px": instrument.price_text(mark_ticks) if mark_ticks else "",
        "unrealized_pnl": money_text(unrealized_micro),
        "realized_pnl": money_text(position.realized_pnl_micro),
        "currency": instrument.currency,
    }


def _limits(limits: Limits, listing: Listing | None) -> Iterator[tuple[str, str]]:
    """The names and values of what is limited."""
    for name in LIMIT_NAMES:
        value = getattr(limits, name)
        if not value:
            continue
        if name.endswith("_micro"):
            yield name.removesuffix("_micro"), money_text(value)
        elif name.endswith("_ns"):
            yield f"{name.removesuffix('_ns')}_s", format_nano(value * NANO // NANOS_PER_SECOND)
        elif name.endswith("_lots") and listing is not None:
            yield name.removesuffix("_lots"), _instrument(listing).qty_text(value)
        else:
            yield name, str(value).lower()


def _word(enum: Any, number: int) -> str:
    """The short form of an enum value: BUY for SIDE_BUY."""
    name: str = enum.Name(number)
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in enum.DESCRIPTOR.name).upper()
    return name.removeprefix(f"{words.removeprefix('_')}_")

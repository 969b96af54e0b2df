"""What holds between commands: for the plain venue by itself, and between it and the core.

Heavier than comparing events, so it is called for every so-many commands, and
once at the end with `check_drained`.
"""

from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core.engine import Engine
from tests.simulation.plain import book, money
from tests.simulation.plain.state import Holding, Listing, Order, Venue
from tests.simulation.plain.triggers import LAST


def differences(engine: Engine, plain: Venue) -> list[str]:
    """Where the core's state is not the plain venue's."""
    found: list[str] = []
    for name in plain.accounts:
        found += _account(engine, plain, name)
    for symbol, listing in plain.listings.items():
        found += _listing(engine, plain, symbol, listing)
    mine: dict[int, Any] = {order.order_id: order for order in _open_orders(engine)}
    open_now = [order for order in plain.live if order.is_open]
    if list(mine) != [order.order_id for order in open_now]:
        return [*found, f"open orders: core {list(mine)}, plain {[order.order_id for order in open_now]}"]
    return found + [text for order in open_now for text in _order(mine[order.order_id], order)]


def _said(where: str, mine: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{where} {name}: core {mine[name]!r}, plain {wanted[name]!r}" for name in wanted if mine[name] != wanted[name]
    ]


def _open_orders(engine: Engine) -> list[Any]:
    orders = [order for account in engine.venue.accounts.values() for order in account.open_orders()]
    return sorted(orders, key=lambda order: int(order.order_id))


def _account(engine: Engine, plain: Venue, name: str) -> list[str]:
    mine, wanted, found = engine.venue.accounts[name], plain.accounts[name], []
    for currency in sorted({*mine.cash, *wanted.cash}):
        cash = mine.cash_in(currency)
        core = {"cash": cash.cash_micro, "held": cash.held_micro, "fees": cash.fees_micro}
        core["margin"] = mine.margin_micro(cash)
        told = {"cash": wanted.cash.get(currency, 0), "held": money.held_cash(plain, name, currency)}
        told |= {"fees": wanted.fees.get(currency, 0), "margin": money.margin(plain, name, currency)}
        found += _said(f"{name} {currency}", core, told)
    for symbol in sorted({*mine.positions, *wanted.holdings}):
        found += _position(plain, name, symbol, mine.positions.get(symbol))
    return [*found, *_said(name, {"account_seq": mine.account_seq}, {"account_seq": wanted.seq})]


def _position(plain: Venue, name: str, symbol: str, position: Any) -> list[str]:
    holding = plain.accounts[name].holdings.get(symbol, Holding())
    if position is None:
        return [] if holding == Holding() else [f"{name} {symbol}: the core has no position"]
    core = {"lots": position.qty_lots, "cost": position.cost_ticks_lots, "pnl": position.realized_pnl_micro}
    core |= {
        "held": 0 if plain.listings[symbol].is_fx else position.held_lots,
        "unrealised": position.unrealized_micro(),
    }
    told = {"lots": holding.lots, "cost": holding.cost, "pnl": holding.pnl}
    told |= {"held": 0 if plain.listings[symbol].is_fx else money.held_lots(plain, name, symbol, shorts=False)}
    told |= {"unrealised": money.unrealized(plain, symbol, holding, plain.listings[symbol].mark)}
    return _said(f"{name} {symbol}", core, told)


def _listing(engine: Engine, plain: Venue, symbol: str, listing: Listing) -> list[str]:
    mine = engine.venue.listings[symbol]
    core: dict[str, Any] = {"session": mine.trading_session, "last": mine.last_ticks, "reference": mine.reference_ticks}
    told: dict[str, Any] = {"session": listing.session, "last": listing.last, "reference": listing.reference}
    for buys, side in ((True, mine.book.bids), (False, mine.book.asks)):
        resting = book.resting(plain, symbol, buys=buys)
        core[f"book {buys}"] = [
            (price, order.order_id, order.shown_qty_lots, order.leaves_qty_lots)
            for price, level in side.best_first()
            for order in level.orders()
        ]
        told[f"book {buys}"] = [(order.price, order.order_id, order.shown, order.leaves) for order in resting]
    return _said(symbol, core, told)


def _order(mine: Any, order: Order) -> list[str]:
    core = {"qty": mine.qty_lots, "stop_px": mine.stop_px_ticks, "status": mine.status}
    return _said(f"order {order.order_id}", core, {"qty": order.qty, "stop_px": order.stop_px, "status": order.status})


def broken(plain: Venue) -> list[str]:
    """Which of the invariants do not hold."""
    found: list[str] = []
    for order in plain.live:
        if order.is_open and not (0 <= order.cum < order.qty and order.leaves == order.qty - order.cum):
            found.append(f"order {order.order_id}: {order.cum} + {order.leaves} of {order.qty}")
        if order.in_book and order.display and not 0 < order.shown <= min(order.display, order.leaves):
            found.append(f"order {order.order_id} shows {order.shown}")
    for symbol, listing in plain.listings.items():
        if listing.is_continuous and book.is_crossed(plain, symbol):
            found.append(f"{symbol} is crossed")
        lots = sum(account.lots(symbol) for account in plain.accounts.values())
        if lots != plain.booked.get(symbol, 0):
            found.append(f"{symbol}: {lots} lots are owned, {plain.booked.get(symbol, 0)} were booked in")
    for currency in sorted({*plain.deposits, *plain.pot}):
        owned = sum(account.cash.get(currency, 0) for account in plain.accounts.values())
        if owned + plain.pot.get(currency, 0) != plain.deposits.get(currency, 0):
            found.append(f"{currency} is not conserved")
    return found + _unseen(plain)


def _unseen(plain: Venue) -> list[str]:
    """Stops that the last trade has reached and that wait nevertheless: there is none of a fixed trigger."""
    stops = (types.ORD_TYPE_STOP, types.ORD_TYPE_STOP_LIMIT)
    found = []
    for order in plain.live:
        listing, watched = plain.listings[order.symbol], order.body.trigger_by or LAST
        if order.place.name != "ARMED" or watched != LAST or order.body.ord_type not in stops:
            continue
        reached = listing.last >= order.stop_px if order.buys else listing.last <= order.stop_px
        if listing.is_continuous and listing.last and reached:
            found.append(f"order {order.order_id} waits at {order.stop_px}, the last trade was at {listing.last}")
    return found


def still_held(engine: Engine, plain: Venue) -> list[str]:
    """What is open or held where nothing should be."""
    found = [f"order {order.order_id} is open" for order in _open_orders(engine)]
    for name, account in engine.venue.accounts.items():
        found += [
            f"{name} {currency}: {cash.held_micro} held" for currency, cash in account.cash.items() if cash.held_micro
        ]
        found += [f"{name} {symbol}: {p.held_lots} lots held" for symbol, p in account.positions.items() if p.held_lots]
    return found + [f"plain order {order.order_id} is open" for order in plain.live if order.is_open]

"""The whole state of an engine as bytes, and an engine out of such bytes.

What follows from something else (levels' quantities, triggers, sessions' orders,
timers) is not written but made again. The same state gives the same bytes, so
their SHA-256 is the state's hash. Called for snapshots, by recovery and replay.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import deque
from dataclasses import fields
from typing import Any

import msgspec

from matching.convert import encode_event
from matching.core import commands, keys, triggers
from matching.core.administration import NANO_PER_MICRO_SQUARED, listing_of
from matching.core.engine import Engine
from matching.core.events import EncodedEvent, Event
from matching.core.keys import Done, Outcome, content_of
from matching.core.ledger import Account, Cash, FeeSchedule, Position, Recent
from matching.core.limits import limits_of
from matching.core.orders import Order, OrderList, Stage
from matching.core.risk import remember
from matching.core.time_and_sessions import find_due
from matching.core.venue import ClientSession, Listing, Venue

VERSION = 1
Rows = list[Any]
LONG = 1
"""Extension type of an integer beyond 64 bits: sums of values have no bound but that of their parts."""

_LISTING = (
    "lots", "trading_session", "is_delisted", "is_killed", "reference_ticks", "reference_unix_ns", "last_ticks",
    "band_ticks", "market_collar_bps", "price_band_bps", "arrivals",
)  # fmt: skip
_ACCOUNT = (
    "account_seq", "short_sale_permitted", "short_margin_bps", "self_trade_group", "is_killed", "rate_second",
    "rate_messages",
)  # fmt: skip
_CASH = (
    "cash_micro",
    "held_micro",
    "open_micro",
    "fees_micro",
    "realized_micro",
    "unrealized_micro",
    "gross_micro",
    "day_result_micro",
)
_POSITION = (
    "qty_lots", "cost_ticks_lots", "realized_pnl_micro", "held_lots", "open_buy_lots", "open_short_lots",
    "counted_size_micro", "counted_pnl_micro", "is_used", "is_throttled", "throttle_fills",
)  # fmt: skip
_RECENT = ("at_unix_ns", "side", "ord_type", "qty_lots", "price_ticks", "stop_px_ticks")
_ORDER = (
    "cl_ord_id", "qty_lots", "price_ticks", "stop_px_ticks", "display_qty_lots", "shown_qty_lots", "cum_qty_lots",
    "leaves_qty_lots", "cum_value_ticks_lots", "status", "stage", "is_triggered", "is_quote", "arrival", "held_micro",
    "held_lots", "counted_micro",
)  # fmt: skip
_SESSION = ("session_id", "gateway_id", "cancel_on_disconnect", "dead_man_ns", "due_unix_ns")
_VENUE = ("seq", "time_unix_ns", "limits_version", "is_killed", "last_closed_day")


class UnreadableStateError(Exception):
    """These bytes are of no state that this version knows."""


def dump(engine: Engine) -> bytes:
    """The state after the last command."""
    venue = engine.venue
    content = (
        VERSION,
        (venue.keys_max, venue.requests_max),
        _values(venue, _VENUE),
        list(venue.money_micro.items()),
        list(venue.fees_micro.items()),
        [_values(schedule, ("fee_schedule", "maker_ppm", "taker_ppm", "lot_micro"))
         for schedule in venue.fee_schedules.values()],
        [(*scope, _request(limits)) for scope, limits in venue.limits.items()],
        list(venue.killed_sessions),
        [[*_values(session, _SESSION), list(session.orders)] for session in venue.sessions.values()],
        [(*scope, _request(venue.requests[scope].request), _event(venue.requests[scope].event))
         for scope in venue.request_line],
        [_dump_listing(listing) for listing in venue.listings.values()],
        [_dump_account(venue, account) for account in venue.accounts.values()],
        [_dump_order(venue, order) for order in _all_orders(venue)],
        [_dump_keys(account) for account in venue.accounts.values()],
        [_dump_lists(account) for account in venue.accounts.values()],
    )  # fmt: skip
    return msgspec.msgpack.encode(content)


def load(data: bytes) -> Engine:
    """The engine in the state that `data` holds.

    Raises:
        UnreadableStateError: it holds none, or one of another version.
    """
    try:
        content = msgspec.msgpack.decode(data, ext_hook=_long_of)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableStateError(repr(error)) from error
    if not isinstance(content, list) or not content:
        raise UnreadableStateError("these bytes are no state")
    if content[0] != VERSION:
        raise UnreadableStateError(f"state of version {content[0]}, this is version {VERSION}")
    try:
        engine = Engine(*content[1])
        _load_venue(engine.venue, content)
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UnreadableStateError(repr(error)) from error
    return engine


def state_hash(engine: Engine) -> str:
    """SHA-256 of the whole state, hexadecimal."""
    return hashlib.sha256(dump(engine)).hexdigest()


def _values(thing: object, names: tuple[str, ...]) -> Rows:
    return [_number(getattr(thing, name)) for name in names]


def _number(value: Any) -> object:
    """The value, in a form that can be written however large it is."""
    if type(value) is not int or -(2**63) <= value < 2**64:
        return value
    return msgspec.msgpack.Ext(LONG, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _long_of(code: int, data: memoryview) -> int:
    if code != LONG:
        raise ValueError(f"extension type {code}")
    return int.from_bytes(data, "big", signed=True)


def _set(thing: object, names: tuple[str, ...], values: Rows) -> None:
    for name, value in zip(names, values, strict=True):
        setattr(thing, name, value)


def _event(event: Event) -> Rows:
    return [event.seq, event.command_seq, event.time_unix_ns, encode_event(event, last_of_command=True)]


def _request(request: object) -> Rows:
    """A command as its kind and its fields."""
    if isinstance(request, commands.NewOrder):
        return ["NewOrder", *_values(request, keys.NEW_ORDER_FIELDS), request.client_unix_ns]
    if isinstance(request, commands.ReplaceOrder | commands.CancelOrder):
        return [type(request).__name__, *_values(request, content_of(request))]
    return [type(request).__name__, *(_part(getattr(request, f.name)) for f in fields(request))]  # type: ignore[arg-type]


def _part(value: Any) -> object:
    if isinstance(value, commands.Limits):
        return _request(value)
    if isinstance(value, list):
        return [_request(part) if isinstance(part, commands.QuoteEntry) else part for part in value]
    return value


def _request_of(row: Rows) -> Any:
    name = row[0]
    if name == "NewOrder":
        return commands.NewOrder(*row[1:])
    if name == "CancelOrder":
        return commands.CancelOrder(*row[1:])
    if name == "ReplaceOrder":
        return commands.ReplaceOrder(*row[1:])
    kind = getattr(commands, name)
    return kind(*(_part_of(value) for value in row[1:]))


def _part_of(value: Any) -> object:
    if isinstance(value, list):
        if value and value[0] == "Limits":
            return _request_of(value)
        return [_request_of(part) if isinstance(part, list) else part for part in value]
    return value


def _event_of(row: Rows) -> Event:
    return EncodedEvent(row[0], row[1], row[2], row[3])


def _dump_listing(listing: Listing) -> Rows:
    book = listing.book
    sides = [
        [order.order_id for _, level in side.best_first() for order in level.orders()]
        for side in (book.bids, book.asks)
    ]
    return [_request(listing.instrument), _event(listing.listed), _values(listing, _LISTING), *sides]


def _dump_account(venue: Venue, account: Account) -> Rows:
    assert account.opened is not None, "an account was opened"
    return [
        account.account,
        _event(account.opened),
        _values(account, _ACCOUNT),
        account.fees.fee_schedule if account.fees is not None else "",
        [(currency, _values(cash, _CASH)) for currency, cash in account.cash.items()],
        [_dump_position(venue, symbol, position) for symbol, position in account.positions.items()],
    ]


def _dump_position(venue: Venue, symbol: str, position: Position) -> Rows:
    remembers = position.limits_version == venue.limits_version
    recent = [_values(order, _RECENT) for order in position.recent_line] if remembers else []
    fills = (list(position.buys), list(position.sells)) if remembers else ([], [])
    return [symbol, _values(position, _POSITION), recent, *fills]


def _all_orders(venue: Venue) -> list[Order]:
    """Those that the venue knows, and ended legs of lists that it has forgotten otherwise; by id."""
    found = dict(venue.orders)
    for account in venue.accounts.values():
        for order_list in account.lists.values():
            for order in order_list.legs.values():
                found[order.order_id] = order
    return [found[order_id] for order_id in sorted(found)]


def _dump_order(venue: Venue, order: Order) -> Rows:
    assert order.last_event is not None, "an order has at least its first event"
    return [
        order.order_id,
        order.order_id in venue.orders,
        _request(order.terms),
        order.session_id,
        order.accepted_unix_ns,
        _values(order, _ORDER),
        _event(order.last_event),
    ]


def _dump_keys(account: Account) -> Rows:
    return [list(account.key_line), [(key, *_dump_outcome(outcome)) for key, outcome in account.keys.items()]]


def _dump_outcome(outcome: Outcome) -> Rows:
    order = outcome.order
    is_of_order = order is not None and outcome.request is order.terms
    return [
        None if is_of_order else _request(outcome.request),
        None if order is not None and outcome.event is order.last_event else _event(outcome.event),
        order.order_id if order is not None else 0,
    ]


def _dump_lists(account: Account) -> Rows:
    return [
        (known.list_id, known.contingency_type, known.is_decided, [(n, leg.order_id) for n, leg in known.legs.items()])
        for known in account.lists.values()
    ]


def _load_venue(venue: Venue, content: Rows) -> None:
    _, _, values, money, fees, schedules, limits, killed, sessions, requests, listings, accounts, *books = content
    _set(venue, _VENUE, values)
    venue.money_micro = dict(money)
    venue.fees_micro = dict(fees)
    for name, maker_ppm, taker_ppm, lot_micro in schedules:
        schedule = venue.fee_schedules[name] = FeeSchedule(name)
        schedule.change(maker_ppm, taker_ppm, lot_micro)
    for account, symbol, row in limits:
        venue.limits[(account, symbol)] = _request_of(row)
    venue.killed_sessions = dict.fromkeys(killed, True)
    for session_id, gateway_id, cancels, dead_man_ns, due_unix_ns, _ in sessions:
        session = venue.sessions[session_id] = ClientSession(session_id, gateway_id, cancels, dead_man_ns)
        session.due_unix_ns = due_unix_ns
    for account, request_id, request, event in requests:
        venue.requests[(account, request_id)] = Done(_request_of(request), _event_of(event))
        venue.request_line.append((account, request_id))
    for row in listings:
        _load_listing(venue, row)
    for row in accounts:
        _load_account(venue, row)
    _load_orders(venue, listings, sessions, *books)


def _load_listing(venue: Venue, row: Rows) -> None:
    instrument = _request_of(row[0])
    worth = instrument.tick_size_nano * instrument.lot_size_nano * instrument.multiplier // NANO_PER_MICRO_SQUARED
    listing = listing_of(instrument, worth, _event_of(row[1]))
    _set(listing, _LISTING, row[2])
    venue.listings[listing.symbol] = listing


def _load_account(venue: Venue, row: Rows) -> None:
    name, opened, values, fee_schedule, cash, positions = row
    account = venue.accounts[name] = Account(name)
    account.opened = _event_of(opened)
    _set(account, _ACCOUNT, values)
    account.fees = venue.fee_schedules[fee_schedule] if fee_schedule else None
    for currency, amounts in cash:
        account.cash[currency] = Cash()
        _set(account.cash[currency], _CASH, amounts)
    for symbol, lots, recent, buys, sells in positions:
        position = account.position_in(venue.listings[symbol])
        limits_of(venue, account, position)
        _set(position, _POSITION, lots)
        account.sort_in(position)
        for order in recent:
            remember(position, Recent(*order))
        position.buys, position.sells = deque(buys), deque(sells)


def _load_orders(venue: Venue, listings: Rows, sessions: Rows, orders: Rows, kept: Rows, lists: Rows) -> None:
    found: dict[int, Order] = {}
    for row in orders:
        found[row[0]] = _load_order(venue, row)
    for session_id, *_, order_ids in sessions:
        # Not every open order that names a session belongs to it: an earlier one may have had the same id.
        venue.sessions[session_id].orders.update((order_id, found[order_id]) for order_id in order_ids)
    for row in listings:
        book = venue.listings[row[0][1]].book
        for side, order_ids in ((book.bids, row[3]), (book.asks, row[4])):
            for order_id in order_ids:
                side.add(found[order_id])
    for account, order_lists in zip(venue.accounts.values(), lists, strict=True):
        for list_id, contingency_type, is_decided, legs in order_lists:
            order_list = account.lists[list_id] = OrderList(list_id, contingency_type)
            order_list.is_decided = is_decided
            for leg, order_id in legs:
                order_list.legs[leg] = found[order_id]
                found[order_id].order_list = order_list
    for account, (line, outcomes) in zip(venue.accounts.values(), kept, strict=True):
        _load_keys(account, line, outcomes, found)
    find_due(venue)


def _load_order(venue: Venue, row: Rows) -> Order:
    order_id, is_known, terms_row, session_id, accepted_unix_ns, values, last_event = row
    terms = _request_of(terms_row)
    account, listing = venue.accounts[terms.account], venue.listings[terms.symbol]
    position = account.position_in(listing)
    order = Order(order_id, account, listing, position, terms, session_id, accepted_unix_ns)
    _set_order(order, values)
    order.last_event = _event_of(last_event)
    if is_known:
        venue.orders[order_id] = order
        account.take_in(order)
        if not order.is_open:
            account.open_count -= 1
    if order.is_open:
        _load_open(venue, order)
    return order


def _set_order(order: Order, values: Rows) -> None:
    """What `_ORDER` names, written out: there are very many of them."""
    (
        order.cl_ord_id,
        order.qty_lots,
        order.price_ticks,
        order.stop_px_ticks,
        order.display_qty_lots,
        order.shown_qty_lots,
        order.cum_qty_lots,
        order.leaves_qty_lots,
        order.cum_value_ticks_lots,
        order.status,
        order.stage,
        order.is_triggered,
        order.is_quote,
        order.arrival,
        order.held_micro,
        order.held_lots,
        order.counted_micro,
    ) = values


def _load_open(venue: Venue, order: Order) -> None:
    """Puts an open order wherever open ones are listed, the book aside."""
    order_id = order.order_id
    if order.terms.expire_unix_ns:
        insort(venue.expiries, (order.terms.expire_unix_ns, order_id))
    if order.is_quote and order.is_buy:
        order.position.bid_quote = order
    elif order.is_quote:
        order.position.ask_quote = order
    if order.stage == Stage.WAITS_TRIGGER:
        watch = triggers.watch_of(order)
        watch.add(order)
        if watch is order.listing.touch_watch:
            venue.touch_watched[order.listing.symbol] = order.listing


def _load_keys(account: Account, line: Rows, outcomes: Rows, orders: dict[int, Order]) -> None:
    account.key_line.extend(line)
    in_line = set(line)
    for key, request, event, order_id in outcomes:
        order = orders[order_id] if order_id else None
        told = _event_of(event) if event is not None else order.last_event if order is not None else None
        assert told is not None, "an outcome has its event"
        asked = _request_of(request) if request is not None else order.terms if order is not None else None
        account.keys[key] = Outcome(asked, told, order)  # type: ignore[arg-type]
        if order is not None:
            order.keys_kept += 1
            if key not in in_line:
                order.late_keys = [*(order.late_keys or ()), key]

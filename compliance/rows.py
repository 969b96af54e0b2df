"""What a batch of events becomes in the database: leaves of the log and rows of the history.

The one place where the bytes of events are read. One `Rows` is one transaction;
of an order, a position or a balance it holds only the last state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from compliance.merkle import leaf_hash

Row = tuple[Any, ...]

LEAF_COLUMNS = (
    "leaf_index",
    "event_time_ns",
    "received_time_ns",
    "order_id",
    "event_type",
    "account",
    "symbol",
    "cl_ord_id",
    "actor",
    "leaf_hash",
    "entry",
)
FILL_COLUMNS = (
    "seq",
    "trade_id",
    "order_id",
    "contra_order_id",
    "time_ns",
    "px_ticks",
    "qty_lots",
    "account",
    "symbol",
    "cl_ord_id",
    "side",
    "liquidity",
    "fee_micro",
)
# PostgreSQL indexes no value above a third of a page.
TEXT_MAX = 256
ORDER_COLUMNS = (
    "order_id",
    "last_seq",
    "last_time_ns",
    "qty_lots",
    "price_ticks",
    "cum_qty_lots",
    "leaves_qty_lots",
    "cum_value_ticks_lots",
    "cl_ord_id",
    "ord_status",
    "reason",
    "stop_px_ticks",
    "display_qty_lots",
    "accepted_time_ns",
    "account",
    "symbol",
    "side",
    "ord_type",
    "time_in_force",
    "decision_maker",
    "strategy_id",
    "self_trade_prevention",
    "trail_offset",
    "trail_unit",
    "trigger_by",
    "min_qty_lots",
    "expire_time_ns",
    "post_only",
    "reduce_only",
    "contingency_type",
    "list_id",
    "leg",
)
CHANGING_COLUMNS = ORDER_COLUMNS[: ORDER_COLUMNS.index("accepted_time_ns")]
"""What an event can change of an order."""
BOUGHT, SOLD, ADJUSTED, BOUGHT_VALUE, SOLD_VALUE, FEES = range(6)


class EventUnreadable(ValueError):
    """The bytes of an event are not what the feed says they are."""


class _Words(dict[int, str | None]):
    """The FIX words of an enum; none for the unspecified value, the number for one that is newer than we are."""

    def __init__(self, prefix: str, names: Sequence[str], numbers: Sequence[int]) -> None:
        super().__init__(
            (number, name.removeprefix(prefix) if number else None) for name, number in zip(names, numbers, strict=True)
        )

    def __missing__(self, number: int) -> str:
        return str(number)


def indexed_text(value: str) -> str | None:
    """A text as the database can hold and index it; the entry's bytes keep the original."""
    if "\0" in value or len(value) > TEXT_MAX:
        value = value[:TEXT_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return value or None


_SIDE = _Words("SIDE_", types.Side.keys(), types.Side.values())
_ORD_TYPE = _Words("ORD_TYPE_", types.OrdType.keys(), types.OrdType.values())
_TIME_IN_FORCE = _Words("TIME_IN_FORCE_", types.TimeInForce.keys(), types.TimeInForce.values())
_ORD_STATUS = _Words("ORD_STATUS_", types.OrdStatus.keys(), types.OrdStatus.values())
_LIQUIDITY = _Words("LIQUIDITY_", types.Liquidity.keys(), types.Liquidity.values())
_SELF_TRADE_PREVENTION = _Words(
    "SELF_TRADE_PREVENTION_", types.SelfTradePrevention.keys(), types.SelfTradePrevention.values()
)
_TRAIL_UNIT = _Words("TRAIL_UNIT_", types.TrailUnit.keys(), types.TrailUnit.values())
_TRIGGER_BY = _Words("TRIGGER_BY_", types.TriggerBy.keys(), types.TriggerBy.values())
_CONTINGENCY_TYPE = _Words("CONTINGENCY_TYPE_", types.ContingencyType.keys(), types.ContingencyType.values())
_REASON = _Words("REASON_", types.Reason.keys(), types.Reason.values())
_ASSET_CLASS = _Words("ASSET_CLASS_", types.AssetClass.keys(), types.AssetClass.values())
_ORDER_EVENT = {
    number: f"ORDER_{name.removeprefix('EXEC_TYPE_')}"
    for name, number in zip(types.ExecType.keys(), types.ExecType.values(), strict=True)
}
_OTHER_EVENTS = {
    one.name: one.name.upper() for one in events.Event.DESCRIPTOR.oneofs_by_name["body"].fields if one.name != "order"
}
EVENT_TYPES = frozenset(_ORDER_EVENT.values()) - {"ORDER_UNSPECIFIED"} | frozenset(_OTHER_EVENTS.values())
"""What `event_type` of a leaf can be."""

_STATELESS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})


@dataclass(slots=True)
class Rows:
    """The rows of events that follow `after_seq`. Positions and cash are changes to add."""

    after_seq: int = 0
    epoch: int = 0
    leaves: list[Row] = field(default_factory=list)
    leaf_hashes: list[bytes] = field(default_factory=list)
    orders: dict[int, tuple[events.Event, int]] = field(default_factory=dict)
    """The last event of each order; and when it was accepted, unix ns, 0 for an order of an earlier batch."""
    fills: list[Row] = field(default_factory=list)
    positions: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    cash: dict[tuple[str, str], int] = field(default_factory=dict)
    accounts: list[Row] = field(default_factory=list)
    instruments: list[Row] = field(default_factory=list)
    delisted: list[Row] = field(default_factory=list)

    @property
    def last_seq(self) -> int:
        """The sequence of the last event taken in."""
        return self.after_seq + len(self.leaves)

    def new_orders(self) -> list[Row]:
        """The orders that were accepted in this batch, as `ORDER_COLUMNS`."""
        return [
            (*_order_state(event), accepted_ns, *_order_terms(event.order))
            for event, accepted_ns in self.orders.values()
            if accepted_ns
        ]

    def changed_orders(self) -> list[Row]:
        """The orders that were there before, as `CHANGING_COLUMNS`."""
        return [_order_state(event) for event, accepted_ns in self.orders.values() if not accepted_ns]

    def add(self, entry: bytes, received_ns: int) -> None:
        """Takes in the event after `last_seq`.

        Raises:
            EventUnreadable: not an event, or one of another sequence.
        """
        seq = self.last_seq + 1
        try:
            event = events.Event.FromString(entry)
        except DecodeError as error:
            raise EventUnreadable(f"what the feed gave as event {seq} cannot be read") from error
        if event.seq != seq:
            raise EventUnreadable(f"what the feed gave as event {seq} says it is event {event.seq}")
        body = event.WhichOneof("body")
        hashed = leaf_hash(entry)
        self.leaf_hashes.append(hashed)
        envelope = (seq - 1, event.time_unix_ns, received_ns)
        if body == "order":
            self._add_order(event, envelope, hashed, entry)
        else:
            if body in _OTHERS:
                _OTHERS[body](self, event)
            event_type = _OTHER_EVENTS.get(body or "", "UNKNOWN")
            subject = _subject(getattr(event, body)) if body else (None, None, None)
            self.leaves.append((*envelope, None, event_type, *subject, indexed_text(event.actor), hashed, entry))

    def _add_order(self, event: events.Event, envelope: tuple[int, int, int], hashed: bytes, entry: bytes) -> None:
        order = event.order
        order_id, exec_type = order.order_id, order.exec_type
        event_type = _ORDER_EVENT.get(exec_type, f"ORDER_{exec_type}")
        who = (
            indexed_text(order.account),
            indexed_text(order.symbol),
            indexed_text(order.cl_ord_id),
            indexed_text(order.actor),
        )
        self.leaves.append((*envelope, order_id or None, event_type, *who, hashed, entry))
        # A refused request leaves its order as it was, and carries the request's key instead of the order's.
        if order_id and exec_type not in _STATELESS:
            if order_id == event.seq:
                self.orders[order_id] = (event, event.time_unix_ns)
            else:
                accepted_ns = self.orders[order_id][1] if order_id in self.orders else 0
                self.orders[order_id] = (event, accepted_ns)
        if exec_type == types.EXEC_TYPE_TRADE:
            self._add_fill(event, order)

    def _add_fill(self, event: events.Event, order: events.OrderEvent) -> None:
        px_ticks, qty_lots = order.last_px_ticks, order.last_qty_lots
        self.fills.append(
            (
                event.seq,
                order.trade_id,
                order.order_id,
                order.contra_order_id,
                event.time_unix_ns,
                px_ticks,
                qty_lots,
                order.account,
                order.symbol,
                indexed_text(order.cl_ord_id),
                _SIDE[order.side],
                _LIQUIDITY[order.liquidity],
                order.fee_micro,
            )
        )
        change = self._position(order.account, order.symbol)
        bought = order.side == types.SIDE_BUY
        change[BOUGHT if bought else SOLD] += qty_lots
        change[BOUGHT_VALUE if bought else SOLD_VALUE] += px_ticks * qty_lots
        change[FEES] += order.fee_micro

    def _position(self, account: str, symbol: str) -> list[int]:
        return self.positions.setdefault((account, symbol), [0] * 6)

    def _add_instrument(self, event: events.Event) -> None:
        terms: commands.ListInstrument = event.instrument_listed.instrument
        self.instruments.append(
            (
                terms.symbol,
                event.seq,
                _ASSET_CLASS[terms.asset_class],
                terms.currency,
                terms.base_currency or None,
                terms.tick_size_nano,
                terms.lot_size_nano,
                terms.multiplier or 1,
                terms.expiry_date or None,
                terms.strike_nano or None,
                terms.option_right or None,
                indexed_text(terms.description),
            )
        )

    def _end_listing(self, event: events.Event) -> None:
        self.delisted.append((event.instrument_delisted.symbol, event.seq))

    def _add_account(self, event: events.Event) -> None:
        self.accounts.append((event.account_opened.account, event.seq, event.time_unix_ns))

    def _add_cash(self, event: events.Event) -> None:
        cash = event.cash_adjusted
        key = (cash.account, cash.currency)
        self.cash[key] = self.cash.get(key, 0) + cash.amount_micro

    def _add_position(self, event: events.Event) -> None:
        adjusted = event.position_adjusted
        self._position(adjusted.account, adjusted.symbol)[ADJUSTED] += adjusted.qty_lots


_OTHERS: dict[str | None, Callable[[Rows, events.Event], None]] = {
    "instrument_listed": Rows._add_instrument,
    "instrument_delisted": Rows._end_listing,
    "account_opened": Rows._add_account,
    "cash_adjusted": Rows._add_cash,
    "position_adjusted": Rows._add_position,
}
"""Events that are more than a leaf."""
_INSIDE = ("change", "instrument", "kill_switch", "schedule", "session")
"""Fields in which an event repeats the command that it answers."""
_KEYS = ("cl_ord_id", "quote_id")
_SCOPES = {types.KILL_SWITCH_SCOPE_ACCOUNT: "account", types.KILL_SWITCH_SCOPE_SYMBOL: "symbol"}


def _subject(body: Any) -> Row:
    """Account, symbol and the client's key of an event that is not about an order, where it has them."""
    fields = body.DESCRIPTOR.fields_by_name
    for inside in _INSIDE:
        if inside in fields:
            return _subject(getattr(body, inside))
    found = {name: getattr(body, name) for name in ("account", "symbol", *_KEYS) if name in fields}
    if "scope" in fields:
        found[_SCOPES.get(body.scope, "")] = body.target
    key = next((found[name] for name in _KEYS if name in found), "")
    return tuple(indexed_text(text) for text in (found.get("account", ""), found.get("symbol", ""), key))


def _order_state(event: events.Event) -> Row:
    """What an event can change of an order, as `CHANGING_COLUMNS`."""
    order = event.order
    return (
        order.order_id,
        event.seq,
        event.time_unix_ns,
        order.qty_lots,
        order.price_ticks or None,
        order.cum_qty_lots,
        order.leaves_qty_lots,
        order.cum_value_ticks_lots,
        indexed_text(order.cl_ord_id),
        _ORD_STATUS[order.ord_status],
        _REASON[order.reason],
        order.stop_px_ticks or None,
        order.display_qty_lots or None,
    )


def _order_terms(order: events.OrderEvent) -> Row:
    """What stays the same in an order's life."""
    return (
        order.account,
        order.symbol,
        _SIDE[order.side],
        _ORD_TYPE[order.ord_type],
        _TIME_IN_FORCE[order.time_in_force],
        indexed_text(order.decision_maker),
        indexed_text(order.strategy_id),
        _SELF_TRADE_PREVENTION[order.self_trade_prevention],
        order.trail_offset or None,
        _TRAIL_UNIT[order.trail_unit],
        _TRIGGER_BY[order.trigger_by],
        order.min_qty_lots or None,
        order.expire_unix_ns or None,
        order.post_only,
        order.reduce_only,
        _CONTINGENCY_TYPE[order.contingency_type],
        indexed_text(order.list_id),
        order.leg or None,
    )

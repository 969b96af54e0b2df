"""Everything that the plain venue knows, and how it says what happened.

Nothing here is derived: no hold, no level, no sum is stored. `live` are the
open orders, by id. An event is a dictionary of what the contract's message says
beyond zero, with the name of its body as `kind`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c

BOUND = 2**62
KEYS_MAX = 100_000
Said = dict[str, Any]
"""An event: what it says beyond zero."""

_TERMS = (
    "account",
    "symbol",
    "side",
    "ord_type",
    "time_in_force",
    "self_trade_prevention",
    "decision_maker",
    "strategy_id",
    "trail_offset",
    "trail_unit",
    "trigger_by",
    "min_qty_lots",
    "expire_unix_ns",
    "post_only",
    "reduce_only",
    "contingency_type",
    "list_id",
    "leg",
    "client_unix_ns",
)
_NAMES: dict[str, tuple[str, ...]] = {}
_OPEN = (types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED, types.ORD_STATUS_PENDING_NEW)


class Place(Enum):
    """Where an order is."""

    PARKED = "waits for its parent"
    ARMED = "waits for its trigger"
    LINED = "waits for its turn"
    AT_WORK = "is matched"
    BOOK = "rests"
    GONE = "has ended"


def names_of(body: Any) -> tuple[str, ...]:
    """The contract's names of a command's fields, in its order; none for what is not a command or a part of one."""
    kind = type(body).__name__
    if kind not in _NAMES:
        message = wire.DESCRIPTOR.message_types_by_name.get(kind)
        _NAMES[kind] = tuple(field.name for field in message.fields) if message is not None else ()
    return _NAMES[kind]


def given(body: Any) -> Any:
    """What a command or a part of one says beyond zero; any other value is itself."""
    if isinstance(body, list):
        return [given(item) for item in body]
    told = {name: getattr(body, name) for name in names_of(body)}
    return {name: given(value) for name, value in told.items() if value} if told else body


def terms_of(body: c.NewOrder) -> Said:
    """What never changes in an order's life."""
    return {name: getattr(body, name) for name in _TERMS if getattr(body, name)}


@dataclass(eq=False)
class Order:
    """An order, open or not."""

    order_id: int
    body: c.NewOrder
    cl_ord_id: str
    session_id: str
    accepted: int
    client: "Client | None" = None
    is_quote: bool = False
    place: Place = Place.AT_WORK
    status: int = types.ORD_STATUS_NEW
    qty: int = 0
    price: int = 0
    stop_px: int = 0
    display: int = 0
    shown: int = 0
    cum: int = 0
    value: int = 0
    arrival: int = 0
    hold: tuple[str, int] = ("", 0)
    is_fired: bool = False
    was_triggered: bool = False
    keys: list[str] = field(default_factory=list)
    last: Said = field(default_factory=dict)

    def __post_init__(self) -> None:
        body = self.body
        self.qty, self.price = body.qty_lots, body.price_ticks
        self.stop_px, self.display = body.stop_px_ticks, body.display_qty_lots
        self.account, self.symbol = body.account, body.symbol
        self.buys = body.side == types.SIDE_BUY
        self.is_short = body.side == types.SIDE_SELL_SHORT
        self.terms = terms_of(body)

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    @property
    def in_book(self) -> bool:
        return self.place is Place.BOOK

    @property
    def leaves(self) -> int:
        return self.qty - self.cum if self.is_open else 0

    @property
    def is_limit(self) -> bool:
        return self.body.ord_type in (types.ORD_TYPE_LIMIT, types.ORD_TYPE_STOP_LIMIT)

    @property
    def is_stop(self) -> bool:
        return self.body.ord_type in (types.ORD_TYPE_STOP, types.ORD_TYPE_STOP_LIMIT, types.ORD_TYPE_TRAILING_STOP)


@dataclass
class Holding:
    """Lots of one instrument, what they cost (signed like them), and what has been earned with them."""

    lots: int = 0
    cost: int = 0
    pnl: int = 0


@dataclass
class Known:
    """What became of a request."""

    number: int
    body: Any
    said: Said
    order: Order | None = None


@dataclass
class Account:
    """What one account owns, may do, and has asked for."""

    name: str
    opened: Said
    seq: int = 0
    cash: dict[str, int] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    at_close: dict[str, int] = field(default_factory=dict)
    keys: dict[str, Known] = field(default_factory=dict)
    keyed: int = 0
    short_sale_permitted: bool = False
    short_margin_bps: int = 15_000
    self_trade_group: str = ""
    fee_schedule: str = ""
    requests: dict[int, int] = field(default_factory=dict)
    entered: list[tuple[int, tuple[Any, ...]]] = field(default_factory=list)
    fills: dict[tuple[str, bool], list[int]] = field(default_factory=dict)
    latched: dict[str, tuple[int, int]] = field(default_factory=dict)

    def holding(self, symbol: str) -> Holding:
        """What it has of an instrument, to be changed."""
        return self.holdings.setdefault(symbol, Holding())

    def lots(self, symbol: str) -> int:
        """Its position."""
        return self.holdings[symbol].lots if symbol in self.holdings else 0


@dataclass
class Listing:
    """An instrument: its terms, its session and its prices."""

    terms: c.ListInstrument
    worth: int
    said: Said
    session: int
    collar_bps: int = 1_000
    band_bps: int = 0
    reference: int = 0
    reference_time: int = 0
    band_center: int = 0
    last: int = 0
    is_delisted: bool = False

    @property
    def is_fx(self) -> bool:
        return self.terms.asset_class == types.ASSET_CLASS_FX

    @property
    def base_lot(self) -> int:
        """Units of 10^-6 of the base currency in a lot of a pair."""
        return self.terms.lot_size_nano * self.terms.multiplier // 1_000

    @property
    def mark(self) -> int:
        return self.reference or self.last

    @property
    def is_continuous(self) -> bool:
        return self.session == types.TRADING_SESSION_CONTINUOUS


@dataclass
class Client:
    """A client's session."""

    terms: c.OpenSession
    deadline: int = 0


@dataclass
class Venue:
    """The whole state, and the events of the command at hand."""

    keys_max: int = KEYS_MAX
    seq: int = 0
    arrivals: int = 0
    now: int = 0
    command: c.Command = field(default_factory=lambda: c.Command(c.TimeTick()))
    command_seq: int = 0
    events: list[Said] = field(default_factory=list)
    listings: dict[str, Listing] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    schedules: dict[str, c.SetFeeSchedule] = field(default_factory=dict)
    pot: dict[str, int] = field(default_factory=dict)
    deposits: dict[str, int] = field(default_factory=dict)
    booked: dict[str, int] = field(default_factory=dict)
    limits: dict[tuple[str, str], Said] = field(default_factory=dict)
    limits_version: int = 0
    switches: list[tuple[int, str]] = field(default_factory=list)
    clients: dict[str, Client] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    live: list[Order] = field(default_factory=list)
    lists: dict[tuple[str, str], dict[int, Order]] = field(default_factory=dict)
    line: list[Order] = field(default_factory=list)
    latches: list[Said] = field(default_factory=list)
    requests: dict[tuple[str, str], Known] = field(default_factory=dict)
    requested: int = 0
    closed_day: int = 0

    def say(self, kind: str, body: Mapping[str, Any]) -> Said:
        """Writes an event."""
        self.seq += 1
        said = {"kind": kind, "seq": self.seq, "command_seq": self.command_seq, "time_unix_ns": self.now}
        said |= {name: value for name, value in body.items() if value}
        self.events.append(said)
        return said

    def record(self, kind: str, **body: Any) -> Said:
        """Writes an event that is about no order: it tells who asked."""
        return self.say(kind, body | {"actor": self.command.actor})

    def asked(self, request: int) -> Said:
        """Who asked, when and by what session; only what answers a request tells it."""
        if not request:
            return {}
        command = self.command
        told: Said = {"request": request, "actor": command.actor, "received_unix_ns": command.received_unix_ns}
        return told | {"session_id": command.session_id}

    def tell(self, order: Order, exec_type: int, cause: int, request: int = 0, **more: Any) -> Said:
        """Writes an event of an order, with its present state."""
        account = self.accounts[order.account]
        account.seq += 1
        more = {name: value for name, value in more.items() if value}
        state = {
            "account_seq": account.seq,
            "cl_ord_id": order.cl_ord_id,
            "order_id": order.order_id,
            "exec_type": exec_type,
            "ord_status": order.status,
            "cause": cause,
            "qty_lots": order.qty,
            "price_ticks": order.price,
            "stop_px_ticks": order.stop_px,
            "display_qty_lots": order.display,
            "shown_qty_lots": shown(order),
            "cum_qty_lots": order.cum,
            "leaves_qty_lots": order.leaves,
            "cum_value_ticks_lots": order.value,
        }
        said = self.say("order", order.terms | state | self.asked(request) | more)
        if exec_type not in (types.EXEC_TYPE_REJECTED, types.EXEC_TYPE_DENIED):
            order.last = said
        return said


def shown(order: Order) -> int:
    """What the book shows of an iceberg."""
    return order.shown if order.in_book else 0

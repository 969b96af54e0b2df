"""Events: what the core says has happened, as immutable values.

`seq` is dense over all events, from 1; the events of one command follow each
other, and `command_seq` is the first one's.
"""

import msgspec

from matching.core.commands import ListInstrument
from matching.core.words import Cause, ExecType, Liquidity, OrdStatus, Reason, RequestKind


class OrderTerms(msgspec.Struct, frozen=True, gc=False):
    """What never changes in the life of an order; shared by all its events."""

    account: str
    symbol: str = ""
    side: int = 0
    ord_type: int = 0
    time_in_force: int = 0
    self_trade_prevention: int = 0
    decision_maker: str = ""
    strategy_id: str = ""


class RiskNumbers(msgspec.Struct, frozen=True, gc=False):
    """The numbers of a denial: refused because `projected` is above `limit`."""

    rule: str
    unit: int
    limit: int
    current: int
    projected: int
    limits_version: int = 0


class OrderEvent(msgspec.Struct, frozen=True, gc=False):
    """One event in the life of an order, with the order's state after it."""

    seq: int
    command_seq: int
    time_unix_ns: int
    terms: OrderTerms
    account_seq: int
    cl_ord_id: str
    exec_type: ExecType
    ord_status: OrdStatus
    cause: Cause
    request: RequestKind
    order_id: int = 0
    qty_lots: int = 0
    price_ticks: int = 0
    cum_qty_lots: int = 0
    leaves_qty_lots: int = 0
    cum_value_ticks_lots: int = 0
    received_unix_ns: int = 0
    actor: str = ""
    orig_cl_ord_id: str = ""
    reason: Reason = Reason.NONE
    field: str = ""
    risk: RiskNumbers | None = None
    trade_id: int = 0
    last_px_ticks: int = 0
    last_qty_lots: int = 0
    liquidity: Liquidity = Liquidity.NONE
    contra_order_id: int = 0


class InstrumentListed(msgspec.Struct, frozen=True, gc=False):
    """An instrument was listed."""

    seq: int
    command_seq: int
    time_unix_ns: int
    instrument: ListInstrument
    actor: str = ""


class AccountOpened(msgspec.Struct, frozen=True, gc=False):
    """An account was opened."""

    seq: int
    command_seq: int
    time_unix_ns: int
    account: str
    actor: str = ""


class CashAdjusted(msgspec.Struct, frozen=True, gc=False):
    """Cash was deposited or withdrawn; amounts in units of 10^-6."""

    seq: int
    command_seq: int
    time_unix_ns: int
    account: str
    currency: str
    amount_micro: int
    cash_micro: int
    request_id: str
    actor: str = ""


class PositionAdjusted(msgspec.Struct, frozen=True, gc=False):
    """Lots were booked in or out."""

    seq: int
    command_seq: int
    time_unix_ns: int
    account: str
    symbol: str
    qty_lots: int
    price_ticks: int
    position_lots: int
    request_id: str
    actor: str = ""


class DayClosed(msgspec.Struct, frozen=True, gc=False):
    """A trading day was closed; the expiries came before it."""

    seq: int
    command_seq: int
    time_unix_ns: int
    trading_day: int
    expired_orders: int
    actor: str = ""


class CommandRefused(msgspec.Struct, frozen=True, gc=False):
    """A command other than an order was refused."""

    seq: int
    command_seq: int
    time_unix_ns: int
    reason: Reason
    account: str = ""
    field: str = ""
    request_id: str = ""
    actor: str = ""


Event = OrderEvent | InstrumentListed | AccountOpened | CashAdjusted | PositionAdjusted | DayClosed | CommandRefused


class Replay(msgspec.Struct, frozen=True, gc=False):
    """The answer to a repeated request: its original first event. Nothing changed, nothing is journaled."""

    original: Event

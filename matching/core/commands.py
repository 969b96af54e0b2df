"""Commands: every change of the venue's state, as values that nobody changes.

Prices are ticks, quantities lots, money 10^-6 of its currency. `0` and `""`
stand for "not given", as in the contracts. Those that come for every order have
a constructor written out: compiled, it costs a tenth of a generated one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mypy_extensions import mypyc_attr

from matching.core.words import OrdType, SelfTradePrevention, Side, TimeInForce


@mypyc_attr(acyclic=True)
class NewOrder:
    """Places an order, FIX 35=D. An order's events refer to it for what never changes."""

    def __init__(
        self,
        account: str,
        cl_ord_id: str = "",
        symbol: str = "",
        side: int = Side.BUY,
        ord_type: int = OrdType.LIMIT,
        time_in_force: int = TimeInForce.DAY,
        qty_lots: int = 0,
        price_ticks: int = 0,
        self_trade_prevention: int = SelfTradePrevention.CANCEL_NEWEST,
        decision_maker: str = "",
        strategy_id: str = "",
        stop_px_ticks: int = 0,
        trail_offset: int = 0,
        trail_unit: int = 0,
        trigger_by: int = 0,
        display_qty_lots: int = 0,
        min_qty_lots: int = 0,
        expire_unix_ns: int = 0,
        post_only: bool = False,
        reduce_only: bool = False,
        contingency_type: int = 0,
        list_id: str = "",
        leg: int = 0,
        client_unix_ns: int = 0,
    ) -> None:
        self.account = account
        self.cl_ord_id = cl_ord_id
        self.symbol = symbol
        self.side = side
        self.ord_type = ord_type
        self.time_in_force = time_in_force
        self.qty_lots = qty_lots
        self.price_ticks = price_ticks
        self.self_trade_prevention = self_trade_prevention
        self.decision_maker = decision_maker
        self.strategy_id = strategy_id
        self.stop_px_ticks = stop_px_ticks
        self.trail_offset = trail_offset
        self.trail_unit = trail_unit
        self.trigger_by = trigger_by
        self.display_qty_lots = display_qty_lots
        self.min_qty_lots = min_qty_lots
        self.expire_unix_ns = expire_unix_ns
        self.post_only = post_only
        self.reduce_only = reduce_only
        self.contingency_type = contingency_type
        self.list_id = list_id
        self.leg = leg
        self.client_unix_ns = client_unix_ns
        self.is_plain = not (
            stop_px_ticks
            or trail_offset
            or trail_unit
            or trigger_by
            or display_qty_lots
            or min_qty_lots
            or expire_unix_ns
            or post_only
            or reduce_only
            or contingency_type
            or list_id
            or leg
            or client_unix_ns
        )
        """Whether it has nothing beyond side, type, time in force, quantity and price."""


@mypyc_attr(acyclic=True)
class ReplaceOrder:
    """Changes an open order, FIX 35=G; new values in units of 10^-9, 0 to keep."""

    def __init__(
        self,
        account: str,
        cl_ord_id: str,
        order_id: int = 0,
        orig_cl_ord_id: str = "",
        qty_nano: int = 0,
        price_nano: int = 0,
        stop_px_nano: int = 0,
        display_qty_nano: int = 0,
    ) -> None:
        self.account = account
        self.cl_ord_id = cl_ord_id
        self.order_id = order_id
        self.orig_cl_ord_id = orig_cl_ord_id
        self.qty_nano = qty_nano
        self.price_nano = price_nano
        self.stop_px_nano = stop_px_nano
        self.display_qty_nano = display_qty_nano


@mypyc_attr(acyclic=True)
class CancelOrder:
    """Cancels an open order, FIX 35=F."""

    def __init__(self, account: str, cl_ord_id: str = "", order_id: int = 0, orig_cl_ord_id: str = "") -> None:
        self.account = account
        self.cl_ord_id = cl_ord_id
        self.order_id = order_id
        self.orig_cl_ord_id = orig_cl_ord_id


@dataclass
class MassCancel:
    """Cancels many open orders of an account, FIX 35=q; all given filters must match."""

    account: str
    cl_ord_id: str = ""
    symbol: str = ""
    side: int = 0
    session_id: str = ""


@dataclass
class QuoteEntry:
    """A two-sided quote of one instrument; a side without a price is withdrawn."""

    symbol: str
    bid_px_ticks: int = 0
    bid_qty_lots: int = 0
    ask_px_ticks: int = 0
    ask_qty_lots: int = 0


@dataclass
class MassQuote:
    """Replaces an account's standing quotes, FIX 35=i."""

    account: str
    quote_id: str
    entries: list[QuoteEntry]


@dataclass
class NewOrderList:
    """Places several orders one after the other, FIX 35=E."""

    account: str
    orders: list[NewOrder]


@dataclass
class ListInstrument:
    """Lists an instrument, with sizes in units of 10^-9."""

    symbol: str
    asset_class: int
    currency: str
    tick_size_nano: int
    lot_size_nano: int
    multiplier: int = 1
    description: str = ""
    base_currency: str = ""
    expiry_date: int = 0
    strike_nano: int = 0
    option_right: str = ""
    trading_session: int = 0


@dataclass
class OpenAccount:
    """Opens an account."""

    account: str


@dataclass
class AdjustCash:
    """Deposits cash, or withdraws it when the amount is negative."""

    account: str
    currency: str
    amount_micro: int
    request_id: str


@dataclass
class AdjustPosition:
    """Books lots in, or out when negative, without a trade."""

    account: str
    symbol: str
    qty_lots: int
    price_ticks: int
    request_id: str


@dataclass
class CloseDay:
    """Closes a trading day, as YYYYMMDD: DAY orders expire."""

    trading_day: int


@dataclass
class OpenSession:
    """A client's session begins."""

    session_id: str
    gateway_id: str = ""
    cancel_on_disconnect: bool = False
    dead_man_ns: int = 0


@dataclass
class RenewSession:
    """A client renews its dead-man timer."""

    session_id: str


@dataclass
class CloseSession:
    """Ends a session, or with `gateway_id` alone every session of that gateway."""

    session_id: str = ""
    gateway_id: str = ""


@dataclass
class ConfigureAccount:
    """Changes the fields of an account that the mask names."""

    account: str
    request_id: str
    update_mask: list[str] = field(default_factory=list)
    short_sale_permitted: bool = False
    short_margin_bps: int = 0
    self_trade_group: str = ""
    fee_schedule: str = ""


@dataclass
class ConfigureInstrument:
    """Changes the fields of an instrument that the mask names."""

    symbol: str
    request_id: str
    update_mask: list[str] = field(default_factory=list)
    market_collar_bps: int = 0
    price_band_bps: int = 0


@dataclass
class DelistInstrument:
    """Ends a listing for good."""

    symbol: str
    request_id: str


@dataclass
class SetFeeSchedule:
    """Defines or changes a fee schedule; rates in 10^-6 of the value."""

    fee_schedule: str
    request_id: str
    maker_ppm: int = 0
    taker_ppm: int = 0
    lot_micro: int = 0


@dataclass
class Limits:
    """Risk limits; 0 is no limit. Money in 10^-6, times in ns."""

    order_qty_lots: int = 0
    order_notional_micro: int = 0
    price_collar_bps: int = 0
    reference_age_ns: int = 0
    message_rate: int = 0
    duplicate_window_ns: int = 0
    repeated_executions: int = 0
    repeated_window_ns: int = 0
    daily_loss_micro: int = 0
    open_notional_micro: int = 0
    position_lots: int = 0
    gross_position_micro: int = 0
    basket_notional_micro: int = 0
    restricted: bool = False


@dataclass
class SetLimits:
    """Changes the limits of a scope that the mask names."""

    account: str
    symbol: str
    request_id: str
    update_mask: list[str]
    limits: Limits


@dataclass
class EngageKillSwitch:
    """Stops new orders in a scope and cancels those that are open."""

    scope: int
    target: str
    request_id: str
    text: str = ""


@dataclass
class ReleaseKillSwitch:
    """Allows new orders in a scope again; takes two people."""

    scope: int
    target: str
    request_id: str
    approver: str = ""


@dataclass
class ReleaseThrottle:
    """Ends the throttle of repeated executions."""

    account: str
    symbol: str
    request_id: str


@dataclass
class SetTradingSession:
    """Changes an instrument's trading session."""

    symbol: str
    trading_session: int


@dataclass
class SetReferencePrice:
    """The reference (mark) price of an instrument."""

    symbol: str
    price_ticks: int


@dataclass
class TimeTick:
    """Time has come to an expiry or a timer."""


Body = (
    NewOrder
    | ReplaceOrder
    | CancelOrder
    | MassCancel
    | MassQuote
    | NewOrderList
    | ListInstrument
    | OpenAccount
    | AdjustCash
    | AdjustPosition
    | CloseDay
    | OpenSession
    | RenewSession
    | CloseSession
    | ConfigureAccount
    | ConfigureInstrument
    | DelistInstrument
    | SetFeeSchedule
    | SetLimits
    | EngageKillSwitch
    | ReleaseKillSwitch
    | ReleaseThrottle
    | SetTradingSession
    | SetReferencePrice
    | TimeTick
)


@mypyc_attr(acyclic=True)
class Command:
    """A command and where it came from."""

    def __init__(
        self,
        body: Body,
        actor: str = "system",
        received_unix_ns: int = 0,
        session_id: str = "",
        gateway_id: str = "",
    ) -> None:
        self.body = body
        self.actor = actor
        self.received_unix_ns = received_unix_ns
        self.session_id = session_id
        self.gateway_id = gateway_id

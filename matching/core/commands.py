"""Commands: every change of the venue's state, as immutable values.

Prices are ticks, quantities lots, money 10^-6 of its currency. `0` and `""`
stand for "not given", as in the contracts.
"""

import msgspec

from matching.core.words import OrdType, SelfTradePrevention, Side, TimeInForce


class NewOrder(msgspec.Struct, frozen=True, gc=False):
    """Places an order, FIX 35=D."""

    account: str
    cl_ord_id: str
    symbol: str
    side: int = Side.BUY
    ord_type: int = OrdType.LIMIT
    time_in_force: int = TimeInForce.DAY
    qty_lots: int = 0
    price_ticks: int = 0
    self_trade_prevention: int = SelfTradePrevention.CANCEL_NEWEST
    decision_maker: str = ""
    strategy_id: str = ""


class ReplaceOrder(msgspec.Struct, frozen=True, gc=False):
    """Changes quantity or price, in units of 10^-9, of an open order, FIX 35=G."""

    account: str
    cl_ord_id: str
    order_id: int = 0
    orig_cl_ord_id: str = ""
    qty_nano: int = 0
    price_nano: int = 0


class CancelOrder(msgspec.Struct, frozen=True, gc=False):
    """Cancels an open order, FIX 35=F."""

    account: str
    cl_ord_id: str = ""
    order_id: int = 0
    orig_cl_ord_id: str = ""


class ListInstrument(msgspec.Struct, frozen=True, gc=False):
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


class OpenAccount(msgspec.Struct, frozen=True, gc=False):
    """Opens an account."""

    account: str


class AdjustCash(msgspec.Struct, frozen=True, gc=False):
    """Deposits cash, or withdraws it when the amount is negative."""

    account: str
    currency: str
    amount_micro: int
    request_id: str


class AdjustPosition(msgspec.Struct, frozen=True, gc=False):
    """Books lots in, or out when negative, without a trade."""

    account: str
    symbol: str
    qty_lots: int
    price_ticks: int
    request_id: str


class CloseDay(msgspec.Struct, frozen=True, gc=False):
    """Closes a trading day, as YYYYMMDD: DAY orders expire."""

    trading_day: int


Body = NewOrder | ReplaceOrder | CancelOrder | ListInstrument | OpenAccount | AdjustCash | AdjustPosition | CloseDay


class Command(msgspec.Struct, frozen=True, gc=False):
    """A command and where it came from."""

    body: Body
    actor: str = "system"
    received_unix_ns: int = 0

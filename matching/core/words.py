"""The words of the core. Their numbers are those of `ordergate.types.v1`; a test holds them equal."""

from enum import IntEnum


class Side(IntEnum):
    """FIX tag 54."""

    BUY = 1
    SELL = 2
    SELL_SHORT = 5


class OrdType(IntEnum):
    """FIX tag 40; those that this version serves."""

    MARKET = 1
    LIMIT = 2


class TimeInForce(IntEnum):
    """FIX tag 59; those that this version serves."""

    DAY = 1
    GTC = 2
    IOC = 3


class SelfTradePrevention(IntEnum):
    """What ends when an order meets its own account; those that this version serves."""

    CANCEL_NEWEST = 1


class OrdStatus(IntEnum):
    """FIX tag 39."""

    NONE = 0
    NEW = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELED = 4
    EXPIRED = 5
    REJECTED = 6


class ExecType(IntEnum):
    """FIX tag 150."""

    NEW = 1
    TRADE = 2
    CANCELED = 3
    REPLACED = 4
    EXPIRED = 5
    DENIED = 7
    REJECTED = 8


class RequestKind(IntEnum):
    """The request that an event answers."""

    NONE = 0
    SUBMIT = 1
    REPLACE = 2
    CANCEL = 3


class Cause(IntEnum):
    """Who caused an event."""

    CLIENT = 1
    SYSTEM = 2
    SELF_TRADE_PREVENTION = 5
    TRADE = 7


class Liquidity(IntEnum):
    """FIX tag 851."""

    NONE = 0
    MAKER = 1
    TAKER = 2


class RiskUnit(IntEnum):
    """What the numbers of a denial count."""

    LOTS = 1
    TICKS = 2
    MONEY_MICRO = 3
    COUNT = 4


class Reason(IntEnum):
    """Why something was refused or ended; the codes of `ordergate.types.v1.Reason` that the core gives."""

    NONE = 0
    FIELD_MISSING = 200
    FIELD_INVALID = 201
    NOT_POSITIVE = 203
    PRICE_OFF_TICK = 204
    QTY_OFF_LOT = 205
    VALUE_TOO_LARGE = 206
    NOT_SUPPORTED = 208
    SYMBOL_UNKNOWN = 209
    FIELDS_CONFLICT = 211
    BUYING_POWER = 400
    POSITION_INSUFFICIENT = 401
    SHORT_SALE_NOT_PERMITTED = 402
    ACCOUNT_UNKNOWN = 414
    CL_ORD_ID_CONFLICT = 500
    ORDER_UNKNOWN = 501
    ORDER_NOT_OPEN = 502
    NO_LIQUIDITY = 503
    SELF_TRADE = 504
    QTY_BELOW_CUM = 508
    EXPIRED = 509
    ALREADY_EXISTS = 511
    NOTHING_TO_REPLACE = 512

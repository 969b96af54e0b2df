"""The words of the core: plain numbers, those of `ordergate.types.v1`; a test holds them equal.

Not enums, because a compiled constant costs nothing and an enum member is looked up.
"""

from typing import Final


class Side:
    """FIX tag 54."""

    BUY: Final = 1
    SELL: Final = 2
    SELL_SHORT: Final = 5


class OrdType:
    """FIX tag 40."""

    MARKET: Final = 1
    LIMIT: Final = 2
    STOP: Final = 3
    STOP_LIMIT: Final = 4
    TRAILING_STOP: Final = 5


class TimeInForce:
    """FIX tag 59."""

    DAY: Final = 1
    GTC: Final = 2
    IOC: Final = 3
    FOK: Final = 4
    GTD: Final = 6


class SelfTradePrevention:
    """What ends when an order meets one of its own account or group."""

    CANCEL_NEWEST: Final = 1
    CANCEL_OLDEST: Final = 2
    CANCEL_BOTH: Final = 3
    DECREMENT: Final = 4


class TriggerBy:
    """What a trigger watches, FIX tag 1107."""

    NONE: Final = 0
    LAST: Final = 1
    BID_ASK: Final = 2
    MARK: Final = 3


class TrailUnit:
    """What a trail counts, FIX tag 836."""

    NONE: Final = 0
    PRICE: Final = 1
    BPS: Final = 2


class ContingencyType:
    """How the orders of a list depend on each other, FIX tag 1385."""

    NONE: Final = 0
    OCO: Final = 1
    OTO: Final = 2
    OTOCO: Final = 3


class TradingSession:
    """Phase of an instrument's day, FIX tag 336."""

    NONE: Final = 0
    CLOSED: Final = 1
    PRE_OPEN: Final = 2
    OPENING_AUCTION: Final = 3
    CONTINUOUS: Final = 4
    HALTED: Final = 5
    CLOSING_AUCTION: Final = 6


class KillSwitchScope:
    """What a kill switch stops."""

    FIRM: Final = 1
    ACCOUNT: Final = 2
    SYMBOL: Final = 3
    SESSION: Final = 4


class AssetClass:
    """Kind of instrument, FIX tag 167."""

    EQUITY: Final = 1
    OPTION: Final = 2
    FX: Final = 3
    CRYPTO: Final = 4


class OrdStatus:
    """FIX tag 39."""

    NONE: Final = 0
    NEW: Final = 1
    PARTIALLY_FILLED: Final = 2
    FILLED: Final = 3
    CANCELED: Final = 4
    EXPIRED: Final = 5
    REJECTED: Final = 6
    PENDING_NEW: Final = 7


class ExecType:
    """FIX tag 150."""

    NEW: Final = 1
    TRADE: Final = 2
    CANCELED: Final = 3
    REPLACED: Final = 4
    EXPIRED: Final = 5
    TRIGGERED: Final = 6
    DENIED: Final = 7
    REJECTED: Final = 8
    RESTATED: Final = 9


class RequestKind:
    """The request that an event answers."""

    NONE: Final = 0
    SUBMIT: Final = 1
    REPLACE: Final = 2
    CANCEL: Final = 3
    MASS_CANCEL: Final = 4
    QUOTE: Final = 5


class Cause:
    """Who caused an event."""

    CLIENT: Final = 1
    SYSTEM: Final = 2
    OPERATOR: Final = 3
    DISCONNECT: Final = 4
    SELF_TRADE_PREVENTION: Final = 5
    KILL_SWITCH: Final = 6
    TRADE: Final = 7


class Liquidity:
    """FIX tag 851."""

    NONE: Final = 0
    MAKER: Final = 1
    TAKER: Final = 2
    AUCTION: Final = 3


class RiskUnit:
    """What the numbers of a denial count."""

    LOTS: Final = 1
    TICKS: Final = 2
    MONEY_MICRO: Final = 3
    COUNT: Final = 4


class Reason:
    """Why something was refused or ended; the codes of `ordergate.types.v1.Reason` that the core gives."""

    NONE: Final = 0
    FIELD_MISSING: Final = 200
    FIELD_INVALID: Final = 201
    NOT_POSITIVE: Final = 203
    PRICE_OFF_TICK: Final = 204
    QTY_OFF_LOT: Final = 205
    VALUE_TOO_LARGE: Final = 206
    ENUM_UNKNOWN: Final = 207
    NOT_SUPPORTED: Final = 208
    SYMBOL_UNKNOWN: Final = 209
    FIELDS_CONFLICT: Final = 211
    BUYING_POWER: Final = 400
    POSITION_INSUFFICIENT: Final = 401
    SHORT_SALE_NOT_PERMITTED: Final = 402
    ORDER_QTY_LIMIT: Final = 403
    ORDER_NOTIONAL_LIMIT: Final = 404
    PRICE_COLLAR: Final = 405
    POSITION_LIMIT: Final = 406
    OPEN_NOTIONAL_LIMIT: Final = 407
    DAILY_LOSS_LIMIT: Final = 408
    MESSAGE_RATE_LIMIT: Final = 409
    DUPLICATE_ORDER: Final = 410
    REPEATED_EXECUTION: Final = 411
    RESTRICTED_INSTRUMENT: Final = 412
    KILL_SWITCH: Final = 413
    ACCOUNT_UNKNOWN: Final = 414
    REFERENCE_STALE: Final = 415
    CL_ORD_ID_CONFLICT: Final = 500
    ORDER_UNKNOWN: Final = 501
    ORDER_NOT_OPEN: Final = 502
    NO_LIQUIDITY: Final = 503
    SELF_TRADE: Final = 504
    WOULD_TAKE: Final = 505
    HALTED: Final = 506
    SESSION_CLOSED: Final = 507
    QTY_BELOW_CUM: Final = 508
    EXPIRED: Final = 509
    NOT_FILLABLE: Final = 510
    ALREADY_EXISTS: Final = 511
    NOTHING_TO_REPLACE: Final = 512
    DELISTED: Final = 513
    CONTINGENCY: Final = 514
    PRICE_BAND: Final = 515

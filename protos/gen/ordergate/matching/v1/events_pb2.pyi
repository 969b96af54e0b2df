from ordergate.matching.v1 import commands_pb2 as _commands_pb2
from ordergate.types.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RiskUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RISK_UNIT_UNSPECIFIED: _ClassVar[RiskUnit]
    RISK_UNIT_LOTS: _ClassVar[RiskUnit]
    RISK_UNIT_TICKS: _ClassVar[RiskUnit]
    RISK_UNIT_MONEY_MICRO: _ClassVar[RiskUnit]
    RISK_UNIT_COUNT: _ClassVar[RiskUnit]
RISK_UNIT_UNSPECIFIED: RiskUnit
RISK_UNIT_LOTS: RiskUnit
RISK_UNIT_TICKS: RiskUnit
RISK_UNIT_MONEY_MICRO: RiskUnit
RISK_UNIT_COUNT: RiskUnit

class Event(_message.Message):
    __slots__ = ("seq", "command_seq", "last_of_command", "time_unix_ns", "order", "instrument_listed", "account_opened", "cash_adjusted", "position_adjusted", "day_closed", "command_refused")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    COMMAND_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_OF_COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENT_LISTED_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_OPENED_FIELD_NUMBER: _ClassVar[int]
    CASH_ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    POSITION_ADJUSTED_FIELD_NUMBER: _ClassVar[int]
    DAY_CLOSED_FIELD_NUMBER: _ClassVar[int]
    COMMAND_REFUSED_FIELD_NUMBER: _ClassVar[int]
    seq: int
    command_seq: int
    last_of_command: bool
    time_unix_ns: int
    order: OrderEvent
    instrument_listed: InstrumentListed
    account_opened: AccountOpened
    cash_adjusted: CashAdjusted
    position_adjusted: PositionAdjusted
    day_closed: DayClosed
    command_refused: CommandRefused
    def __init__(self, seq: _Optional[int] = ..., command_seq: _Optional[int] = ..., last_of_command: bool = ..., time_unix_ns: _Optional[int] = ..., order: _Optional[_Union[OrderEvent, _Mapping]] = ..., instrument_listed: _Optional[_Union[InstrumentListed, _Mapping]] = ..., account_opened: _Optional[_Union[AccountOpened, _Mapping]] = ..., cash_adjusted: _Optional[_Union[CashAdjusted, _Mapping]] = ..., position_adjusted: _Optional[_Union[PositionAdjusted, _Mapping]] = ..., day_closed: _Optional[_Union[DayClosed, _Mapping]] = ..., command_refused: _Optional[_Union[CommandRefused, _Mapping]] = ...) -> None: ...

class OrderEvent(_message.Message):
    __slots__ = ("account", "account_seq", "cl_ord_id", "orig_cl_ord_id", "order_id", "exec_type", "ord_status", "reason", "cause", "request", "symbol", "side", "ord_type", "time_in_force", "qty_lots", "price_ticks", "cum_qty_lots", "leaves_qty_lots", "cum_value_ticks_lots", "trade_id", "last_px_ticks", "last_qty_lots", "liquidity", "contra_order_id", "received_unix_ns", "risk", "field", "actor", "decision_maker", "strategy_id", "self_trade_prevention")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQ_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    EXEC_TYPE_FIELD_NUMBER: _ClassVar[int]
    ORD_STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    CUM_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LEAVES_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    CUM_VALUE_TICKS_LOTS_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_PX_TICKS_FIELD_NUMBER: _ClassVar[int]
    LAST_QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    CONTRA_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    account: str
    account_seq: int
    cl_ord_id: str
    orig_cl_ord_id: str
    order_id: int
    exec_type: _types_pb2.ExecType
    ord_status: _types_pb2.OrdStatus
    reason: _types_pb2.Reason
    cause: _types_pb2.Cause
    request: _types_pb2.RequestKind
    symbol: str
    side: _types_pb2.Side
    ord_type: _types_pb2.OrdType
    time_in_force: _types_pb2.TimeInForce
    qty_lots: int
    price_ticks: int
    cum_qty_lots: int
    leaves_qty_lots: int
    cum_value_ticks_lots: int
    trade_id: int
    last_px_ticks: int
    last_qty_lots: int
    liquidity: _types_pb2.Liquidity
    contra_order_id: int
    received_unix_ns: int
    risk: RiskNumbers
    field: str
    actor: str
    decision_maker: str
    strategy_id: str
    self_trade_prevention: _types_pb2.SelfTradePrevention
    def __init__(self, account: _Optional[str] = ..., account_seq: _Optional[int] = ..., cl_ord_id: _Optional[str] = ..., orig_cl_ord_id: _Optional[str] = ..., order_id: _Optional[int] = ..., exec_type: _Optional[_Union[_types_pb2.ExecType, str]] = ..., ord_status: _Optional[_Union[_types_pb2.OrdStatus, str]] = ..., reason: _Optional[_Union[_types_pb2.Reason, str]] = ..., cause: _Optional[_Union[_types_pb2.Cause, str]] = ..., request: _Optional[_Union[_types_pb2.RequestKind, str]] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., ord_type: _Optional[_Union[_types_pb2.OrdType, str]] = ..., time_in_force: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., qty_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ..., cum_qty_lots: _Optional[int] = ..., leaves_qty_lots: _Optional[int] = ..., cum_value_ticks_lots: _Optional[int] = ..., trade_id: _Optional[int] = ..., last_px_ticks: _Optional[int] = ..., last_qty_lots: _Optional[int] = ..., liquidity: _Optional[_Union[_types_pb2.Liquidity, str]] = ..., contra_order_id: _Optional[int] = ..., received_unix_ns: _Optional[int] = ..., risk: _Optional[_Union[RiskNumbers, _Mapping]] = ..., field: _Optional[str] = ..., actor: _Optional[str] = ..., decision_maker: _Optional[str] = ..., strategy_id: _Optional[str] = ..., self_trade_prevention: _Optional[_Union[_types_pb2.SelfTradePrevention, str]] = ...) -> None: ...

class RiskNumbers(_message.Message):
    __slots__ = ("rule", "unit", "limit", "current", "projected", "limits_version")
    RULE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    PROJECTED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_VERSION_FIELD_NUMBER: _ClassVar[int]
    rule: str
    unit: RiskUnit
    limit: int
    current: int
    projected: int
    limits_version: int
    def __init__(self, rule: _Optional[str] = ..., unit: _Optional[_Union[RiskUnit, str]] = ..., limit: _Optional[int] = ..., current: _Optional[int] = ..., projected: _Optional[int] = ..., limits_version: _Optional[int] = ...) -> None: ...

class InstrumentListed(_message.Message):
    __slots__ = ("instrument",)
    INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    instrument: _commands_pb2.ListInstrument
    def __init__(self, instrument: _Optional[_Union[_commands_pb2.ListInstrument, _Mapping]] = ...) -> None: ...

class AccountOpened(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class CashAdjusted(_message.Message):
    __slots__ = ("account", "currency", "amount_micro", "cash_micro", "request_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MICRO_FIELD_NUMBER: _ClassVar[int]
    CASH_MICRO_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    currency: str
    amount_micro: int
    cash_micro: int
    request_id: str
    def __init__(self, account: _Optional[str] = ..., currency: _Optional[str] = ..., amount_micro: _Optional[int] = ..., cash_micro: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class PositionAdjusted(_message.Message):
    __slots__ = ("account", "symbol", "qty_lots", "price_ticks", "position_lots", "request_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    POSITION_LOTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    symbol: str
    qty_lots: int
    price_ticks: int
    position_lots: int
    request_id: str
    def __init__(self, account: _Optional[str] = ..., symbol: _Optional[str] = ..., qty_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ..., position_lots: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class DayClosed(_message.Message):
    __slots__ = ("trading_day", "expired_orders")
    TRADING_DAY_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_ORDERS_FIELD_NUMBER: _ClassVar[int]
    trading_day: int
    expired_orders: int
    def __init__(self, trading_day: _Optional[int] = ..., expired_orders: _Optional[int] = ...) -> None: ...

class CommandRefused(_message.Message):
    __slots__ = ("account", "reason", "field", "request_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    reason: _types_pb2.Reason
    field: str
    request_id: str
    def __init__(self, account: _Optional[str] = ..., reason: _Optional[_Union[_types_pb2.Reason, str]] = ..., field: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class JournalEntry(_message.Message):
    __slots__ = ("command", "time_unix_ns", "events")
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    TIME_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    command: bytes
    time_unix_ns: int
    events: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, command: _Optional[bytes] = ..., time_unix_ns: _Optional[int] = ..., events: _Optional[_Iterable[bytes]] = ...) -> None: ...

class JournalBatch(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[JournalEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[JournalEntry, _Mapping]]] = ...) -> None: ...

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Side(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SIDE_UNSPECIFIED: _ClassVar[Side]
    SIDE_BUY: _ClassVar[Side]
    SIDE_SELL: _ClassVar[Side]
    SIDE_SELL_SHORT: _ClassVar[Side]

class OrdType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORD_TYPE_UNSPECIFIED: _ClassVar[OrdType]
    ORD_TYPE_MARKET: _ClassVar[OrdType]
    ORD_TYPE_LIMIT: _ClassVar[OrdType]
    ORD_TYPE_STOP: _ClassVar[OrdType]
    ORD_TYPE_STOP_LIMIT: _ClassVar[OrdType]
    ORD_TYPE_TRAILING_STOP: _ClassVar[OrdType]

class TimeInForce(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_IN_FORCE_UNSPECIFIED: _ClassVar[TimeInForce]
    TIME_IN_FORCE_DAY: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_IOC: _ClassVar[TimeInForce]
    TIME_IN_FORCE_FOK: _ClassVar[TimeInForce]
    TIME_IN_FORCE_GTD: _ClassVar[TimeInForce]

class SelfTradePrevention(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SELF_TRADE_PREVENTION_UNSPECIFIED: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_NEWEST: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_OLDEST: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_CANCEL_BOTH: _ClassVar[SelfTradePrevention]
    SELF_TRADE_PREVENTION_DECREMENT: _ClassVar[SelfTradePrevention]

class OrdStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORD_STATUS_UNSPECIFIED: _ClassVar[OrdStatus]
    ORD_STATUS_NEW: _ClassVar[OrdStatus]
    ORD_STATUS_PARTIALLY_FILLED: _ClassVar[OrdStatus]
    ORD_STATUS_FILLED: _ClassVar[OrdStatus]
    ORD_STATUS_CANCELED: _ClassVar[OrdStatus]
    ORD_STATUS_EXPIRED: _ClassVar[OrdStatus]
    ORD_STATUS_REJECTED: _ClassVar[OrdStatus]
    ORD_STATUS_PENDING_NEW: _ClassVar[OrdStatus]

class ExecType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXEC_TYPE_UNSPECIFIED: _ClassVar[ExecType]
    EXEC_TYPE_NEW: _ClassVar[ExecType]
    EXEC_TYPE_TRADE: _ClassVar[ExecType]
    EXEC_TYPE_CANCELED: _ClassVar[ExecType]
    EXEC_TYPE_REPLACED: _ClassVar[ExecType]
    EXEC_TYPE_EXPIRED: _ClassVar[ExecType]
    EXEC_TYPE_TRIGGERED: _ClassVar[ExecType]
    EXEC_TYPE_DENIED: _ClassVar[ExecType]
    EXEC_TYPE_REJECTED: _ClassVar[ExecType]
    EXEC_TYPE_RESTATED: _ClassVar[ExecType]
    EXEC_TYPE_TRADE_CANCEL: _ClassVar[ExecType]

class RequestKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REQUEST_KIND_UNSPECIFIED: _ClassVar[RequestKind]
    REQUEST_KIND_SUBMIT: _ClassVar[RequestKind]
    REQUEST_KIND_REPLACE: _ClassVar[RequestKind]
    REQUEST_KIND_CANCEL: _ClassVar[RequestKind]
    REQUEST_KIND_MASS_CANCEL: _ClassVar[RequestKind]
    REQUEST_KIND_QUOTE: _ClassVar[RequestKind]

class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAUSE_UNSPECIFIED: _ClassVar[Cause]
    CAUSE_CLIENT: _ClassVar[Cause]
    CAUSE_SYSTEM: _ClassVar[Cause]
    CAUSE_OPERATOR: _ClassVar[Cause]
    CAUSE_DISCONNECT: _ClassVar[Cause]
    CAUSE_SELF_TRADE_PREVENTION: _ClassVar[Cause]
    CAUSE_KILL_SWITCH: _ClassVar[Cause]
    CAUSE_TRADE: _ClassVar[Cause]

class Liquidity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LIQUIDITY_UNSPECIFIED: _ClassVar[Liquidity]
    LIQUIDITY_MAKER: _ClassVar[Liquidity]
    LIQUIDITY_TAKER: _ClassVar[Liquidity]

class AssetClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSET_CLASS_UNSPECIFIED: _ClassVar[AssetClass]
    ASSET_CLASS_EQUITY: _ClassVar[AssetClass]
    ASSET_CLASS_OPTION: _ClassVar[AssetClass]
    ASSET_CLASS_FX: _ClassVar[AssetClass]
    ASSET_CLASS_CRYPTO: _ClassVar[AssetClass]

class TriggerBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIGGER_BY_UNSPECIFIED: _ClassVar[TriggerBy]
    TRIGGER_BY_LAST: _ClassVar[TriggerBy]
    TRIGGER_BY_BID_ASK: _ClassVar[TriggerBy]
    TRIGGER_BY_MARK: _ClassVar[TriggerBy]

class TrailUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRAIL_UNIT_UNSPECIFIED: _ClassVar[TrailUnit]
    TRAIL_UNIT_PRICE: _ClassVar[TrailUnit]
    TRAIL_UNIT_BPS: _ClassVar[TrailUnit]

class ContingencyType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONTINGENCY_TYPE_UNSPECIFIED: _ClassVar[ContingencyType]
    CONTINGENCY_TYPE_OCO: _ClassVar[ContingencyType]
    CONTINGENCY_TYPE_OTO: _ClassVar[ContingencyType]
    CONTINGENCY_TYPE_OTOCO: _ClassVar[ContingencyType]

class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REASON_UNSPECIFIED: _ClassVar[Reason]
    REASON_TOKEN_MISSING: _ClassVar[Reason]
    REASON_TOKEN_INVALID: _ClassVar[Reason]
    REASON_TOKEN_EXPIRED: _ClassVar[Reason]
    REASON_ROLE_NOT_ALLOWED: _ClassVar[Reason]
    REASON_ACCOUNT_NOT_ALLOWED: _ClassVar[Reason]
    REASON_METHOD_CLOSED: _ClassVar[Reason]
    REASON_ROLES_CONFLICT: _ClassVar[Reason]
    REASON_FIELD_MISSING: _ClassVar[Reason]
    REASON_FIELD_INVALID: _ClassVar[Reason]
    REASON_DECIMAL_INVALID: _ClassVar[Reason]
    REASON_NOT_POSITIVE: _ClassVar[Reason]
    REASON_PRICE_OFF_TICK: _ClassVar[Reason]
    REASON_QTY_OFF_LOT: _ClassVar[Reason]
    REASON_VALUE_TOO_LARGE: _ClassVar[Reason]
    REASON_ENUM_UNKNOWN: _ClassVar[Reason]
    REASON_NOT_SUPPORTED: _ClassVar[Reason]
    REASON_SYMBOL_UNKNOWN: _ClassVar[Reason]
    REASON_MESSAGE_TOO_LARGE: _ClassVar[Reason]
    REASON_FIELDS_CONFLICT: _ClassVar[Reason]
    REASON_PAGE_TOKEN_INVALID: _ClassVar[Reason]
    REASON_RATE_EXCEEDED: _ClassVar[Reason]
    REASON_OVERLOADED: _ClassVar[Reason]
    REASON_SLOW_CONSUMER: _ClassVar[Reason]
    REASON_BUYING_POWER: _ClassVar[Reason]
    REASON_POSITION_INSUFFICIENT: _ClassVar[Reason]
    REASON_SHORT_SALE_NOT_PERMITTED: _ClassVar[Reason]
    REASON_ORDER_QTY_LIMIT: _ClassVar[Reason]
    REASON_ORDER_NOTIONAL_LIMIT: _ClassVar[Reason]
    REASON_PRICE_COLLAR: _ClassVar[Reason]
    REASON_POSITION_LIMIT: _ClassVar[Reason]
    REASON_OPEN_NOTIONAL_LIMIT: _ClassVar[Reason]
    REASON_DAILY_LOSS_LIMIT: _ClassVar[Reason]
    REASON_MESSAGE_RATE_LIMIT: _ClassVar[Reason]
    REASON_DUPLICATE_ORDER: _ClassVar[Reason]
    REASON_REPEATED_EXECUTION: _ClassVar[Reason]
    REASON_RESTRICTED_INSTRUMENT: _ClassVar[Reason]
    REASON_KILL_SWITCH: _ClassVar[Reason]
    REASON_ACCOUNT_UNKNOWN: _ClassVar[Reason]
    REASON_CL_ORD_ID_CONFLICT: _ClassVar[Reason]
    REASON_ORDER_UNKNOWN: _ClassVar[Reason]
    REASON_ORDER_NOT_OPEN: _ClassVar[Reason]
    REASON_NO_LIQUIDITY: _ClassVar[Reason]
    REASON_SELF_TRADE: _ClassVar[Reason]
    REASON_WOULD_TAKE: _ClassVar[Reason]
    REASON_HALTED: _ClassVar[Reason]
    REASON_SESSION_CLOSED: _ClassVar[Reason]
    REASON_QTY_BELOW_CUM: _ClassVar[Reason]
    REASON_EXPIRED: _ClassVar[Reason]
    REASON_NOT_FILLABLE: _ClassVar[Reason]
    REASON_ALREADY_EXISTS: _ClassVar[Reason]
    REASON_NOTHING_TO_REPLACE: _ClassVar[Reason]
    REASON_MATCHING_UNAVAILABLE: _ClassVar[Reason]
    REASON_OUTCOME_UNKNOWN: _ClassVar[Reason]
    REASON_DRAINING: _ClassVar[Reason]
    REASON_STORE_UNAVAILABLE: _ClassVar[Reason]
    REASON_SNAPSHOT_REQUIRED: _ClassVar[Reason]
    REASON_INTERNAL: _ClassVar[Reason]
    REASON_STORAGE_FULL: _ClassVar[Reason]
    REASON_NOT_IN_LOG: _ClassVar[Reason]
    REASON_DEADLINE: _ClassVar[Reason]
SIDE_UNSPECIFIED: Side
SIDE_BUY: Side
SIDE_SELL: Side
SIDE_SELL_SHORT: Side
ORD_TYPE_UNSPECIFIED: OrdType
ORD_TYPE_MARKET: OrdType
ORD_TYPE_LIMIT: OrdType
ORD_TYPE_STOP: OrdType
ORD_TYPE_STOP_LIMIT: OrdType
ORD_TYPE_TRAILING_STOP: OrdType
TIME_IN_FORCE_UNSPECIFIED: TimeInForce
TIME_IN_FORCE_DAY: TimeInForce
TIME_IN_FORCE_GTC: TimeInForce
TIME_IN_FORCE_IOC: TimeInForce
TIME_IN_FORCE_FOK: TimeInForce
TIME_IN_FORCE_GTD: TimeInForce
SELF_TRADE_PREVENTION_UNSPECIFIED: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_NEWEST: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_OLDEST: SelfTradePrevention
SELF_TRADE_PREVENTION_CANCEL_BOTH: SelfTradePrevention
SELF_TRADE_PREVENTION_DECREMENT: SelfTradePrevention
ORD_STATUS_UNSPECIFIED: OrdStatus
ORD_STATUS_NEW: OrdStatus
ORD_STATUS_PARTIALLY_FILLED: OrdStatus
ORD_STATUS_FILLED: OrdStatus
ORD_STATUS_CANCELED: OrdStatus
ORD_STATUS_EXPIRED: OrdStatus
ORD_STATUS_REJECTED: OrdStatus
ORD_STATUS_PENDING_NEW: OrdStatus
EXEC_TYPE_UNSPECIFIED: ExecType
EXEC_TYPE_NEW: ExecType
EXEC_TYPE_TRADE: ExecType
EXEC_TYPE_CANCELED: ExecType
EXEC_TYPE_REPLACED: ExecType
EXEC_TYPE_EXPIRED: ExecType
EXEC_TYPE_TRIGGERED: ExecType
EXEC_TYPE_DENIED: ExecType
EXEC_TYPE_REJECTED: ExecType
EXEC_TYPE_RESTATED: ExecType
EXEC_TYPE_TRADE_CANCEL: ExecType
REQUEST_KIND_UNSPECIFIED: RequestKind
REQUEST_KIND_SUBMIT: RequestKind
REQUEST_KIND_REPLACE: RequestKind
REQUEST_KIND_CANCEL: RequestKind
REQUEST_KIND_MASS_CANCEL: RequestKind
REQUEST_KIND_QUOTE: RequestKind
CAUSE_UNSPECIFIED: Cause
CAUSE_CLIENT: Cause
CAUSE_SYSTEM: Cause
CAUSE_OPERATOR: Cause
CAUSE_DISCONNECT: Cause
CAUSE_SELF_TRADE_PREVENTION: Cause
CAUSE_KILL_SWITCH: Cause
CAUSE_TRADE: Cause
LIQUIDITY_UNSPECIFIED: Liquidity
LIQUIDITY_MAKER: Liquidity
LIQUIDITY_TAKER: Liquidity
ASSET_CLASS_UNSPECIFIED: AssetClass
ASSET_CLASS_EQUITY: AssetClass
ASSET_CLASS_OPTION: AssetClass
ASSET_CLASS_FX: AssetClass
ASSET_CLASS_CRYPTO: AssetClass
TRIGGER_BY_UNSPECIFIED: TriggerBy
TRIGGER_BY_LAST: TriggerBy
TRIGGER_BY_BID_ASK: TriggerBy
TRIGGER_BY_MARK: TriggerBy
TRAIL_UNIT_UNSPECIFIED: TrailUnit
TRAIL_UNIT_PRICE: TrailUnit
TRAIL_UNIT_BPS: TrailUnit
CONTINGENCY_TYPE_UNSPECIFIED: ContingencyType
CONTINGENCY_TYPE_OCO: ContingencyType
CONTINGENCY_TYPE_OTO: ContingencyType
CONTINGENCY_TYPE_OTOCO: ContingencyType
REASON_UNSPECIFIED: Reason
REASON_TOKEN_MISSING: Reason
REASON_TOKEN_INVALID: Reason
REASON_TOKEN_EXPIRED: Reason
REASON_ROLE_NOT_ALLOWED: Reason
REASON_ACCOUNT_NOT_ALLOWED: Reason
REASON_METHOD_CLOSED: Reason
REASON_ROLES_CONFLICT: Reason
REASON_FIELD_MISSING: Reason
REASON_FIELD_INVALID: Reason
REASON_DECIMAL_INVALID: Reason
REASON_NOT_POSITIVE: Reason
REASON_PRICE_OFF_TICK: Reason
REASON_QTY_OFF_LOT: Reason
REASON_VALUE_TOO_LARGE: Reason
REASON_ENUM_UNKNOWN: Reason
REASON_NOT_SUPPORTED: Reason
REASON_SYMBOL_UNKNOWN: Reason
REASON_MESSAGE_TOO_LARGE: Reason
REASON_FIELDS_CONFLICT: Reason
REASON_PAGE_TOKEN_INVALID: Reason
REASON_RATE_EXCEEDED: Reason
REASON_OVERLOADED: Reason
REASON_SLOW_CONSUMER: Reason
REASON_BUYING_POWER: Reason
REASON_POSITION_INSUFFICIENT: Reason
REASON_SHORT_SALE_NOT_PERMITTED: Reason
REASON_ORDER_QTY_LIMIT: Reason
REASON_ORDER_NOTIONAL_LIMIT: Reason
REASON_PRICE_COLLAR: Reason
REASON_POSITION_LIMIT: Reason
REASON_OPEN_NOTIONAL_LIMIT: Reason
REASON_DAILY_LOSS_LIMIT: Reason
REASON_MESSAGE_RATE_LIMIT: Reason
REASON_DUPLICATE_ORDER: Reason
REASON_REPEATED_EXECUTION: Reason
REASON_RESTRICTED_INSTRUMENT: Reason
REASON_KILL_SWITCH: Reason
REASON_ACCOUNT_UNKNOWN: Reason
REASON_CL_ORD_ID_CONFLICT: Reason
REASON_ORDER_UNKNOWN: Reason
REASON_ORDER_NOT_OPEN: Reason
REASON_NO_LIQUIDITY: Reason
REASON_SELF_TRADE: Reason
REASON_WOULD_TAKE: Reason
REASON_HALTED: Reason
REASON_SESSION_CLOSED: Reason
REASON_QTY_BELOW_CUM: Reason
REASON_EXPIRED: Reason
REASON_NOT_FILLABLE: Reason
REASON_ALREADY_EXISTS: Reason
REASON_NOTHING_TO_REPLACE: Reason
REASON_MATCHING_UNAVAILABLE: Reason
REASON_OUTCOME_UNKNOWN: Reason
REASON_DRAINING: Reason
REASON_STORE_UNAVAILABLE: Reason
REASON_SNAPSHOT_REQUIRED: Reason
REASON_INTERNAL: Reason
REASON_STORAGE_FULL: Reason
REASON_NOT_IN_LOG: Reason
REASON_DEADLINE: Reason

class ReasonDetail(_message.Message):
    __slots__ = ("code", "text", "rule", "limit", "current", "projected", "limits_version", "field")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    PROJECTED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_VERSION_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    code: Reason
    text: str
    rule: str
    limit: str
    current: str
    projected: str
    limits_version: int
    field: str
    def __init__(self, code: _Optional[_Union[Reason, str]] = ..., text: _Optional[str] = ..., rule: _Optional[str] = ..., limit: _Optional[str] = ..., current: _Optional[str] = ..., projected: _Optional[str] = ..., limits_version: _Optional[int] = ..., field: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("last_seq", "time")
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    last_seq: int
    time: _timestamp_pb2.Timestamp
    def __init__(self, last_seq: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Subscribed(_message.Message):
    __slots__ = ("resume_after", "results", "heartbeat_interval_s")
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    resume_after: int
    results: _containers.RepeatedCompositeFieldContainer[SubscriptionResult]
    heartbeat_interval_s: int
    def __init__(self, resume_after: _Optional[int] = ..., results: _Optional[_Iterable[_Union[SubscriptionResult, _Mapping]]] = ..., heartbeat_interval_s: _Optional[int] = ...) -> None: ...

class SubscriptionResult(_message.Message):
    __slots__ = ("key", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: str
    reason: Reason
    def __init__(self, key: _Optional[str] = ..., reason: _Optional[_Union[Reason, str]] = ...) -> None: ...

class SnapshotBegin(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class SnapshotEnd(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("from_seq", "to_seq", "reason")
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    TO_SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    from_seq: int
    to_seq: int
    reason: Reason
    def __init__(self, from_seq: _Optional[int] = ..., to_seq: _Optional[int] = ..., reason: _Optional[_Union[Reason, str]] = ...) -> None: ...

class StreamEnd(_message.Message):
    __slots__ = ("reason", "text", "resume_after", "retry_delay_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    reason: Reason
    text: str
    resume_after: int
    retry_delay_ms: int
    def __init__(self, reason: _Optional[_Union[Reason, str]] = ..., text: _Optional[str] = ..., resume_after: _Optional[int] = ..., retry_delay_ms: _Optional[int] = ...) -> None: ...

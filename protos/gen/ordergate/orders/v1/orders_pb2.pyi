import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ordergate.types.v1 import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderTerms(_message.Message):
    __slots__ = ("account", "cl_ord_id", "symbol", "side", "ord_type", "time_in_force", "qty", "price", "stop_px", "trail", "display_qty", "min_qty", "expire_time", "exec_inst", "self_trade_prevention", "contingency", "decision_maker", "strategy_id", "client_time")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PX_FIELD_NUMBER: _ClassVar[int]
    TRAIL_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_QTY_FIELD_NUMBER: _ClassVar[int]
    MIN_QTY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXEC_INST_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    CONTINGENCY_FIELD_NUMBER: _ClassVar[int]
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TIME_FIELD_NUMBER: _ClassVar[int]
    account: str
    cl_ord_id: str
    symbol: str
    side: _types_pb2.Side
    ord_type: _types_pb2.OrdType
    time_in_force: _types_pb2.TimeInForce
    qty: str
    price: str
    stop_px: str
    trail: Trail
    display_qty: str
    min_qty: str
    expire_time: _timestamp_pb2.Timestamp
    exec_inst: ExecInst
    self_trade_prevention: _types_pb2.SelfTradePrevention
    contingency: Contingency
    decision_maker: str
    strategy_id: str
    client_time: _timestamp_pb2.Timestamp
    def __init__(self, account: _Optional[str] = ..., cl_ord_id: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., ord_type: _Optional[_Union[_types_pb2.OrdType, str]] = ..., time_in_force: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., qty: _Optional[str] = ..., price: _Optional[str] = ..., stop_px: _Optional[str] = ..., trail: _Optional[_Union[Trail, _Mapping]] = ..., display_qty: _Optional[str] = ..., min_qty: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., exec_inst: _Optional[_Union[ExecInst, _Mapping]] = ..., self_trade_prevention: _Optional[_Union[_types_pb2.SelfTradePrevention, str]] = ..., contingency: _Optional[_Union[Contingency, _Mapping]] = ..., decision_maker: _Optional[str] = ..., strategy_id: _Optional[str] = ..., client_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Trail(_message.Message):
    __slots__ = ("offset", "unit", "trigger_by")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_BY_FIELD_NUMBER: _ClassVar[int]
    offset: str
    unit: _types_pb2.TrailUnit
    trigger_by: _types_pb2.TriggerBy
    def __init__(self, offset: _Optional[str] = ..., unit: _Optional[_Union[_types_pb2.TrailUnit, str]] = ..., trigger_by: _Optional[_Union[_types_pb2.TriggerBy, str]] = ...) -> None: ...

class ExecInst(_message.Message):
    __slots__ = ("post_only", "reduce_only")
    POST_ONLY_FIELD_NUMBER: _ClassVar[int]
    REDUCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    post_only: bool
    reduce_only: bool
    def __init__(self, post_only: bool = ..., reduce_only: bool = ...) -> None: ...

class Contingency(_message.Message):
    __slots__ = ("type", "list_id", "leg")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    LIST_ID_FIELD_NUMBER: _ClassVar[int]
    LEG_FIELD_NUMBER: _ClassVar[int]
    type: _types_pb2.ContingencyType
    list_id: str
    leg: int
    def __init__(self, type: _Optional[_Union[_types_pb2.ContingencyType, str]] = ..., list_id: _Optional[str] = ..., leg: _Optional[int] = ...) -> None: ...

class ExecutionReport(_message.Message):
    __slots__ = ("seq", "epoch", "account_seq", "prev_account_seq", "account", "cl_ord_id", "orig_cl_ord_id", "order_id", "exec_id", "list_id", "exec_type", "ord_status", "reason", "cause", "request", "symbol", "side", "ord_type", "time_in_force", "qty", "price", "stop_px", "display_qty", "cum_qty", "leaves_qty", "avg_px", "trade_id", "last_px", "last_qty", "liquidity", "fee", "fee_currency", "contra", "audit_index", "transact_time", "received_unix_ns", "sequenced_unix_ns", "durable_unix_ns", "sent_unix_ns", "correlation_id", "poss_dup")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_ACCOUNT_SEQ_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    EXEC_ID_FIELD_NUMBER: _ClassVar[int]
    LIST_ID_FIELD_NUMBER: _ClassVar[int]
    EXEC_TYPE_FIELD_NUMBER: _ClassVar[int]
    ORD_STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PX_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_QTY_FIELD_NUMBER: _ClassVar[int]
    CUM_QTY_FIELD_NUMBER: _ClassVar[int]
    LEAVES_QTY_FIELD_NUMBER: _ClassVar[int]
    AVG_PX_FIELD_NUMBER: _ClassVar[int]
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_PX_FIELD_NUMBER: _ClassVar[int]
    LAST_QTY_FIELD_NUMBER: _ClassVar[int]
    LIQUIDITY_FIELD_NUMBER: _ClassVar[int]
    FEE_FIELD_NUMBER: _ClassVar[int]
    FEE_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CONTRA_FIELD_NUMBER: _ClassVar[int]
    AUDIT_INDEX_FIELD_NUMBER: _ClassVar[int]
    TRANSACT_TIME_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    SENT_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    POSS_DUP_FIELD_NUMBER: _ClassVar[int]
    seq: int
    epoch: int
    account_seq: int
    prev_account_seq: int
    account: str
    cl_ord_id: str
    orig_cl_ord_id: str
    order_id: str
    exec_id: str
    list_id: str
    exec_type: _types_pb2.ExecType
    ord_status: _types_pb2.OrdStatus
    reason: _types_pb2.ReasonDetail
    cause: _types_pb2.Cause
    request: _types_pb2.RequestKind
    symbol: str
    side: _types_pb2.Side
    ord_type: _types_pb2.OrdType
    time_in_force: _types_pb2.TimeInForce
    qty: str
    price: str
    stop_px: str
    display_qty: str
    cum_qty: str
    leaves_qty: str
    avg_px: str
    trade_id: str
    last_px: str
    last_qty: str
    liquidity: _types_pb2.Liquidity
    fee: str
    fee_currency: str
    contra: str
    audit_index: int
    transact_time: _timestamp_pb2.Timestamp
    received_unix_ns: int
    sequenced_unix_ns: int
    durable_unix_ns: int
    sent_unix_ns: int
    correlation_id: int
    poss_dup: bool
    def __init__(self, seq: _Optional[int] = ..., epoch: _Optional[int] = ..., account_seq: _Optional[int] = ..., prev_account_seq: _Optional[int] = ..., account: _Optional[str] = ..., cl_ord_id: _Optional[str] = ..., orig_cl_ord_id: _Optional[str] = ..., order_id: _Optional[str] = ..., exec_id: _Optional[str] = ..., list_id: _Optional[str] = ..., exec_type: _Optional[_Union[_types_pb2.ExecType, str]] = ..., ord_status: _Optional[_Union[_types_pb2.OrdStatus, str]] = ..., reason: _Optional[_Union[_types_pb2.ReasonDetail, _Mapping]] = ..., cause: _Optional[_Union[_types_pb2.Cause, str]] = ..., request: _Optional[_Union[_types_pb2.RequestKind, str]] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., ord_type: _Optional[_Union[_types_pb2.OrdType, str]] = ..., time_in_force: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., qty: _Optional[str] = ..., price: _Optional[str] = ..., stop_px: _Optional[str] = ..., display_qty: _Optional[str] = ..., cum_qty: _Optional[str] = ..., leaves_qty: _Optional[str] = ..., avg_px: _Optional[str] = ..., trade_id: _Optional[str] = ..., last_px: _Optional[str] = ..., last_qty: _Optional[str] = ..., liquidity: _Optional[_Union[_types_pb2.Liquidity, str]] = ..., fee: _Optional[str] = ..., fee_currency: _Optional[str] = ..., contra: _Optional[str] = ..., audit_index: _Optional[int] = ..., transact_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., received_unix_ns: _Optional[int] = ..., sequenced_unix_ns: _Optional[int] = ..., durable_unix_ns: _Optional[int] = ..., sent_unix_ns: _Optional[int] = ..., correlation_id: _Optional[int] = ..., poss_dup: bool = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("terms", "order_id", "ord_status", "cum_qty", "leaves_qty", "avg_px", "accepted_time", "updated_time", "last_seq", "reason")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORD_STATUS_FIELD_NUMBER: _ClassVar[int]
    CUM_QTY_FIELD_NUMBER: _ClassVar[int]
    LEAVES_QTY_FIELD_NUMBER: _ClassVar[int]
    AVG_PX_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATED_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    terms: OrderTerms
    order_id: str
    ord_status: _types_pb2.OrdStatus
    cum_qty: str
    leaves_qty: str
    avg_px: str
    accepted_time: _timestamp_pb2.Timestamp
    updated_time: _timestamp_pb2.Timestamp
    last_seq: int
    reason: _types_pb2.ReasonDetail
    def __init__(self, terms: _Optional[_Union[OrderTerms, _Mapping]] = ..., order_id: _Optional[str] = ..., ord_status: _Optional[_Union[_types_pb2.OrdStatus, str]] = ..., cum_qty: _Optional[str] = ..., leaves_qty: _Optional[str] = ..., avg_px: _Optional[str] = ..., accepted_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_seq: _Optional[int] = ..., reason: _Optional[_Union[_types_pb2.ReasonDetail, _Mapping]] = ...) -> None: ...

class QuoteTerms(_message.Message):
    __slots__ = ("account", "quote_id", "symbol", "bid_px", "bid_qty", "ask_px", "ask_qty")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    QUOTE_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    BID_PX_FIELD_NUMBER: _ClassVar[int]
    BID_QTY_FIELD_NUMBER: _ClassVar[int]
    ASK_PX_FIELD_NUMBER: _ClassVar[int]
    ASK_QTY_FIELD_NUMBER: _ClassVar[int]
    account: str
    quote_id: str
    symbol: str
    bid_px: str
    bid_qty: str
    ask_px: str
    ask_qty: str
    def __init__(self, account: _Optional[str] = ..., quote_id: _Optional[str] = ..., symbol: _Optional[str] = ..., bid_px: _Optional[str] = ..., bid_qty: _Optional[str] = ..., ask_px: _Optional[str] = ..., ask_qty: _Optional[str] = ...) -> None: ...

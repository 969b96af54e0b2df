import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ordergate.auth.v1 import auth_pb2 as _auth_pb2
from ordergate.orders.v1 import orders_pb2 as _orders_pb2
from ordergate.types.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AckLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACK_LEVEL_UNSPECIFIED: _ClassVar[AckLevel]
    ACK_LEVEL_ALL: _ClassVar[AckLevel]
    ACK_LEVEL_ACCEPTED_ONLY: _ClassVar[AckLevel]
ACK_LEVEL_UNSPECIFIED: AckLevel
ACK_LEVEL_ALL: AckLevel
ACK_LEVEL_ACCEPTED_ONLY: AckLevel

class SubmitOrderRequest(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _orders_pb2.OrderTerms
    def __init__(self, order: _Optional[_Union[_orders_pb2.OrderTerms, _Mapping]] = ...) -> None: ...

class SubmitOrderResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: _orders_pb2.ExecutionReport
    def __init__(self, report: _Optional[_Union[_orders_pb2.ExecutionReport, _Mapping]] = ...) -> None: ...

class CancelOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "orig_cl_ord_id", "cl_ord_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: str
    orig_cl_ord_id: str
    cl_ord_id: str
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[str] = ..., orig_cl_ord_id: _Optional[str] = ..., cl_ord_id: _Optional[str] = ...) -> None: ...

class CancelOrderResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: _orders_pb2.ExecutionReport
    def __init__(self, report: _Optional[_Union[_orders_pb2.ExecutionReport, _Mapping]] = ...) -> None: ...

class ReplaceOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "orig_cl_ord_id", "cl_ord_id", "qty", "price", "stop_px", "display_qty")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STOP_PX_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_QTY_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: str
    orig_cl_ord_id: str
    cl_ord_id: str
    qty: str
    price: str
    stop_px: str
    display_qty: str
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[str] = ..., orig_cl_ord_id: _Optional[str] = ..., cl_ord_id: _Optional[str] = ..., qty: _Optional[str] = ..., price: _Optional[str] = ..., stop_px: _Optional[str] = ..., display_qty: _Optional[str] = ...) -> None: ...

class ReplaceOrderResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: _orders_pb2.ExecutionReport
    def __init__(self, report: _Optional[_Union[_orders_pb2.ExecutionReport, _Mapping]] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "cl_ord_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: str
    cl_ord_id: str
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[str] = ..., cl_ord_id: _Optional[str] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _orders_pb2.Order
    def __init__(self, order: _Optional[_Union[_orders_pb2.Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("account", "symbol", "open_only", "page_size", "page_token")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    account: str
    symbol: str
    open_only: bool
    page_size: int
    page_token: str
    def __init__(self, account: _Optional[str] = ..., symbol: _Optional[str] = ..., open_only: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "next_page_token")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_orders_pb2.Order]
    next_page_token: str
    def __init__(self, orders: _Optional[_Iterable[_Union[_orders_pb2.Order, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class StreamExecutionReportsRequest(_message.Message):
    __slots__ = ("account", "resume_after")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    account: str
    resume_after: int
    def __init__(self, account: _Optional[str] = ..., resume_after: _Optional[int] = ...) -> None: ...

class StreamExecutionReportsResponse(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "prev_seq", "subscribed", "report", "heartbeat", "gap", "end")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    seq: int
    prev_seq: int
    subscribed: _types_pb2.Subscribed
    report: _orders_pb2.ExecutionReport
    heartbeat: _types_pb2.Heartbeat
    gap: _types_pb2.Gap
    end: _types_pb2.StreamEnd
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., subscribed: _Optional[_Union[_types_pb2.Subscribed, _Mapping]] = ..., report: _Optional[_Union[_orders_pb2.ExecutionReport, _Mapping]] = ..., heartbeat: _Optional[_Union[_types_pb2.Heartbeat, _Mapping]] = ..., gap: _Optional[_Union[_types_pb2.Gap, _Mapping]] = ..., end: _Optional[_Union[_types_pb2.StreamEnd, _Mapping]] = ...) -> None: ...

class MassCancelOrdersRequest(_message.Message):
    __slots__ = ("account", "symbol", "side", "cl_ord_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    symbol: str
    side: _types_pb2.Side
    cl_ord_id: str
    def __init__(self, account: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., cl_ord_id: _Optional[str] = ...) -> None: ...

class Logon(_message.Message):
    __slots__ = ("accounts", "cancel_on_disconnect", "dead_man_timer_ms", "heartbeat_interval_s", "ack_level", "resume_after", "session_name")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    DEAD_MAN_TIMER_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    ACK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    SESSION_NAME_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    cancel_on_disconnect: bool
    dead_man_timer_ms: int
    heartbeat_interval_s: int
    ack_level: AckLevel
    resume_after: int
    session_name: str
    def __init__(self, accounts: _Optional[_Iterable[str]] = ..., cancel_on_disconnect: bool = ..., dead_man_timer_ms: _Optional[int] = ..., heartbeat_interval_s: _Optional[int] = ..., ack_level: _Optional[_Union[AckLevel, str]] = ..., resume_after: _Optional[int] = ..., session_name: _Optional[str] = ...) -> None: ...

class SessionCommand(_message.Message):
    __slots__ = ("correlation_id", "submit", "replace", "cancel", "mass_cancel", "quote", "renew_timer")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    MASS_CANCEL_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    RENEW_TIMER_FIELD_NUMBER: _ClassVar[int]
    correlation_id: int
    submit: _orders_pb2.OrderTerms
    replace: ReplaceOrderRequest
    cancel: CancelOrderRequest
    mass_cancel: MassCancelOrdersRequest
    quote: _orders_pb2.QuoteTerms
    renew_timer: RenewTimer
    def __init__(self, correlation_id: _Optional[int] = ..., submit: _Optional[_Union[_orders_pb2.OrderTerms, _Mapping]] = ..., replace: _Optional[_Union[ReplaceOrderRequest, _Mapping]] = ..., cancel: _Optional[_Union[CancelOrderRequest, _Mapping]] = ..., mass_cancel: _Optional[_Union[MassCancelOrdersRequest, _Mapping]] = ..., quote: _Optional[_Union[_orders_pb2.QuoteTerms, _Mapping]] = ..., renew_timer: _Optional[_Union[RenewTimer, _Mapping]] = ...) -> None: ...

class RenewTimer(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Logout(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class CommandFrame(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[SessionCommand]
    def __init__(self, commands: _Optional[_Iterable[_Union[SessionCommand, _Mapping]]] = ...) -> None: ...

class OrderSessionRequest(_message.Message):
    __slots__ = ("logon", "frame", "logout")
    LOGON_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    LOGOUT_FIELD_NUMBER: _ClassVar[int]
    logon: Logon
    frame: CommandFrame
    logout: Logout
    def __init__(self, logon: _Optional[_Union[Logon, _Mapping]] = ..., frame: _Optional[_Union[CommandFrame, _Mapping]] = ..., logout: _Optional[_Union[Logout, _Mapping]] = ...) -> None: ...

class LogonAccepted(_message.Message):
    __slots__ = ("accounts", "resume_after", "heartbeat_interval_s", "max_frame_commands", "cancel_on_disconnect", "time")
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedScalarFieldContainer[str]
    resume_after: int
    heartbeat_interval_s: int
    max_frame_commands: int
    cancel_on_disconnect: bool
    time: _timestamp_pb2.Timestamp
    def __init__(self, accounts: _Optional[_Iterable[str]] = ..., resume_after: _Optional[int] = ..., heartbeat_interval_s: _Optional[int] = ..., max_frame_commands: _Optional[int] = ..., cancel_on_disconnect: bool = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CommandReply(_message.Message):
    __slots__ = ("correlation_id", "refused", "original")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_FIELD_NUMBER: _ClassVar[int]
    correlation_id: int
    refused: _types_pb2.ReasonDetail
    original: _orders_pb2.ExecutionReport
    def __init__(self, correlation_id: _Optional[int] = ..., refused: _Optional[_Union[_types_pb2.ReasonDetail, _Mapping]] = ..., original: _Optional[_Union[_orders_pb2.ExecutionReport, _Mapping]] = ...) -> None: ...

class ReportFrame(_message.Message):
    __slots__ = ("reports", "replies")
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    reports: _containers.RepeatedCompositeFieldContainer[_orders_pb2.ExecutionReport]
    replies: _containers.RepeatedCompositeFieldContainer[CommandReply]
    def __init__(self, reports: _Optional[_Iterable[_Union[_orders_pb2.ExecutionReport, _Mapping]]] = ..., replies: _Optional[_Iterable[_Union[CommandReply, _Mapping]]] = ...) -> None: ...

class OrderSessionResponse(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "prev_seq", "logon", "frame", "heartbeat", "gap", "end")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    LOGON_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    seq: int
    prev_seq: int
    logon: LogonAccepted
    frame: ReportFrame
    heartbeat: _types_pb2.Heartbeat
    gap: _types_pb2.Gap
    end: _types_pb2.StreamEnd
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., logon: _Optional[_Union[LogonAccepted, _Mapping]] = ..., frame: _Optional[_Union[ReportFrame, _Mapping]] = ..., heartbeat: _Optional[_Union[_types_pb2.Heartbeat, _Mapping]] = ..., gap: _Optional[_Union[_types_pb2.Gap, _Mapping]] = ..., end: _Optional[_Union[_types_pb2.StreamEnd, _Mapping]] = ...) -> None: ...

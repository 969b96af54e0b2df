from ordergate.auth.v1 import auth_pb2 as _auth_pb2
from ordergate.matching.v1 import commands_pb2 as _commands_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LinkLogon(_message.Message):
    __slots__ = ("gateway_id",)
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    def __init__(self, gateway_id: _Optional[str] = ...) -> None: ...

class LinkFrame(_message.Message):
    __slots__ = ("first_correlation", "commands")
    FIRST_CORRELATION_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    first_correlation: int
    commands: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, first_correlation: _Optional[int] = ..., commands: _Optional[_Iterable[bytes]] = ...) -> None: ...

class LinkRequest(_message.Message):
    __slots__ = ("logon", "frame")
    LOGON_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    logon: LinkLogon
    frame: LinkFrame
    def __init__(self, logon: _Optional[_Union[LinkLogon, _Mapping]] = ..., frame: _Optional[_Union[LinkFrame, _Mapping]] = ...) -> None: ...

class LinkAccepted(_message.Message):
    __slots__ = ("last_seq",)
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    last_seq: int
    def __init__(self, last_seq: _Optional[int] = ...) -> None: ...

class LinkBatch(_message.Message):
    __slots__ = ("events", "durable_unix_ns", "correlations", "command_seqs", "replays")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    DURABLE_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    CORRELATIONS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_SEQS_FIELD_NUMBER: _ClassVar[int]
    REPLAYS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedScalarFieldContainer[bytes]
    durable_unix_ns: int
    correlations: _containers.RepeatedScalarFieldContainer[int]
    command_seqs: _containers.RepeatedScalarFieldContainer[int]
    replays: _containers.RepeatedCompositeFieldContainer[LinkReplay]
    def __init__(self, events: _Optional[_Iterable[bytes]] = ..., durable_unix_ns: _Optional[int] = ..., correlations: _Optional[_Iterable[int]] = ..., command_seqs: _Optional[_Iterable[int]] = ..., replays: _Optional[_Iterable[_Union[LinkReplay, _Mapping]]] = ...) -> None: ...

class LinkReplay(_message.Message):
    __slots__ = ("correlation", "event")
    CORRELATION_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    correlation: int
    event: bytes
    def __init__(self, correlation: _Optional[int] = ..., event: _Optional[bytes] = ...) -> None: ...

class LinkResponse(_message.Message):
    __slots__ = ("epoch", "accepted", "batch", "heartbeat")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    accepted: LinkAccepted
    batch: LinkBatch
    heartbeat: LinkHeartbeat
    def __init__(self, epoch: _Optional[int] = ..., accepted: _Optional[_Union[LinkAccepted, _Mapping]] = ..., batch: _Optional[_Union[LinkBatch, _Mapping]] = ..., heartbeat: _Optional[_Union[LinkHeartbeat, _Mapping]] = ...) -> None: ...

class LinkHeartbeat(_message.Message):
    __slots__ = ("last_seq",)
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    last_seq: int
    def __init__(self, last_seq: _Optional[int] = ...) -> None: ...

class StreamEventsRequest(_message.Message):
    __slots__ = ("follower", "resume_after", "until_seq", "accounts")
    FOLLOWER_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    UNTIL_SEQ_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    follower: str
    resume_after: int
    until_seq: int
    accounts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, follower: _Optional[str] = ..., resume_after: _Optional[int] = ..., until_seq: _Optional[int] = ..., accounts: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamEventsResponse(_message.Message):
    __slots__ = ("epoch", "seq", "prev_seq", "events", "last_seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    seq: int
    prev_seq: int
    events: _containers.RepeatedScalarFieldContainer[bytes]
    last_seq: int
    def __init__(self, epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., events: _Optional[_Iterable[bytes]] = ..., last_seq: _Optional[int] = ...) -> None: ...

class OrderState(_message.Message):
    __slots__ = ("last_event", "accepted_unix_ns")
    LAST_EVENT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    last_event: bytes
    accepted_unix_ns: int
    def __init__(self, last_event: _Optional[bytes] = ..., accepted_unix_ns: _Optional[int] = ...) -> None: ...

class LookupOrderRequest(_message.Message):
    __slots__ = ("account", "order_id", "cl_ord_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: int
    cl_ord_id: str
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[int] = ..., cl_ord_id: _Optional[str] = ...) -> None: ...

class LookupOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: OrderState
    def __init__(self, order: _Optional[_Union[OrderState, _Mapping]] = ...) -> None: ...

class ScanOrdersRequest(_message.Message):
    __slots__ = ("account", "symbol", "open_only", "limit", "before_order_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    symbol: str
    open_only: bool
    limit: int
    before_order_id: int
    def __init__(self, account: _Optional[str] = ..., symbol: _Optional[str] = ..., open_only: bool = ..., limit: _Optional[int] = ..., before_order_id: _Optional[int] = ...) -> None: ...

class ScanOrdersResponse(_message.Message):
    __slots__ = ("orders", "more")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[OrderState]
    more: bool
    def __init__(self, orders: _Optional[_Iterable[_Union[OrderState, _Mapping]]] = ..., more: bool = ...) -> None: ...

class GetAccountRequest(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("found", "cash", "positions", "open_orders", "as_of_seq")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    CASH_FIELD_NUMBER: _ClassVar[int]
    POSITIONS_FIELD_NUMBER: _ClassVar[int]
    OPEN_ORDERS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQ_FIELD_NUMBER: _ClassVar[int]
    found: bool
    cash: _containers.RepeatedCompositeFieldContainer[CashState]
    positions: _containers.RepeatedCompositeFieldContainer[PositionState]
    open_orders: int
    as_of_seq: int
    def __init__(self, found: bool = ..., cash: _Optional[_Iterable[_Union[CashState, _Mapping]]] = ..., positions: _Optional[_Iterable[_Union[PositionState, _Mapping]]] = ..., open_orders: _Optional[int] = ..., as_of_seq: _Optional[int] = ...) -> None: ...

class CashState(_message.Message):
    __slots__ = ("currency", "cash_micro", "held_micro")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    CASH_MICRO_FIELD_NUMBER: _ClassVar[int]
    HELD_MICRO_FIELD_NUMBER: _ClassVar[int]
    currency: str
    cash_micro: int
    held_micro: int
    def __init__(self, currency: _Optional[str] = ..., cash_micro: _Optional[int] = ..., held_micro: _Optional[int] = ...) -> None: ...

class PositionState(_message.Message):
    __slots__ = ("symbol", "qty_lots", "held_lots", "cost_ticks_lots", "realized_pnl_micro")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    HELD_LOTS_FIELD_NUMBER: _ClassVar[int]
    COST_TICKS_LOTS_FIELD_NUMBER: _ClassVar[int]
    REALIZED_PNL_MICRO_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    qty_lots: int
    held_lots: int
    cost_ticks_lots: int
    realized_pnl_micro: int
    def __init__(self, symbol: _Optional[str] = ..., qty_lots: _Optional[int] = ..., held_lots: _Optional[int] = ..., cost_ticks_lots: _Optional[int] = ..., realized_pnl_micro: _Optional[int] = ...) -> None: ...

class ListInstrumentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListInstrumentsResponse(_message.Message):
    __slots__ = ("instruments", "as_of_seq")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQ_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedCompositeFieldContainer[_commands_pb2.ListInstrument]
    as_of_seq: int
    def __init__(self, instruments: _Optional[_Iterable[_Union[_commands_pb2.ListInstrument, _Mapping]]] = ..., as_of_seq: _Optional[int] = ...) -> None: ...

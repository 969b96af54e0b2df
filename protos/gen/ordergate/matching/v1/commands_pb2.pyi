from ordergate.types.v1 import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Command(_message.Message):
    __slots__ = ("actor", "session_id", "gateway_id", "received_unix_ns", "new_order", "replace_order", "cancel_order", "list_instrument", "open_account", "adjust_cash", "adjust_position", "close_day")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    NEW_ORDER_FIELD_NUMBER: _ClassVar[int]
    REPLACE_ORDER_FIELD_NUMBER: _ClassVar[int]
    CANCEL_ORDER_FIELD_NUMBER: _ClassVar[int]
    LIST_INSTRUMENT_FIELD_NUMBER: _ClassVar[int]
    OPEN_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ADJUST_CASH_FIELD_NUMBER: _ClassVar[int]
    ADJUST_POSITION_FIELD_NUMBER: _ClassVar[int]
    CLOSE_DAY_FIELD_NUMBER: _ClassVar[int]
    actor: str
    session_id: str
    gateway_id: str
    received_unix_ns: int
    new_order: NewOrder
    replace_order: ReplaceOrder
    cancel_order: CancelOrder
    list_instrument: ListInstrument
    open_account: OpenAccount
    adjust_cash: AdjustCash
    adjust_position: AdjustPosition
    close_day: CloseDay
    def __init__(self, actor: _Optional[str] = ..., session_id: _Optional[str] = ..., gateway_id: _Optional[str] = ..., received_unix_ns: _Optional[int] = ..., new_order: _Optional[_Union[NewOrder, _Mapping]] = ..., replace_order: _Optional[_Union[ReplaceOrder, _Mapping]] = ..., cancel_order: _Optional[_Union[CancelOrder, _Mapping]] = ..., list_instrument: _Optional[_Union[ListInstrument, _Mapping]] = ..., open_account: _Optional[_Union[OpenAccount, _Mapping]] = ..., adjust_cash: _Optional[_Union[AdjustCash, _Mapping]] = ..., adjust_position: _Optional[_Union[AdjustPosition, _Mapping]] = ..., close_day: _Optional[_Union[CloseDay, _Mapping]] = ...) -> None: ...

class NewOrder(_message.Message):
    __slots__ = ("account", "cl_ord_id", "symbol", "side", "ord_type", "time_in_force", "qty_lots", "price_ticks", "self_trade_prevention", "decision_maker", "strategy_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    ORD_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    SELF_TRADE_PREVENTION_FIELD_NUMBER: _ClassVar[int]
    DECISION_MAKER_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    cl_ord_id: str
    symbol: str
    side: _types_pb2.Side
    ord_type: _types_pb2.OrdType
    time_in_force: _types_pb2.TimeInForce
    qty_lots: int
    price_ticks: int
    self_trade_prevention: _types_pb2.SelfTradePrevention
    decision_maker: str
    strategy_id: str
    def __init__(self, account: _Optional[str] = ..., cl_ord_id: _Optional[str] = ..., symbol: _Optional[str] = ..., side: _Optional[_Union[_types_pb2.Side, str]] = ..., ord_type: _Optional[_Union[_types_pb2.OrdType, str]] = ..., time_in_force: _Optional[_Union[_types_pb2.TimeInForce, str]] = ..., qty_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ..., self_trade_prevention: _Optional[_Union[_types_pb2.SelfTradePrevention, str]] = ..., decision_maker: _Optional[str] = ..., strategy_id: _Optional[str] = ...) -> None: ...

class ReplaceOrder(_message.Message):
    __slots__ = ("account", "order_id", "orig_cl_ord_id", "cl_ord_id", "qty_lots", "price_ticks")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: int
    orig_cl_ord_id: str
    cl_ord_id: str
    qty_lots: int
    price_ticks: int
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[int] = ..., orig_cl_ord_id: _Optional[str] = ..., cl_ord_id: _Optional[str] = ..., qty_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ...) -> None: ...

class CancelOrder(_message.Message):
    __slots__ = ("account", "order_id", "orig_cl_ord_id", "cl_ord_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ORIG_CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    CL_ORD_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    order_id: int
    orig_cl_ord_id: str
    cl_ord_id: str
    def __init__(self, account: _Optional[str] = ..., order_id: _Optional[int] = ..., orig_cl_ord_id: _Optional[str] = ..., cl_ord_id: _Optional[str] = ...) -> None: ...

class ListInstrument(_message.Message):
    __slots__ = ("symbol", "asset_class", "currency", "tick_size_nano", "lot_size_nano", "multiplier", "description", "base_currency", "expiry_date", "strike_nano", "option_right")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ASSET_CLASS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TICK_SIZE_NANO_FIELD_NUMBER: _ClassVar[int]
    LOT_SIZE_NANO_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BASE_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_DATE_FIELD_NUMBER: _ClassVar[int]
    STRIKE_NANO_FIELD_NUMBER: _ClassVar[int]
    OPTION_RIGHT_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    asset_class: _types_pb2.AssetClass
    currency: str
    tick_size_nano: int
    lot_size_nano: int
    multiplier: int
    description: str
    base_currency: str
    expiry_date: int
    strike_nano: int
    option_right: str
    def __init__(self, symbol: _Optional[str] = ..., asset_class: _Optional[_Union[_types_pb2.AssetClass, str]] = ..., currency: _Optional[str] = ..., tick_size_nano: _Optional[int] = ..., lot_size_nano: _Optional[int] = ..., multiplier: _Optional[int] = ..., description: _Optional[str] = ..., base_currency: _Optional[str] = ..., expiry_date: _Optional[int] = ..., strike_nano: _Optional[int] = ..., option_right: _Optional[str] = ...) -> None: ...

class OpenAccount(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    def __init__(self, account: _Optional[str] = ...) -> None: ...

class AdjustCash(_message.Message):
    __slots__ = ("account", "currency", "amount_micro", "request_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MICRO_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    currency: str
    amount_micro: int
    request_id: str
    def __init__(self, account: _Optional[str] = ..., currency: _Optional[str] = ..., amount_micro: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class AdjustPosition(_message.Message):
    __slots__ = ("account", "symbol", "qty_lots", "price_ticks", "request_id")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QTY_LOTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TICKS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    account: str
    symbol: str
    qty_lots: int
    price_ticks: int
    request_id: str
    def __init__(self, account: _Optional[str] = ..., symbol: _Optional[str] = ..., qty_lots: _Optional[int] = ..., price_ticks: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class CloseDay(_message.Message):
    __slots__ = ("trading_day",)
    TRADING_DAY_FIELD_NUMBER: _ClassVar[int]
    trading_day: int
    def __init__(self, trading_day: _Optional[int] = ...) -> None: ...

import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from ordergate.auth.v1 import auth_pb2 as _auth_pb2
from ordergate.types.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Instrument(_message.Message):
    __slots__ = ("symbol", "asset_class", "currency", "tick_size", "lot_size", "multiplier", "description", "base_currency", "expiry_date", "strike_price", "option_right")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    ASSET_CLASS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TICK_SIZE_FIELD_NUMBER: _ClassVar[int]
    LOT_SIZE_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    BASE_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_DATE_FIELD_NUMBER: _ClassVar[int]
    STRIKE_PRICE_FIELD_NUMBER: _ClassVar[int]
    OPTION_RIGHT_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    asset_class: _types_pb2.AssetClass
    currency: str
    tick_size: str
    lot_size: str
    multiplier: str
    description: str
    base_currency: str
    expiry_date: str
    strike_price: str
    option_right: str
    def __init__(self, symbol: _Optional[str] = ..., asset_class: _Optional[_Union[_types_pb2.AssetClass, str]] = ..., currency: _Optional[str] = ..., tick_size: _Optional[str] = ..., lot_size: _Optional[str] = ..., multiplier: _Optional[str] = ..., description: _Optional[str] = ..., base_currency: _Optional[str] = ..., expiry_date: _Optional[str] = ..., strike_price: _Optional[str] = ..., option_right: _Optional[str] = ...) -> None: ...

class Quote(_message.Message):
    __slots__ = ("bid_px", "bid_qty", "ask_px", "ask_qty")
    BID_PX_FIELD_NUMBER: _ClassVar[int]
    BID_QTY_FIELD_NUMBER: _ClassVar[int]
    ASK_PX_FIELD_NUMBER: _ClassVar[int]
    ASK_QTY_FIELD_NUMBER: _ClassVar[int]
    bid_px: str
    bid_qty: str
    ask_px: str
    ask_qty: str
    def __init__(self, bid_px: _Optional[str] = ..., bid_qty: _Optional[str] = ..., ask_px: _Optional[str] = ..., ask_qty: _Optional[str] = ...) -> None: ...

class Trade(_message.Message):
    __slots__ = ("trade_id", "px", "qty", "aggressor_side")
    TRADE_ID_FIELD_NUMBER: _ClassVar[int]
    PX_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    AGGRESSOR_SIDE_FIELD_NUMBER: _ClassVar[int]
    trade_id: str
    px: str
    qty: str
    aggressor_side: _types_pb2.Side
    def __init__(self, trade_id: _Optional[str] = ..., px: _Optional[str] = ..., qty: _Optional[str] = ..., aggressor_side: _Optional[_Union[_types_pb2.Side, str]] = ...) -> None: ...

class ReferencePrice(_message.Message):
    __slots__ = ("px", "source")
    PX_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    px: str
    source: str
    def __init__(self, px: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class MarketData(_message.Message):
    __slots__ = ("symbol", "quote", "last_trade", "reference", "traded_qty", "last_seq", "updated_time")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    LAST_TRADE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TRADED_QTY_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    UPDATED_TIME_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    quote: Quote
    last_trade: Trade
    reference: ReferencePrice
    traded_qty: str
    last_seq: int
    updated_time: _timestamp_pb2.Timestamp
    def __init__(self, symbol: _Optional[str] = ..., quote: _Optional[_Union[Quote, _Mapping]] = ..., last_trade: _Optional[_Union[Trade, _Mapping]] = ..., reference: _Optional[_Union[ReferencePrice, _Mapping]] = ..., traded_qty: _Optional[str] = ..., last_seq: _Optional[int] = ..., updated_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetMarketDataRequest(_message.Message):
    __slots__ = ("symbols",)
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, symbols: _Optional[_Iterable[str]] = ...) -> None: ...

class GetMarketDataResponse(_message.Message):
    __slots__ = ("market_data", "as_of_seq")
    MARKET_DATA_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQ_FIELD_NUMBER: _ClassVar[int]
    market_data: _containers.RepeatedCompositeFieldContainer[MarketData]
    as_of_seq: int
    def __init__(self, market_data: _Optional[_Iterable[_Union[MarketData, _Mapping]]] = ..., as_of_seq: _Optional[int] = ...) -> None: ...

class ListInstrumentsRequest(_message.Message):
    __slots__ = ("asset_class", "page_size", "page_token")
    ASSET_CLASS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    asset_class: _types_pb2.AssetClass
    page_size: int
    page_token: str
    def __init__(self, asset_class: _Optional[_Union[_types_pb2.AssetClass, str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListInstrumentsResponse(_message.Message):
    __slots__ = ("instruments", "next_page_token")
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instruments: _containers.RepeatedCompositeFieldContainer[Instrument]
    next_page_token: str
    def __init__(self, instruments: _Optional[_Iterable[_Union[Instrument, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetFeedStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetFeedStatusResponse(_message.Message):
    __slots__ = ("feeds", "as_of_seq", "journal_seq", "subscriptions")
    FEEDS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQ_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_SEQ_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    feeds: _containers.RepeatedCompositeFieldContainer[FeedStatus]
    as_of_seq: int
    journal_seq: int
    subscriptions: int
    def __init__(self, feeds: _Optional[_Iterable[_Union[FeedStatus, _Mapping]]] = ..., as_of_seq: _Optional[int] = ..., journal_seq: _Optional[int] = ..., subscriptions: _Optional[int] = ...) -> None: ...

class FeedStatus(_message.Message):
    __slots__ = ("name", "running", "updates", "last_update_time", "error")
    NAME_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    LAST_UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    name: str
    running: bool
    updates: int
    last_update_time: _timestamp_pb2.Timestamp
    error: str
    def __init__(self, name: _Optional[str] = ..., running: bool = ..., updates: _Optional[int] = ..., last_update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class SubscribeTicksRequest(_message.Message):
    __slots__ = ("symbols",)
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, symbols: _Optional[_Iterable[str]] = ...) -> None: ...

class Tick(_message.Message):
    __slots__ = ("symbol", "quote", "trade", "reference", "time", "journal_seq")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    TRADE_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_SEQ_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    quote: Quote
    trade: Trade
    reference: ReferencePrice
    time: _timestamp_pb2.Timestamp
    journal_seq: int
    def __init__(self, symbol: _Optional[str] = ..., quote: _Optional[_Union[Quote, _Mapping]] = ..., trade: _Optional[_Union[Trade, _Mapping]] = ..., reference: _Optional[_Union[ReferencePrice, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., journal_seq: _Optional[int] = ...) -> None: ...

class TickFrame(_message.Message):
    __slots__ = ("ticks",)
    TICKS_FIELD_NUMBER: _ClassVar[int]
    ticks: _containers.RepeatedCompositeFieldContainer[Tick]
    def __init__(self, ticks: _Optional[_Iterable[_Union[Tick, _Mapping]]] = ...) -> None: ...

class SubscribeTicksResponse(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "prev_seq", "subscribed", "frame", "heartbeat", "end", "snapshot")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    seq: int
    prev_seq: int
    subscribed: _types_pb2.Subscribed
    frame: TickFrame
    heartbeat: _types_pb2.Heartbeat
    end: _types_pb2.StreamEnd
    snapshot: MarketData
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., subscribed: _Optional[_Union[_types_pb2.Subscribed, _Mapping]] = ..., frame: _Optional[_Union[TickFrame, _Mapping]] = ..., heartbeat: _Optional[_Union[_types_pb2.Heartbeat, _Mapping]] = ..., end: _Optional[_Union[_types_pb2.StreamEnd, _Mapping]] = ..., snapshot: _Optional[_Union[MarketData, _Mapping]] = ...) -> None: ...

class SubscribeBookRequest(_message.Message):
    __slots__ = ("symbol", "depth")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    depth: int
    def __init__(self, symbol: _Optional[str] = ..., depth: _Optional[int] = ...) -> None: ...

class Level(_message.Message):
    __slots__ = ("px", "qty", "orders")
    PX_FIELD_NUMBER: _ClassVar[int]
    QTY_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    px: str
    qty: str
    orders: int
    def __init__(self, px: _Optional[str] = ..., qty: _Optional[str] = ..., orders: _Optional[int] = ...) -> None: ...

class BookLevels(_message.Message):
    __slots__ = ("bids", "asks", "time")
    BIDS_FIELD_NUMBER: _ClassVar[int]
    ASKS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    bids: _containers.RepeatedCompositeFieldContainer[Level]
    asks: _containers.RepeatedCompositeFieldContainer[Level]
    time: _timestamp_pb2.Timestamp
    def __init__(self, bids: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., asks: _Optional[_Iterable[_Union[Level, _Mapping]]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SubscribeBookResponse(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "prev_seq", "subscribed", "snapshot", "changes", "heartbeat", "end")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    seq: int
    prev_seq: int
    subscribed: _types_pb2.Subscribed
    snapshot: BookLevels
    changes: BookLevels
    heartbeat: _types_pb2.Heartbeat
    end: _types_pb2.StreamEnd
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., subscribed: _Optional[_Union[_types_pb2.Subscribed, _Mapping]] = ..., snapshot: _Optional[_Union[BookLevels, _Mapping]] = ..., changes: _Optional[_Union[BookLevels, _Mapping]] = ..., heartbeat: _Optional[_Union[_types_pb2.Heartbeat, _Mapping]] = ..., end: _Optional[_Union[_types_pb2.StreamEnd, _Mapping]] = ...) -> None: ...

class SubscribeTradesRequest(_message.Message):
    __slots__ = ("symbols", "resume_after")
    SYMBOLS_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    symbols: _containers.RepeatedScalarFieldContainer[str]
    resume_after: int
    def __init__(self, symbols: _Optional[_Iterable[str]] = ..., resume_after: _Optional[int] = ...) -> None: ...

class TradeReport(_message.Message):
    __slots__ = ("symbol", "trade", "time", "journal_seq")
    SYMBOL_FIELD_NUMBER: _ClassVar[int]
    TRADE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_SEQ_FIELD_NUMBER: _ClassVar[int]
    symbol: str
    trade: Trade
    time: _timestamp_pb2.Timestamp
    journal_seq: int
    def __init__(self, symbol: _Optional[str] = ..., trade: _Optional[_Union[Trade, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., journal_seq: _Optional[int] = ...) -> None: ...

class TradeFrame(_message.Message):
    __slots__ = ("trades",)
    TRADES_FIELD_NUMBER: _ClassVar[int]
    trades: _containers.RepeatedCompositeFieldContainer[TradeReport]
    def __init__(self, trades: _Optional[_Iterable[_Union[TradeReport, _Mapping]]] = ...) -> None: ...

class SubscribeTradesResponse(_message.Message):
    __slots__ = ("stream_id", "epoch", "seq", "prev_seq", "subscribed", "frame", "heartbeat", "gap", "end")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PREV_SEQ_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBED_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    epoch: int
    seq: int
    prev_seq: int
    subscribed: _types_pb2.Subscribed
    frame: TradeFrame
    heartbeat: _types_pb2.Heartbeat
    gap: _types_pb2.Gap
    end: _types_pb2.StreamEnd
    def __init__(self, stream_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., prev_seq: _Optional[int] = ..., subscribed: _Optional[_Union[_types_pb2.Subscribed, _Mapping]] = ..., frame: _Optional[_Union[TradeFrame, _Mapping]] = ..., heartbeat: _Optional[_Union[_types_pb2.Heartbeat, _Mapping]] = ..., gap: _Optional[_Union[_types_pb2.Gap, _Mapping]] = ..., end: _Optional[_Union[_types_pb2.StreamEnd, _Mapping]] = ...) -> None: ...

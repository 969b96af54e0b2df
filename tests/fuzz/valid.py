"""A valid request for every public method: what the mutations of the wire begin with."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from ordergate.compliance.v1 import audit_pb2
from ordergate.marketdata.v1 import marketdata_pb2
from ordergate.operations.v1 import health_pb2
from ordergate.orders.v1 import order_entry_pb2, portfolio_pb2

from runtime.settings import Server

ACCOUNT = "DEMO"
SERVED_BY: dict[Server, tuple[ServiceDescriptor, ...]] = {
    "gateway": (
        order_entry_pb2.DESCRIPTOR.services_by_name["OrderEntryService"],
        portfolio_pb2.DESCRIPTOR.services_by_name["PortfolioService"],
        health_pb2.DESCRIPTOR.services_by_name["HealthService"],
    ),
    "marketdata": (marketdata_pb2.DESCRIPTOR.services_by_name["MarketDataService"],),
    "compliance": (audit_pb2.DESCRIPTOR.services_by_name["AuditService"],),
}
_ORDER = {
    "account": ACCOUNT,
    "cl_ord_id": "wire-1",
    "symbol": "AAPL",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_STOP_LIMIT",
    "time_in_force": "TIME_IN_FORCE_GTD",
    "qty": "10",
    "price": "190.00",
    "stop_px": "195.00",
    "display_qty": "5",
    "expire_time": "2100-01-01T00:00:00Z",
    "exec_inst": {"post_only": True},
    "contingency": {"type": "CONTINGENCY_TYPE_OCO", "list_id": "list-1", "leg": 1},
    "decision_maker": "someone",
    "client_time": "2026-01-01T00:00:00.000000001Z",
}
_PLAIN = {name: _ORDER[name] for name in ("account", "symbol", "side", "qty", "price")} | {"ord_type": "ORD_TYPE_LIMIT"}
_QUOTE = {"symbol": "AAPL", "bid_px": "150.00", "bid_qty": "10", "ask_px": "250.00", "ask_qty": "10"}
_BY_KEY = {"account": ACCOUNT, "orig_cl_ord_id": "wire-1", "cl_ord_id": "wire-2"}
REQUESTS: dict[str, Any] = {
    "SubmitOrder": {"order": _ORDER},
    "SubmitOrders": {"account": ACCOUNT, "orders": [{**_PLAIN, "cl_ord_id": f"basket-{leg}"} for leg in range(3)]},
    "CheckOrder": {"order": _ORDER},
    "CancelOrder": _BY_KEY,
    "ReplaceOrder": {**_BY_KEY, "qty": "20", "price": "191.00", "display_qty": "5"},
    "MassCancelOrders": {"account": ACCOUNT, "symbol": "AAPL", "side": "SIDE_BUY", "cl_ord_id": "wire-3"},
    "SubmitQuotes": {"account": ACCOUNT, "quote_id": "wire-4", "entries": [_QUOTE, {**_QUOTE, "symbol": "MSFT"}]},
    "GetOrder": {"account": ACCOUNT, "cl_ord_id": "wire-1"},
    "ListOrders": {"account": ACCOUNT, "symbol": "AAPL", "open_only": True, "page_size": 10},
    "StreamExecutionReports": {"account": ACCOUNT, "resume_after": "0"},
    "StreamDropCopy": {"accounts": [ACCOUNT], "resume_after": "0"},
    "GetRateBudget": {"account": ACCOUNT},
    "ListPositions": {"account": ACCOUNT, "symbol": "AAPL"},
    "ListBalances": {"account": ACCOUNT, "currency": "USD"},
    "GetAccountSnapshot": {"account": ACCOUNT},
    "StreamPortfolio": {"account": ACCOUNT, "interval_ms": 1_000},
    "GetPortfolio": {"account": ACCOUNT},
    "GetLiveness": {},
    "GetReadiness": {},
    "GetMarketData": {"symbols": ["AAPL", "MSFT"]},
    "ListInstruments": {"asset_class": "ASSET_CLASS_EQUITY", "page_size": 10},
    "GetFeedStatus": {},
    "SubscribeTicks": {"symbols": ["AAPL", "MSFT"]},
    "SubscribeBook": {"symbol": "AAPL", "depth": 5},
    "SubscribeTrades": {"symbols": ["AAPL"], "resume_after": "0"},
    "ListAuditEntries": {"symbol": "AAPL", "from_time": "2026-01-01T00:00:00Z", "page_size": 10},
    "GetCheckpoint": {"tree_size": "1"},
    "GetInclusionProof": {"leaf_index": "1"},
    "GetConsistencyProof": {"from_size": "1"},
    "StreamAuditEntries": {"from_index": "0", "to_index": "10"},
}
"""By method, as JSON."""
LOGON = {"logon": {"accounts": [ACCOUNT], "cancel_on_disconnect": True, "heartbeat_interval_s": 1, "resume_after": "0"}}
FRAME = {
    "frame": {
        "commands": [
            {"correlation_id": "1", "submit": {**_PLAIN, "cl_ord_id": "session-1"}},
            {"correlation_id": "2", "replace": {**_BY_KEY, "qty": "30"}},
            {"correlation_id": "3", "cancel": _BY_KEY},
            {"correlation_id": "4", "mass_cancel": {"account": ACCOUNT, "all_orders": True, "cl_ord_id": "session-4"}},
            {"correlation_id": "5", "quote": {**_QUOTE, "account": ACCOUNT, "quote_id": "session-5"}},
            {"correlation_id": "6", "renew_timer": {}},
        ]
    }
}
LOGOUT = {"logout": {"text": "done"}}
SESSION = (LOGON, FRAME, LOGOUT)
"""The messages of a session, in order."""


def methods(server: Server) -> Iterator[MethodDescriptor]:
    """The public methods of a server."""
    for service in SERVED_BY[server]:
        yield from service.methods


def path_of(method: MethodDescriptor) -> str:
    """A method's gRPC path."""
    return f"/{method.containing_service.full_name}/{method.name}"


def messages(method: MethodDescriptor) -> list[bytes]:
    """The messages of a valid call, serialized."""
    sent = SESSION if method.client_streaming else (REQUESTS[method.name],)
    return [_serialized(method, one) for one in sent]


def _serialized(method: MethodDescriptor, fields: Any) -> bytes:
    message: Message = GetMessageClass(method.input_type)()
    return json_format.ParseDict(fields, message).SerializeToString()

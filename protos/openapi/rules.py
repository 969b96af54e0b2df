"""What values look like and how many there may be, where no descriptor can say it.

The servers enforce these rules; a test holds the patterns against theirs. A
name means the same thing in every contract, so that patterns go by it; what is
required or bounded goes by message and field. Called by `protos.openapi.schemas`.
"""

from collections.abc import Mapping
from typing import Any

KEY = r"[A-Za-z0-9_.:-]{1,36}"
DECIMAL = r"-?[0-9]{1,18}(\.[0-9]{1,9})?"
VENUE_ID = r"[1-9][0-9]{0,18}"
LABEL = r"[\x21-\x7e]{1,36}"
DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"

_NAMES = {
    KEY: "cl_ord_id orig_cl_ord_id quote_id list_id",
    DECIMAL: "qty price stop_px display_qty min_qty offset bid_px bid_qty ask_px ask_qty cum_qty leaves_qty avg_px"
    " last_px last_qty fee held_qty avg_cost realized_pnl unrealized_pnl mark_px market_value gross net equity cash"
    " held buying_power margin fees px traded_qty tick_size lot_size multiplier strike_price auction_px auction_qty"
    " limit current projected",
    VENUE_ID: "order_id exec_id trade_id",
    LABEL: "decision_maker strategy_id",
    DATE: "expiry_date",
}
PATTERNS: Mapping[str, str] = {name: pattern for pattern, names in _NAMES.items() for name in names.split()}
"""By the name of a field of text: the form of a value that is not empty."""

ECHOES = frozenset({"SubmitOrderResult.cl_ord_id"})
"""Fields of answers that repeat what the client wrote, whatever its form was."""

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "OrderTerms": ("cl_ord_id", "symbol", "side", "ord_type", "qty"),
    "Trail": ("offset", "unit"),
    "QuoteEntry": ("symbol",),
    "SubmitOrdersRequest": ("orders",),
    "SubmitQuotesRequest": ("quote_id", "entries"),
    "ReplaceOrderRequest": ("cl_ord_id",),
    "SubscribeTicksRequest": ("symbols",),
    "SubscribeTradesRequest": ("symbols",),
}
"""By message: what a request must say. A path says its fields in any case."""

BOUNDS: Mapping[str, Mapping[str, int]] = {
    "SubmitOrdersRequest.orders": {"minItems": 1, "maxItems": 256},
    "SubmitQuotesRequest.entries": {"minItems": 1, "maxItems": 256},
    "StreamDropCopyRequest.accounts": {"maxItems": 64},
    "SubscribeTicksRequest.symbols": {"minItems": 1, "maxItems": 256},
    "SubscribeTradesRequest.symbols": {"minItems": 1, "maxItems": 256},
    "SubscribeBookRequest.depth": {"minimum": 1, "maximum": 100},
    "StreamPortfolioRequest.interval_ms": {"minimum": 10, "maximum": 60_000},
    "ListOrdersRequest.page_size": {"minimum": 1, "maximum": 1_000},
    "ListInstrumentsRequest.page_size": {"minimum": 1, "maximum": 1_000},
    "ListAuditEntriesRequest.page_size": {"minimum": 1, "maximum": 1_000},
    "Contingency.leg": {"minimum": 1, "maximum": 8},
}
"""By message and field: the least and the most that a request may ask for."""

_ORDER = {
    "account": "DEMO",
    "cl_ord_id": "my-first-order",
    "symbol": "AAPL",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_LIMIT",
    "time_in_force": "TIME_IN_FORCE_DAY",
    "qty": "10",
    "price": "190.00",
}
_BASKET = [{**_ORDER, "cl_ord_id": f"basket-1-{leg}", "price": price} for leg, price in ((1, "189.00"), (2, "188.00"))]
_QUOTE = {"symbol": "AAPL", "bid_px": "189.90", "bid_qty": "100", "ask_px": "190.10", "ask_qty": "100"}
EXAMPLES: Mapping[str, Any] = {
    "SubmitOrder": _ORDER,
    "CheckOrder": _ORDER,
    "SubmitOrders": {"account": "DEMO", "orders": _BASKET},
    "SubmitQuotes": {"account": "MM", "quote_id": "my-first-quote", "entries": [_QUOTE]},
    "MassCancelOrders": {"account": "DEMO", "symbol": "AAPL", "side": "SIDE_BUY", "cl_ord_id": "my-first-mass-cancel"},
    "ReplaceOrder": {"cl_ord_id": "my-first-replace", "qty": "5", "price": "191.00"},
}
"""By method: a body to begin with."""

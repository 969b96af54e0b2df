"""Everything wrong that a client can send, as one table; it runs over gRPC and over REST.

A case is a good request with one thing wrong. The reason, the field and the
status follow from the contract, not from the way in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from runtime.reasons import RULES
from runtime.reasons_page import HTTP

Fields = Mapping[str, Any]
ORDERS, PORTFOLIO = "ordergate.orders.v1.OrderEntryService", "ordergate.orders.v1.PortfolioService"
DIGITS = "9" * 5_000


@dataclass(frozen=True)
class Call:
    """A method, and where REST finds it."""

    path: str
    request: type[Message]
    verb: str
    rest: str
    """The REST path; names in braces are taken from the fields, the others become body or query."""
    good: Fields
    """The fields of a request that would be carried out, but for what a case changes."""


ORDER: Fields = {
    "account": "DEMO",
    "symbol": "AAPL",
    "side": "SIDE_BUY",
    "ord_type": "ORD_TYPE_LIMIT",
    "time_in_force": "TIME_IN_FORCE_GTC",
    "qty": "5",
    "price": "1.00",
}
REPLACE: Fields = {"account": "DEMO", "order_id": "1", "qty": "5"}

SUBMIT = Call(f"/{ORDERS}/SubmitOrder", entry.SubmitOrderRequest, "POST", "/api/v1/orders", ORDER)
AMEND = Call(f"/{ORDERS}/ReplaceOrder", entry.ReplaceOrderRequest, "PATCH", "/api/v1/orders/{order_id}", REPLACE)
CANCEL = Call(
    f"/{ORDERS}/CancelOrder",
    entry.CancelOrderRequest,
    "DELETE",
    "/api/v1/orders/{order_id}",
    {"account": "DEMO", "order_id": "1"},
)
GET = Call(
    f"/{ORDERS}/GetOrder",
    entry.GetOrderRequest,
    "GET",
    "/api/v1/orders/{order_id}",
    {"account": "DEMO", "order_id": "1"},
)
GET_BY_KEY = Call(
    f"/{ORDERS}/GetOrder",
    entry.GetOrderRequest,
    "GET",
    "/api/v1/accounts/{account}/orders/by-client-id/{cl_ord_id}",
    {"account": "DEMO", "cl_ord_id": "never-used"},
)
LIST = Call(f"/{ORDERS}/ListOrders", entry.ListOrdersRequest, "GET", "/api/v1/orders", {"account": "DEMO"})
POSITIONS = Call(
    f"/{PORTFOLIO}/ListPositions", portfolio.ListPositionsRequest, "GET", "/api/v1/positions", {"account": "DEMO"}
)
CASH = Call(
    f"/{PORTFOLIO}/GetPortfolio", portfolio.GetPortfolioRequest, "GET", "/api/v1/portfolio", {"account": "DEMO"}
)


@dataclass(frozen=True)
class BadInput:
    """A request with one thing wrong, and how it must be refused."""

    name: str
    call: Call
    reason: str
    wrong: Fields
    """What differs from a good request."""
    field: str = ""
    """The field at fault, as the request names it; empty where none is."""
    token: str = "good"
    """`good`, `missing`, `garbage`, `forged`, `expired`, `officer`, `two accounts`."""
    by_rest: bool = True
    """Whether REST can say it: a part of a path cannot be empty."""

    @property
    def status(self) -> grpc.StatusCode:
        """Its gRPC status."""
        return RULES[types.Reason.Value(f"REASON_{self.reason}")].status

    @property
    def http(self) -> int:
        """Its HTTP status; a body that is too large does not get past Envoy, which has a status of its own for it."""
        return 413 if self.reason == "MESSAGE_TOO_LARGE" else HTTP[self.status]


def order(reason: str, at_fault: str, **wrong: Any) -> BadInput:
    """An order with one thing wrong."""
    shown = ",".join(f"{name}={str(value)[:20]!r}" for name, value in wrong.items())
    return BadInput(f"order {shown}", SUBMIT, reason, wrong, at_fault)


def other(call: Call, reason: str, at_fault: str = "", by_rest: bool = True, **wrong: Any) -> BadInput:
    """Another request with one thing wrong."""
    shown = ",".join(f"{name}={str(value)[:20]!r}" for name, value in wrong.items())
    return BadInput(f"{call.path.rpartition('/')[2]} {shown}", call, reason, wrong, at_fault, by_rest=by_rest)


MALFORMED_DECIMALS = [
    *("x", "1e3", "1E3", "+1", " 1", "1 ", ".5", "5.", "1,5", "0x1", "NaN", "inf"),
    *("\u0663", "1" * 19, DIGITS),
]

CASES: list[BadInput] = [
    *(order("DECIMAL_INVALID", name, **{name: text}) for name in ("qty", "price") for text in MALFORMED_DECIMALS),
    order("FIELD_MISSING", "qty", qty=""),
    order("FIELD_MISSING", "price", price=""),
    order("NOT_POSITIVE", "qty", qty="0"),
    order("NOT_POSITIVE", "qty", qty="-5"),
    order("NOT_POSITIVE", "price", price="0.00"),
    order("NOT_POSITIVE", "price", price="-1.00"),
    order("QTY_OFF_LOT", "qty", qty="2.5"),
    order("QTY_OFF_LOT", "qty", symbol="EURUSD", qty="1500", price="1.1"),
    order("PRICE_OFF_TICK", "price", price="1.001"),
    order("VALUE_TOO_LARGE", "qty", qty="999999999999999999"),
    order("VALUE_TOO_LARGE", "price", price="999999999999999999"),
    order("VALUE_TOO_LARGE", "qty", qty="1000000000000", price="10000000000"),
    order("FIELD_MISSING", "symbol", symbol=""),
    order("SYMBOL_UNKNOWN", "symbol", symbol="NONE"),
    order("SYMBOL_UNKNOWN", "symbol", symbol="aapl"),
    order("SYMBOL_UNKNOWN", "symbol", symbol="\u0000'; DROP TABLE orders; --"),
    order("SYMBOL_UNKNOWN", "symbol", symbol="S" * 500_000),
    order("FIELD_MISSING", "side", side="SIDE_UNSPECIFIED"),
    order("ENUM_UNKNOWN", "side", side=99),
    order("FIELD_MISSING", "ord_type", ord_type="ORD_TYPE_UNSPECIFIED"),
    order("ENUM_UNKNOWN", "ord_type", ord_type=-7),
    order("FIELD_MISSING", "stop_px", ord_type="ORD_TYPE_STOP_LIMIT"),
    order("FIELD_MISSING", "trail", ord_type="ORD_TYPE_TRAILING_STOP", price=""),
    order("FIELD_MISSING", "trail.unit", ord_type="ORD_TYPE_TRAILING_STOP", price="", trail={"offset": "1"}),
    order("ENUM_UNKNOWN", "time_in_force", time_in_force=5),
    order("FIELD_MISSING", "expire_time", time_in_force="TIME_IN_FORCE_GTD"),
    order("EXPIRED", "expire_time", time_in_force="TIME_IN_FORCE_GTD", expire_time="2020-01-01T00:00:00Z"),
    order("ENUM_UNKNOWN", "self_trade_prevention", self_trade_prevention=2_147_483_647),
    order("FIELDS_CONFLICT", "stop_px", stop_px="1"),
    order("PRICE_OFF_TICK", "stop_px", ord_type="ORD_TYPE_STOP_LIMIT", stop_px="1.001"),
    order("FIELD_INVALID", "display_qty", display_qty="1000000"),
    order("QTY_OFF_LOT", "display_qty", display_qty="0.5"),
    order("FIELDS_CONFLICT", "min_qty", min_qty="1"),
    order("FIELDS_CONFLICT", "exec_inst", time_in_force="TIME_IN_FORCE_IOC", exec_inst={"post_only": True}),
    order("FIELDS_CONFLICT", "expire_time", expire_time="2030-01-01T00:00:00Z"),
    order("FIELDS_CONFLICT", "contingency", contingency={"leg": 1}),
    order("FIELD_MISSING", "contingency.list_id", contingency={"type": "CONTINGENCY_TYPE_OCO", "leg": 1}),
    order(
        "ORDER_UNKNOWN",
        "contingency.list_id",
        contingency={"type": "CONTINGENCY_TYPE_OCO", "list_id": "no-such-list", "leg": 2},
    ),
    order("FIELDS_CONFLICT", "trail", trail={"offset": "1"}),
    order("FIELDS_CONFLICT", "price", ord_type="ORD_TYPE_MARKET"),
    order("FIELD_INVALID", "cl_ord_id", cl_ord_id="a b"),
    order("FIELD_INVALID", "cl_ord_id", cl_ord_id="k" * 37),
    order("FIELD_INVALID", "cl_ord_id", cl_ord_id="k" * 500_000),
    order("FIELD_MISSING", "cl_ord_id", cl_ord_id=""),
    order("FIELD_INVALID", "decision_maker", decision_maker="d" * 37),
    order("FIELD_INVALID", "strategy_id", strategy_id="two words"),
    order("ACCOUNT_NOT_ALLOWED", "order.account", account="MM"),
    order("ACCOUNT_NOT_ALLOWED", "order.account", account="DEMO "),
    order("ACCOUNT_NOT_ALLOWED", "order.account", account="A" * 500_000),
    order("ORDER_NOTIONAL_LIMIT", "qty", qty="1000000", price="1000000.00"),
    order("BUYING_POWER", "", qty="100000", price="250.00"),
    order("POSITION_INSUFFICIENT", "", side="SIDE_SELL", qty="1000000"),
    order("SHORT_SALE_NOT_PERMITTED", "side", side="SIDE_SELL_SHORT"),
    order("MESSAGE_TOO_LARGE", "", strategy_id="s" * (1024 * 1024)),
    other(AMEND, "NOTHING_TO_REPLACE", "qty", qty=""),
    other(AMEND, "DECIMAL_INVALID", "qty", qty="many"),
    other(AMEND, "DECIMAL_INVALID", "price", price=DIGITS),
    other(AMEND, "NOT_POSITIVE", "qty", qty="-1"),
    other(AMEND, "VALUE_TOO_LARGE", "qty", qty="999999999999999999"),
    other(AMEND, "DECIMAL_INVALID", "stop_px", stop_px="up"),
    other(AMEND, "NOT_POSITIVE", "display_qty", display_qty="0"),
    other(AMEND, "FIELD_MISSING", "cl_ord_id", cl_ord_id=""),
    other(AMEND, "FIELD_INVALID", "order_id", order_id="abc"),
    other(AMEND, "FIELD_MISSING", "orig_cl_ord_id", by_rest=False, order_id=""),
    other(AMEND, "ORDER_UNKNOWN", order_id="9223372036854775807"),
    other(AMEND, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(CANCEL, "FIELD_INVALID", "order_id", order_id="-1"),
    other(CANCEL, "FIELD_INVALID", "order_id", order_id="9223372036854775808"),
    other(CANCEL, "FIELD_INVALID", "order_id", order_id=DIGITS),
    other(CANCEL, "FIELD_MISSING", "orig_cl_ord_id", by_rest=False, order_id=""),
    other(CANCEL, "FIELD_INVALID", "cl_ord_id", cl_ord_id="a b"),
    other(CANCEL, "ORDER_UNKNOWN", order_id="9223372036854775807"),
    other(CANCEL, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(GET, "FIELD_INVALID", "order_id", order_id="0"),
    other(GET, "FIELD_INVALID", "order_id", order_id=DIGITS),
    other(GET, "FIELD_MISSING", "order_id", by_rest=False, order_id=""),
    other(GET, "ORDER_UNKNOWN", order_id="9223372036854775807"),
    other(GET, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(GET_BY_KEY, "ORDER_UNKNOWN", cl_ord_id="never-used"),
    other(GET_BY_KEY, "FIELD_INVALID", "cl_ord_id", cl_ord_id="a b"),
    other(GET_BY_KEY, "FIELD_INVALID", "cl_ord_id", cl_ord_id="k" * 5_000),
    other(GET_BY_KEY, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(LIST, "FIELD_INVALID", "page_size", page_size=1_001),
    other(LIST, "FIELD_INVALID", "page_size", page_size=4_294_967_295),
    other(LIST, "PAGE_TOKEN_INVALID", "page_token", page_token="x"),
    other(LIST, "PAGE_TOKEN_INVALID", "page_token", page_token="YmVmb3JlOng="),
    other(LIST, "PAGE_TOKEN_INVALID", "page_token", page_token="é"),
    other(LIST, "PAGE_TOKEN_INVALID", "page_token", page_token="Zm9vOjE="),
    other(LIST, "SYMBOL_UNKNOWN", "symbol", symbol="NONE"),
    other(LIST, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(POSITIONS, "SYMBOL_UNKNOWN", "symbol", symbol="NONE"),
    other(POSITIONS, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    other(CASH, "ACCOUNT_NOT_ALLOWED", "account", account="MM"),
    *(
        BadInput(f"{call.path.rpartition('/')[2]} with {token}", call, reason, {}, token=token)
        for call in (SUBMIT, AMEND, CANCEL, GET, LIST, POSITIONS, CASH)
        for token, reason in (
            ("missing", "TOKEN_MISSING"),
            ("garbage", "TOKEN_INVALID"),
            ("forged", "TOKEN_INVALID"),
            ("expired", "TOKEN_EXPIRED"),
        )
    ),
    BadInput("an order of a risk officer", SUBMIT, "ROLE_NOT_ALLOWED", {}, token="officer"),
    BadInput("no account named", LIST, "FIELD_MISSING", {"account": ""}, "account", token="officer"),
    *(
        BadInput(f"no account named of two, {at}", call, "FIELD_MISSING", {"account": ""}, at, token="two accounts")
        for call, at in ((LIST, "account"), (SUBMIT, "order.account"))
    ),
]


def fields_of(case: BadInput, key: str) -> dict[str, Any]:
    """The fields of a case's request, with a client key that was not used before; an order's are those of the order."""
    keyed = case.call in (SUBMIT, AMEND)
    return {**({"cl_ord_id": key} if keyed else {}), **case.call.good, **case.wrong}

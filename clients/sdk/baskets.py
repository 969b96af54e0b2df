"""What became of the orders of a basket, each by itself."""

from dataclasses import dataclass

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.errors import OrdergateError, from_detail

BASKET_MAX = 256
REFUSALS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})


@dataclass(frozen=True, slots=True)
class BasketResult:
    """What became of one order.

    Attributes:
        cl_ord_id: its key.
        report: its first report; None when it did not reach the venue.
        error: why it was not accepted, of the type that `submit` would have raised; None when it was.
    """

    cl_ord_id: str
    report: orders.ExecutionReport | None
    error: OrdergateError | None


def result_of(result: entry.SubmitOrderResult) -> BasketResult:
    """The typed form of a result."""
    if result.WhichOneof("result") == "refused":
        return BasketResult(result.cl_ord_id, None, from_detail(result.refused))
    return BasketResult(result.cl_ord_id, result.report, refusal_of(result.report))


def refusal_of(report: orders.ExecutionReport) -> OrdergateError | None:
    """The error that a report of a denial or rejection stands for; None for any other."""
    return from_detail(report.reason) if report.exec_type in REFUSALS else None

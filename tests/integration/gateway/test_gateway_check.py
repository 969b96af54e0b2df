"""CheckOrder: what would become of an order, by the same rules and with the same numbers, and nothing is placed."""

from typing import Any

import grpc
import pytest
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from tests.integration.gateway.venue import SELL, Venue, details, refused, terms, violations


async def checked(venue: Venue, order: orders.OrderTerms) -> entry.CheckOrderResponse:
    """Asks what would become of an order."""
    response: entry.CheckOrderResponse = await venue.orders.CheckOrder(
        entry.CheckOrderRequest(order=order), metadata=venue.as_role()
    )
    return response


async def test_an_order_that_would_be_accepted(venue: Venue) -> None:
    """It says so and at which place in the journal; nothing happens and the key stays free."""
    before = await venue.submit()
    order = terms()
    answer = await checked(venue, order)
    assert (answer.accepted, answer.exec_type, answer.as_of_seq) == (True, types.EXEC_TYPE_UNSPECIFIED, before.seq)
    assert not answer.HasField("reason")
    placed = await venue.submit(cl_ord_id=order.cl_ord_id)
    assert (placed.seq, placed.poss_dup) == (before.seq + 1, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": "100000", "price": "250.00"},
        {"qty": "1000000", "price": "100.00"},
        {"side": SELL, "qty": "1000000"},
        {"side": types.SIDE_SELL_SHORT},
    ],
    ids=["buying_power", "order_notional", "position", "short_sale"],
)
async def test_a_refusal_is_that_of_the_order_itself(venue: Venue, changes: dict[str, Any]) -> None:
    """Kind, reason, field, rule and numbers are those that placing it is refused with."""
    order = terms(**changes)
    answer = await checked(venue, order)
    code, info = await refused(
        venue.orders.SubmitOrder(entry.SubmitOrderRequest(order=order), metadata=venue.as_role())
    )
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert not answer.accepted
    reason = answer.reason
    assert types.Reason.Name(reason.code) == f"REASON_{info.reason}"
    assert types.ExecType.Name(answer.exec_type) == f"EXEC_TYPE_{info.metadata['exec_type']}"
    for name in ("rule", "limit", "current", "projected", "field"):
        assert getattr(reason, name) == info.metadata.get(name, ""), name
    assert str(reason.limits_version or "") == info.metadata.get("limits_version", "")


async def test_what_the_market_decides_is_checked_too(venue: Venue) -> None:
    """A post-only order that would take is REJECTED, as it would be."""
    ask = await venue.submit(accounts=["MM"], symbol="EURUSD", side=SELL, qty="1000", price="3.00000")
    taking = terms(symbol="EURUSD", qty="1000", price="3.00000", exec_inst=orders.ExecInst(post_only=True))
    answer = await checked(venue, taking)
    assert (answer.exec_type, answer.reason.code) == (types.EXEC_TYPE_REJECTED, types.REASON_WOULD_TAKE)
    request = entry.CancelOrderRequest(order_id=ask.order_id)
    await venue.orders.CancelOrder(request, metadata=venue.as_role(accounts=["MM"]))
    assert (await checked(venue, taking)).accepted


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"qty": "2.5"}, "QTY_OFF_LOT", "qty"),
        ({"symbol": "NOSUCH"}, "SYMBOL_UNKNOWN", "symbol"),
        ({"cl_ord_id": ""}, "FIELD_MISSING", "cl_ord_id"),
        ({"stop_px": "3.00"}, "FIELDS_CONFLICT", "stop_px"),
    ],
)
async def test_the_shape_is_checked_as_for_an_order(
    venue: Venue, changes: dict[str, Any], reason: str, field: str
) -> None:
    """What is wrongly formed is an error with its field, as it is of SubmitOrder."""
    for call, request in (
        (venue.orders.CheckOrder, entry.CheckOrderRequest(order=terms(**changes))),
        (venue.orders.SubmitOrder, entry.SubmitOrderRequest(order=terms(**changes))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(request, metadata=venue.as_role())
        info, status = details(error.value)
        assert (error.value.code(), info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
        assert violations(status) == [field]


async def test_a_check_needs_an_order_of_the_callers_own(venue: Venue) -> None:
    """No order is an error, and another's account is not checked."""
    empty = venue.orders.CheckOrder(entry.CheckOrderRequest(), metadata=venue.as_role())
    assert (await refused(empty))[1].reason == "FIELD_MISSING"
    foreign = entry.CheckOrderRequest(order=terms(account="MM"))
    assert (await refused(venue.orders.CheckOrder(foreign, metadata=venue.as_role())))[
        1
    ].reason == "ACCOUNT_NOT_ALLOWED"
    nobody = venue.as_role(accounts=["NOBODY"])
    answer = await venue.orders.CheckOrder(entry.CheckOrderRequest(order=terms(account="NOBODY")), metadata=nobody)
    assert (answer.exec_type, answer.reason.code) == (types.EXEC_TYPE_DENIED, types.REASON_ACCOUNT_UNKNOWN)

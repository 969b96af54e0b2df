"""Questions to matching that change nothing: one order, a page of orders, and what would become of an order.

Called by `gateway.order_service`. What cannot be asked is refused here with the
field at fault; a matching server that cannot be reached is a coded refusal.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from typing import Any

import grpc
from ordergate.matching.v1 import matching_pb2 as link_wire
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import check_key, order_id_of
from gateway.convert import checked, order_of
from gateway.events import Event
from gateway.link import Link
from runtime.errors import Refused
from runtime.instruments import Instruments

PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 100, 1_000


class Lookup:
    """Asks matching on behalf of clients."""

    def __init__(self, link: Link, instruments: Instruments) -> None:
        self._link = link
        self._instruments = instruments

    async def order(self, request: wire.GetOrderRequest) -> wire.GetOrderResponse:
        """One order, by either id.

        Raises:
            Refused: it names no order, or there is none.
        """
        if not request.order_id and not request.cl_ord_id:
            raise Refused(types.REASON_FIELD_MISSING, "order_id or cl_ord_id is missing", field="order_id")
        if request.cl_ord_id:
            check_key(request.cl_ord_id, "cl_ord_id")
        check_account(request.account)
        lookup = link_wire.LookupOrderRequest(
            account=request.account,
            order_id=order_id_of(request.order_id) if request.order_id else 0,
            cl_ord_id=request.cl_ord_id,
        )
        with matching_reached():
            found = await self._link.stub.LookupOrder(lookup)
            await self._know([found.order] if found.HasField("order") else [])
        if not found.HasField("order"):
            metadata = {"account": request.account[:40], "order_id": request.order_id, "cl_ord_id": request.cl_ord_id}
            raise Refused(types.REASON_ORDER_UNKNOWN, "there is no such order", metadata=metadata)
        return wire.GetOrderResponse(order=order_of(found.order, self._instruments))

    async def orders(self, request: wire.ListOrdersRequest) -> wire.ListOrdersResponse:
        """A page of an account's orders, newest first.

        Raises:
            Refused: SHAPE reasons, with the field.
        """
        check_account(request.account)
        if request.page_size > PAGE_SIZE_MAX:
            raise Refused(types.REASON_FIELD_INVALID, f"a page has at most {PAGE_SIZE_MAX} orders", field="page_size")
        if request.symbol:
            self._link.check_known()
            self._instruments.require(request.symbol)
        scan = link_wire.ScanOrdersRequest(
            account=request.account,
            symbol=request.symbol,
            open_only=request.open_only,
            limit=request.page_size or PAGE_SIZE_DEFAULT,
            before_order_id=_page_begin(request.page_token),
        )
        with matching_reached():
            page = await self._link.stub.ScanOrders(scan)
            await self._know(page.orders)
        listed = [order_of(state, self._instruments) for state in page.orders]
        token = _page_token(listed[-1].order_id) if page.more else ""
        return wire.ListOrdersResponse(orders=listed, next_page_token=token)

    async def _know(self, states: Iterable[link_wire.OrderState]) -> None:
        """Makes sure that the instruments of orders are known: without them prices and quantities would be wrong."""
        if any(self._instruments.get(Event(state.last_event).symbol) is None for state in states):
            await self._link.learn()

    async def check(self, command: bytes, symbol: str) -> wire.CheckOrderResponse:
        """What would become of the order that `command` would place.

        Raises:
            Refused: matching cannot be reached.
        """
        with matching_reached():
            answer = await self._link.stub.CheckOrder(link_wire.CheckOrderRequest(command=command))
        return checked(answer, self._instruments.require(symbol))


class matching_reached:  # noqa: N801  # reads as a verb where it is used
    """Turns a failed call to matching into a coded refusal."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Raises the refusal that stands for a gRPC error."""
        if isinstance(error, grpc.aio.AioRpcError):
            text = "the matching engine cannot be reached at the moment"
            raise Refused(types.REASON_MATCHING_UNAVAILABLE, text) from error


def check_account(account: str) -> None:
    """Refuses a call without an account, which the authorization lets pass for those who may see every account.

    Raises:
        Refused: FIELD_MISSING.
    """
    if not account:
        raise Refused(types.REASON_FIELD_MISSING, "account is missing", field="account")


def _page_token(order_id: str) -> str:
    return urlsafe_b64encode(f"before:{order_id}".encode()).decode()


def _page_begin(token: str) -> int:
    if not token:
        return 0
    try:
        kind, _, number = urlsafe_b64decode(token.encode()).decode().partition(":")
        if kind == "before":
            return order_id_of(number)
    except (ValueError, Refused):
        pass
    raise Refused(types.REASON_PAGE_TOKEN_INVALID, "the page token is not one of this service", field="page_token")

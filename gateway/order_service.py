"""OrderEntryService: convert, hand over, convert back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2_grpc

from gateway.admission import Admission
from gateway.encoding import Envelope
from gateway.link import Link
from gateway.lookup import Lookup
from gateway.rates.charge import charged, payer
from gateway.rates.limits import RateLimits
from gateway.report_streams import ReportStreams
from gateway.reports import Reports
from gateway.sessions import Sessions
from gateway.unary import Unary
from runtime.auth import current_principal
from runtime.clock import unix_ns
from runtime.instruments import Instruments
from runtime.lifetimes import Lifetimes
from runtime.settings import Settings


class OrderEntryService(order_entry_pb2_grpc.OrderEntryServiceServicer):
    """Order entry for clients."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        reports: Reports,
        admission: Admission,
        instruments: Instruments,
        lifetimes: Lifetimes,
        limits: RateLimits,
    ) -> None:
        self._link = link
        self._admission = admission
        self._lifetimes = lifetimes
        self._limits = limits
        self._unary = Unary(link, instruments)
        self._lookup = Lookup(link, instruments)
        self._report_streams = ReportStreams(settings, link, reports, lifetimes, limits)
        self._sessions = Sessions(settings, link, reports, admission, instruments, lifetimes, limits)

    async def SubmitOrder(  # type: ignore[override]  # what is laid out already is bytes
        self, request: wire.SubmitOrderRequest, context: Any
    ) -> bytes:
        """Places one order."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_orders, request.order.account):
            command = self._admission.new_order(request.order, self._caller(), received_unix_ns)
            return await self._unary.order(command)

    async def SubmitOrders(self, request: wire.SubmitOrdersRequest, context: Any) -> wire.SubmitOrdersResponse:
        """Places several orders under one cap."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_orders, request.account, len(request.orders)):
            basket = self._admission.basket(request, self._caller(), received_unix_ns)
            return await self._unary.basket(request, basket)

    async def CheckOrder(self, request: wire.CheckOrderRequest, context: Any) -> wire.CheckOrderResponse:
        """Says what would become of an order."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_query, payer(request.order.account)):
            command = self._admission.new_order(request.order, self._caller(), received_unix_ns)
            return await self._lookup.check(command, request.order.symbol)

    async def CancelOrder(  # type: ignore[override]  # what is laid out already is bytes
        self, request: wire.CancelOrderRequest, context: Any
    ) -> bytes:
        """Cancels one order."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_cancels, request.account):
            command = self._admission.cancel_order(request, self._caller(), received_unix_ns)
            return await self._unary.order(command, with_following=False)

    async def MassCancelOrders(
        self, request: wire.MassCancelOrdersRequest, context: Any
    ) -> wire.MassCancelOrdersResponse:
        """Cancels many orders."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_cancels, request.account):
            command = self._admission.mass_cancel(request, self._caller(), received_unix_ns)
            return await self._unary.mass_cancel(command)

    async def SubmitQuotes(self, request: wire.SubmitQuotesRequest, context: Any) -> wire.SubmitQuotesResponse:
        """Replaces an account's standing quotes."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_orders, request.account, len(request.entries)):
            caller, quotes = self._caller(), request.entries
            command = self._admission.mass_quote(request.account, request.quote_id, quotes, caller, received_unix_ns)
            return await self._unary.quotes(command)

    async def ReplaceOrder(  # type: ignore[override]  # what is laid out already is bytes
        self, request: wire.ReplaceOrderRequest, context: Any
    ) -> bytes:
        """Changes one order."""
        received_unix_ns = unix_ns()
        self._check_open()
        async with charged(context, self._limits.take_orders, request.account):
            command = self._admission.replace_order(request, self._caller(), received_unix_ns)
            return await self._unary.order(command)

    async def GetOrder(self, request: wire.GetOrderRequest, context: Any) -> wire.GetOrderResponse:
        """Looks one order up."""
        async with charged(context, self._limits.take_query, payer(request.account)):
            return await self._lookup.order(request)

    async def ListOrders(self, request: wire.ListOrdersRequest, context: Any) -> wire.ListOrdersResponse:
        """Lists an account's orders."""
        async with charged(context, self._limits.take_query, payer(request.account)):
            return await self._lookup.orders(request)

    async def GetRateBudget(self, request: wire.GetRateBudgetRequest, context: Any) -> wire.GetRateBudgetResponse:
        """Says what is left of an account's budgets, after this query."""
        async with charged(context, self._limits.take_query, payer(request.account)):
            return wire.GetRateBudgetResponse(account=request.account, budgets=self._limits.budgets(request.account))

    def StreamExecutionReports(
        self, request: wire.StreamExecutionReportsRequest, context: Any
    ) -> AsyncIterator[wire.StreamExecutionReportsResponse]:
        """Streams one account's reports."""
        return self._report_streams.of_account(request, context)

    def StreamDropCopy(
        self, request: wire.StreamDropCopyRequest, context: Any
    ) -> AsyncIterator[wire.StreamDropCopyResponse]:
        """Streams the reports of many accounts, or of all."""
        return self._report_streams.drop_copy(request, context)

    def OrderSession(  # type: ignore[override]  # messages that are laid out already are bytes
        self, request_iterator: AsyncIterator[wire.OrderSessionRequest], context: Any
    ) -> AsyncIterator[wire.OrderSessionResponse | bytes]:
        """Runs a session."""
        return self._sessions.serve(request_iterator, context)

    def _caller(self) -> Envelope:
        return self._admission.envelope(current_principal().subject)

    def _check_open(self) -> None:
        """Makes sure that new work is taken on, and that what is needed to read it is known.

        Raises:
            Refused: the gateway is about to stop, or has not reached matching yet.
        """
        self._lifetimes.check_open()
        self._link.check_known()

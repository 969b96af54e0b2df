"""The calls and streams of order entry; a part of `clients.sdk.client`.

Every request that changes something has a key, and gets one here when it has
none, before it is sent for the first time: that is what makes repeating it safe.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any
from uuid import uuid4

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.backoff import Backoff
from clients.sdk.baskets import BASKET_MAX, BasketResult, result_of
from clients.sdk.calls import Caller
from clients.sdk.errors import Unavailable
from clients.sdk.places import Service
from clients.sdk.session import WINDOW_DEFAULT, Session
from clients.sdk.streams import StreamKind, follow

_REPORTS = StreamKind("execution reports", resumes=True)
_DROP_COPY = StreamKind("the drop copy", resumes=True)


class Trading:
    """What can be done with orders; a part of `Client`."""

    _caller: Caller
    _orders: Service

    async def submit(self, order: orders.OrderTerms) -> orders.ExecutionReport:
        """Places an order; its first report. Gives the order a `cl_ord_id` when it has none.

        Raises:
            Denied: a risk rule said no.
            Rejected: the venue said no.
            Invalid: the request's form is wrong.
            RateLimited: the account's budget of orders is empty.
            OutcomeUnknown: repeat the same order, or ask with `get_order`.
        """
        order.cl_ord_id = order.cl_ord_id or new_key()
        response = await self._caller.call(self._orders.SubmitOrder, entry.SubmitOrderRequest(order=order))
        report: orders.ExecutionReport = response.report
        return report

    async def submit_many(self, terms: Iterable[orders.OrderTerms], *, account: str = "") -> list[BasketResult]:
        """Places orders of one account, one after the other; each has a result of its own, in their order.

        A refused order does not hold up the others. More orders than a basket takes go in several, and
        orders that the gateway could not decide are sent again under their keys.

        Args:
            terms: the orders; those without a `cl_ord_id` get one.
            account: whose; that of the first order when not given.

        Raises:
            Invalid: the basket's form is wrong.
            RateLimited: the account's budget of orders is empty.
            OutcomeUnknown: repeat the same orders, or ask with `get_order`.
        """
        wanted = list(terms)
        for order in wanted:
            order.cl_ord_id = order.cl_ord_id or new_key()
        account = account or (wanted[0].account if wanted else "")
        results: list[BasketResult] = []
        for begin in range(0, len(wanted), BASKET_MAX):
            results += await self._basket(account, wanted[begin : begin + BASKET_MAX])
        return results

    async def _basket(self, account: str, wanted: Sequence[orders.OrderTerms]) -> list[BasketResult]:
        backoff = Backoff(self._caller.patience.retry_s)
        results: list[BasketResult | None] = [None] * len(wanted)
        undecided = list(range(len(wanted)))
        while True:
            request = entry.SubmitOrdersRequest(account=account, orders=[wanted[place] for place in undecided])
            answers = (await self._caller.call(self._orders.SubmitOrders, request)).results
            for place, answer in zip(undecided, answers, strict=True):
                results[place] = result_of(answer)
            undecided = [place for place in undecided if isinstance(_of(results[place]).error, Unavailable)]
            delay_s = backoff.next_delay() if undecided else None
            if delay_s is None:
                return [_of(result) for result in results]
            await asyncio.sleep(delay_s)

    async def check(self, order: orders.OrderTerms) -> entry.CheckOrderResponse:
        """What would become of an order now, by the same rules and numbers, without placing it.

        Raises:
            Invalid: the order's form is wrong.
        """
        request = entry.CheckOrderRequest(order=order)
        request.order.cl_ord_id = order.cl_ord_id or new_key()
        response: entry.CheckOrderResponse = await self._caller.call(self._orders.CheckOrder, request)
        return response

    async def cancel(
        self, account: str, *, order_id: str = "", orig_cl_ord_id: str = "", cl_ord_id: str = ""
    ) -> orders.ExecutionReport:
        """Cancels an open order, named by `order_id` or by the client's key `orig_cl_ord_id`.

        Raises:
            NotFound: no such order.
            Rejected: the order is no longer open.
        """
        request = entry.CancelOrderRequest(account=account, cl_ord_id=cl_ord_id or new_key())
        _name_order(request, order_id, orig_cl_ord_id)
        report: orders.ExecutionReport = (await self._caller.call(self._orders.CancelOrder, request)).report
        return report

    async def mass_cancel(
        self,
        account: str,
        *,
        symbol: str = "",
        side: types.Side.ValueType = types.SIDE_UNSPECIFIED,
        cl_ord_id: str = "",
    ) -> entry.MassCancelOrdersResponse:
        """Cancels the open orders of an account, or those of a symbol or side among them."""
        request = entry.MassCancelOrdersRequest(
            account=account,
            symbol=symbol,
            side=side,
            all_orders=not (symbol or side),
            cl_ord_id=cl_ord_id or new_key(),
        )
        response: entry.MassCancelOrdersResponse = await self._caller.call(self._orders.MassCancelOrders, request)
        return response

    async def quotes(
        self, account: str, entries: Iterable[orders.QuoteEntry], *, quote_id: str = ""
    ) -> entry.SubmitQuotesResponse:
        """Quotes both sides of instruments; replaces the account's standing quotes of them.

        What became of each side is told by the reports; a refused side is no error of the call.
        """
        request = entry.SubmitQuotesRequest(account=account, quote_id=quote_id or new_key(), entries=entries)
        response: entry.SubmitQuotesResponse = await self._caller.call(self._orders.SubmitQuotes, request)
        return response

    async def quote(
        self,
        account: str,
        symbol: str,
        *,
        bid_px: str = "",
        bid_qty: str = "",
        ask_px: str = "",
        ask_qty: str = "",
        quote_id: str = "",
    ) -> entry.SubmitQuotesResponse:
        """Quotes one instrument; a side without a price is withdrawn."""
        one = orders.QuoteEntry(symbol=symbol, bid_px=bid_px, bid_qty=bid_qty, ask_px=ask_px, ask_qty=ask_qty)
        return await self.quotes(account, [one], quote_id=quote_id)

    async def replace(
        self,
        account: str,
        *,
        order_id: str = "",
        orig_cl_ord_id: str = "",
        cl_ord_id: str = "",
        qty: str = "",
        price: str = "",
        stop_px: str = "",
        display_qty: str = "",
    ) -> orders.ExecutionReport:
        """Changes an open order; what is not given stays.

        Raises:
            NotFound: no such order.
            Rejected: the order is no longer open, or the change is not possible.
            Denied: a risk rule said no.
        """
        request = entry.ReplaceOrderRequest(
            account=account,
            cl_ord_id=cl_ord_id or new_key(),
            qty=qty,
            price=price,
            stop_px=stop_px,
            display_qty=display_qty,
        )
        _name_order(request, order_id, orig_cl_ord_id)
        report: orders.ExecutionReport = (await self._caller.call(self._orders.ReplaceOrder, request)).report
        return report

    async def get_order(self, account: str, *, order_id: str = "", cl_ord_id: str = "") -> orders.Order:
        """The state of one order, by either id; raises NotFound when there is none."""
        request = entry.GetOrderRequest(account=account)
        if order_id:
            request.order_id = order_id
        else:
            request.cl_ord_id = cl_ord_id
        order: orders.Order = (await self._caller.call(self._orders.GetOrder, request)).order
        return order

    async def list_orders(
        self, account: str, *, symbol: str = "", open_only: bool = False, page_size: int = 0
    ) -> AsyncGenerator[orders.Order, None]:
        """The orders of an account, newest first."""
        request = entry.ListOrdersRequest(account=account, symbol=symbol, open_only=open_only, page_size=page_size)
        async for page in self._caller.pages(self._orders.ListOrders, request):
            for order in page.orders:
                yield order

    async def rate_budget(self, account: str) -> entry.GetRateBudgetResponse:
        """What is left of the account's budgets of requests."""
        request = entry.GetRateBudgetRequest(account=account)
        response: entry.GetRateBudgetResponse = await self._caller.call(self._orders.GetRateBudget, request)
        return response

    async def reports(
        self, account: str, *, resume_after: int | None = None
    ) -> AsyncGenerator[orders.ExecutionReport, None]:
        """The execution reports of an account as they come, or everything after `resume_after`.

        Raises:
            StreamGap: reports are missing and cannot be had any more; `account` goes on from a snapshot by itself.
        """

        def request_at(position: int | None) -> Any:
            return entry.StreamExecutionReportsRequest(account=account, resume_after=position)

        method = self._orders.StreamExecutionReports
        async for message in follow(self._caller, _REPORTS, method, request_at, resume_after):
            yield message.report

    async def drop_copy(
        self, *accounts: str, resume_after: int | None = None
    ) -> AsyncGenerator[orders.ExecutionReport, None]:
        """The execution reports of accounts, or of all that the token may see, in one sequence.

        Raises:
            StreamGap: reports are missing and cannot be had any more.
        """

        def request_at(position: int | None) -> Any:
            return entry.StreamDropCopyRequest(accounts=accounts, resume_after=position)

        had = resume_after or 0
        method = self._orders.StreamDropCopy
        async for message in follow(self._caller, _DROP_COPY, method, request_at, resume_after):
            for report in message.frame.reports:
                if report.seq > had:
                    had = report.seq
                    yield report

    def session(
        self,
        accounts: Sequence[str],
        *,
        window: int = WINDOW_DEFAULT,
        cancel_on_disconnect: bool | None = None,
        dead_man_timer_ms: int = 0,
        heartbeat_interval_s: int = 0,
        ack_level: entry.AckLevel.ValueType = entry.ACK_LEVEL_UNSPECIFIED,
        resume_after: int | None = None,
        name: str = "",
    ) -> Session:
        """An order session, to be used with `async with`.

        Args:
            accounts: whose orders it may send and whose reports it gets.
            window: most commands that may wait for their answer.
            cancel_on_disconnect: cancel the session's open orders whenever its connection ends, as it is
                when not given. A session that shall find its orders in the book after a break turns this off.
            dead_man_timer_ms: cancel them too when the client is silent for so long, 1000 to 3600000; the
                session renews the timer by itself. 0 for no timer.
            heartbeat_interval_s: seconds between heartbeats, 1 to 60.
            ack_level: which reports to send.
            resume_after: replay the accounts' reports after this sequence first.
            name: for logs.
        """
        logon = entry.Logon(
            accounts=accounts,
            cancel_on_disconnect=cancel_on_disconnect,
            dead_man_timer_ms=dead_man_timer_ms,
            heartbeat_interval_s=heartbeat_interval_s,
            ack_level=ack_level,
            resume_after=resume_after,
            session_name=name,
        )
        return Session(self._caller, self._orders.OrderSession, logon, window=window)


def new_key() -> str:
    """A new `cl_ord_id`, unique without asking anybody."""
    return uuid4().hex


def _of(result: BasketResult | None) -> BasketResult:
    assert result is not None, "each order of a basket has a result"
    return result


def _name_order(request: Any, order_id: str, orig_cl_ord_id: str) -> None:
    if order_id:
        request.order_id = order_id
    else:
        request.orig_cl_ord_id = orig_cl_ord_id

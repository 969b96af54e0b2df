"""The commands of a session as calls: each waits for its own answer and gives it, or raises what was refused.

They go the fast way of the session. Somebody has to read the session's frames
meanwhile: every report and reply comes there as well.
"""

from abc import ABC, abstractmethod

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.baskets import refusal_of
from clients.sdk.errors import from_detail
from clients.sdk.inbox import Answer


class Asking(ABC):
    """Calls over a session; a part of `Session`."""

    @abstractmethod
    async def ask(self, command: entry.SessionCommand) -> Answer:
        """Sends a command and waits for its answer, whatever it is."""

    async def submit(self, order: orders.OrderTerms) -> orders.ExecutionReport:
        """Places an order; raises what `Client.submit` raises."""
        return _report(await self.ask(entry.SessionCommand(submit=order)))

    async def replace(self, request: entry.ReplaceOrderRequest) -> orders.ExecutionReport:
        """Changes an order; raises what `Client.replace` raises."""
        return _report(await self.ask(entry.SessionCommand(replace=request)))

    async def cancel(self, request: entry.CancelOrderRequest) -> orders.ExecutionReport:
        """Cancels an order; raises what `Client.cancel` raises."""
        return _report(await self.ask(entry.SessionCommand(cancel=request)))

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
            account=account, symbol=symbol, side=side, all_orders=not (symbol or side), cl_ord_id=cl_ord_id
        )
        return _reply(await self.ask(entry.SessionCommand(mass_cancel=request))).mass_canceled

    async def quote(self, terms: orders.QuoteTerms) -> entry.SubmitQuotesResponse:
        """Quotes both sides of an instrument; what became of each is among the reports."""
        return _reply(await self.ask(entry.SessionCommand(quote=terms))).quoted


def _report(answer: Answer) -> orders.ExecutionReport:
    report = answer if isinstance(answer, orders.ExecutionReport) else _reply(answer).original
    error = refusal_of(report)
    if error is not None:
        raise error
    return report


def _reply(answer: Answer) -> entry.CommandReply:
    """A reply that refuses nothing; a key that was used for another request is refused by a report."""
    if isinstance(answer, orders.ExecutionReport):
        raise from_detail(answer.reason)
    error = from_detail(answer.refused) if answer.HasField("refused") else refusal_of(answer.original)
    if error is not None:
        raise error
    return answer

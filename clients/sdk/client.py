"""The client: every public call and stream of ordergate, typed.

Unary calls retry what is safe to retry; streams heal themselves; failures are
`OrdergateError`s. The calls are grouped by the server that answers them; all of
them may go to one address, where Envoy stands.
"""

from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import grpc
from ordergate.compliance.v1 import audit_pb2 as audit
from ordergate.compliance.v1 import audit_pb2_grpc
from ordergate.marketdata.v1 import marketdata_pb2 as md
from ordergate.marketdata.v1 import marketdata_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc, portfolio_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from clients.sdk.audit import AuditLeaves, stream_leaves
from clients.sdk.book import Book, BookBuilder
from clients.sdk.calls import Caller, Patience, open_channel
from clients.sdk.session import WINDOW_DEFAULT, Session
from clients.sdk.streams import StreamKind, follow
from clients.sdk.tokens import TokenProvider, static_token

_REPORTS = StreamKind("execution reports", resumes=True)
_TRADES = StreamKind("trades", resumes=True)
_TICKS = StreamKind("ticks", resumes=False)
_BOOK = StreamKind("book levels", resumes=False, snapshots=frozenset({"snapshot"}))


class Client:
    """A connection to an installation of ordergate.

    Args:
        gateway: address of the gateway, or of Envoy.
        marketdata: address of the market data server; the gateway's when not given.
        compliance: address of the compliance server; the gateway's when not given.
        token: a bearer token, or a provider that is asked before each call.
        credentials: TLS credentials; plain text without.
        patience: how long to wait and retry.
    """

    def __init__(
        self,
        gateway: str,
        *,
        marketdata: str | None = None,
        compliance: str | None = None,
        token: str | TokenProvider | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        patience: Patience | None = None,
    ) -> None:
        provider = static_token(token) if isinstance(token, str) else token
        self._caller = Caller(provider, patience or Patience())
        addresses = {"gateway": gateway, "marketdata": marketdata or gateway, "compliance": compliance or gateway}
        self._channels = {address: open_channel(address, credentials) for address in addresses.values()}
        channels = {name: self._channels[address] for name, address in addresses.items()}
        self._orders = order_entry_pb2_grpc.OrderEntryServiceStub(channels["gateway"])
        self._portfolio = portfolio_pb2_grpc.PortfolioServiceStub(channels["gateway"])
        self._market = marketdata_pb2_grpc.MarketDataServiceStub(channels["marketdata"])
        self._audit = audit_pb2_grpc.AuditServiceStub(channels["compliance"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        for channel in self._channels.values():
            await channel.close()

    # Orders

    async def submit(self, order: orders.OrderTerms) -> orders.ExecutionReport:
        """Places an order; its first report. Gives the order a `cl_ord_id` when it has none.

        Raises:
            Denied: a risk rule said no.
            Rejected: the venue said no.
            Invalid: the request's form is wrong.
            OutcomeUnknown: repeat the same order, or ask with `get_order`.
        """
        order.cl_ord_id = order.cl_ord_id or new_key()
        response = await self._caller.call(self._orders.SubmitOrder, entry.SubmitOrderRequest(order=order))
        report: orders.ExecutionReport = response.report
        return report

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
        async for page in self._pages(self._orders.ListOrders, request):
            for order in page.orders:
                yield order

    async def reports(
        self, account: str, *, resume_after: int | None = None
    ) -> AsyncGenerator[orders.ExecutionReport, None]:
        """The execution reports of an account as they come, or everything after `resume_after`.

        Raises:
            StreamGap: reports are missing and cannot be had any more.
        """

        def open_at(position: int | None) -> tuple[Any, Any]:
            request = entry.StreamExecutionReportsRequest(account=account, resume_after=position)
            return self._orders.StreamExecutionReports, request

        async for message in follow(self._caller, _REPORTS, open_at, resume_after):
            yield message.report

    def session(
        self,
        accounts: Sequence[str],
        *,
        window: int = WINDOW_DEFAULT,
        cancel_on_disconnect: bool | None = None,
        dead_man_timer_ms: int = 0,
        heartbeat_interval_s: int = 0,
        ack_level: entry.AckLevel.ValueType = entry.ACK_LEVEL_ALL,
        resume_after: int | None = None,
        name: str = "",
    ) -> Session:
        """An order session, to be used with `async with`.

        Args:
            accounts: whose orders it may send and whose reports it gets.
            window: most commands that may wait for their answer.
            cancel_on_disconnect: cancel the session's open orders when it ends; None leaves it to the gateway.
                A session that shall survive the death of a gateway with its orders in the book turns this off.
            dead_man_timer_ms: cancel them too when the client is silent for so long; the session renews the timer.
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

    # Portfolio

    async def positions(self, account: str, *, symbol: str = "") -> portfolio.ListPositionsResponse:
        """What an account holds."""
        request = portfolio.ListPositionsRequest(account=account, symbol=symbol)
        response: portfolio.ListPositionsResponse = await self._caller.call(self._portfolio.ListPositions, request)
        return response

    async def portfolio(self, account: str) -> portfolio.GetPortfolioResponse:
        """Cash, positions and buying power of an account."""
        request = portfolio.GetPortfolioRequest(account=account)
        response: portfolio.GetPortfolioResponse = await self._caller.call(self._portfolio.GetPortfolio, request)
        return response

    # Market data

    async def market_data(self, *symbols: str) -> md.GetMarketDataResponse:
        """The present quote, last trade and reference price of symbols; of all when none is named."""
        request = md.GetMarketDataRequest(symbols=symbols)
        response: md.GetMarketDataResponse = await self._caller.call(self._market.GetMarketData, request)
        return response

    async def instruments(
        self, *, asset_class: types.AssetClass.ValueType = types.ASSET_CLASS_UNSPECIFIED
    ) -> AsyncGenerator[md.Instrument, None]:
        """The listed instruments, sorted by symbol."""
        request = md.ListInstrumentsRequest(asset_class=asset_class)
        async for page in self._pages(self._market.ListInstruments, request):
            for instrument in page.instruments:
                yield instrument

    async def feed_status(self) -> md.GetFeedStatusResponse:
        """Which feeds run, and how fresh they are."""
        response: md.GetFeedStatusResponse = await self._caller.call(
            self._market.GetFeedStatus, md.GetFeedStatusRequest()
        )
        return response

    async def ticks(self, *symbols: str) -> AsyncGenerator[md.MarketData | md.Tick, None]:
        """First the present state of each symbol (`MarketData`), then its changes (`Tick`); again after a reconnect."""

        def open_at(_position: int | None) -> tuple[Any, Any]:
            return self._market.SubscribeTicks, md.SubscribeTicksRequest(symbols=symbols)

        async for message in follow(self._caller, _TICKS, open_at):
            if message.WhichOneof("message") == "snapshot":
                yield message.snapshot
            else:
                for tick in message.frame.ticks:
                    yield tick

    async def book(self, symbol: str, *, depth: int = 10) -> AsyncGenerator[Book, None]:
        """The depth of a symbol, whole, after each change."""

        def open_at(_position: int | None) -> tuple[Any, Any]:
            return self._market.SubscribeBook, md.SubscribeBookRequest(symbol=symbol, depth=depth)

        builder = BookBuilder(symbol, depth)
        async for message in follow(self._caller, _BOOK, open_at):
            yield builder.apply(message)

    async def trades(self, *symbols: str, resume_after: int | None = None) -> AsyncGenerator[md.TradeReport, None]:
        """The trades of symbols as they come, or everything after the journal position `resume_after`.

        Raises:
            StreamGap: trades are missing and cannot be had any more.
        """

        def open_at(position: int | None) -> tuple[Any, Any]:
            return self._market.SubscribeTrades, md.SubscribeTradesRequest(symbols=symbols, resume_after=position)

        async for message in follow(self._caller, _TRADES, open_at, resume_after):
            for trade in message.frame.trades:
                yield trade

    # Audit

    async def audit_entries(self, request: audit.ListAuditEntriesRequest) -> AsyncGenerator[audit.AuditEntry, None]:
        """Entries of the audit log that pass the filters of `request`, newest first."""
        async for page in self._pages(self._audit.ListAuditEntries, request):
            for record in page.entries:
                yield record

    async def checkpoint(self, tree_size: int = 0) -> audit.GetCheckpointResponse:
        """The signed checkpoint of exactly `tree_size`; the newest when 0."""
        request = audit.GetCheckpointRequest(tree_size=tree_size)
        response: audit.GetCheckpointResponse = await self._caller.call(self._audit.GetCheckpoint, request)
        return response

    async def inclusion_proof(self, leaf_index: int, tree_size: int = 0) -> audit.GetInclusionProofResponse:
        """The proof that a leaf is in the tree of a checkpoint; raises NotFound while it is in none."""
        request = audit.GetInclusionProofRequest(leaf_index=leaf_index, tree_size=tree_size)
        response: audit.GetInclusionProofResponse = await self._caller.call(self._audit.GetInclusionProof, request)
        return response

    async def consistency_proof(self, from_size: int, to_size: int = 0) -> audit.GetConsistencyProofResponse:
        """The proof that the tree of `from_size` is a prefix of the later one."""
        request = audit.GetConsistencyProofRequest(from_size=from_size, to_size=to_size)
        response: audit.GetConsistencyProofResponse = await self._caller.call(self._audit.GetConsistencyProof, request)
        return response

    def audit_leaves(self, from_index: int, to_index: int) -> AsyncGenerator[AuditLeaves, None]:
        """The raw entries of a range of the log, in order and without a hole."""
        return stream_leaves(self._caller, self._audit.StreamAuditEntries, from_index, to_index)

    async def _pages(self, method: Any, request: Any) -> AsyncGenerator[Any, None]:
        while True:
            page = await self._caller.call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token


def new_key() -> str:
    """A new `cl_ord_id`, unique without asking anybody."""
    return uuid4().hex


def _name_order(request: Any, order_id: str, orig_cl_ord_id: str) -> None:
    if order_id:
        request.order_id = order_id
    else:
        request.orig_cl_ord_id = orig_cl_ord_id

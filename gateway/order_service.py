"""OrderEntryService: convert, hand over, convert back."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, NamedTuple

import grpc
from ordergate.matching.v1 import matching_pb2 as link_wire
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Admission, check_key, order_id_of
from gateway.convert import order_of, refusal
from gateway.convert import report as make_report
from gateway.encoding import Envelope
from gateway.events import Event
from gateway.link import Link
from gateway.reports import Reader, Reports
from gateway.session import Session, check_logon
from gateway.stream import ReportStream
from runtime.auth import current_principal
from runtime.clock import unix_ns
from runtime.errors import Refused
from runtime.instruments import Instruments
from runtime.lifetimes import Lifetimes
from runtime.settings import Settings

PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX = 100, 1_000
FOLLOWING_MAX = 100
"""Further reports in a unary answer; a sweep of the book can have thousands."""


class Answer(NamedTuple):
    """What became of a unary command."""

    told: Sequence[Event]
    durable_unix_ns: int
    repeated: bool


class _OneAnswer:
    """Waits for the answer to one command."""

    def __init__(self) -> None:
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """Hears it from the link; the caller may be gone."""
        del tag
        if not self.future.done():
            self.future.set_result(Answer(told, durable_unix_ns, repeated))

    def refused(self, tag: int, refused: Refused) -> None:
        """Hears from the link that it was not taken."""
        del tag
        if not self.future.done():
            self.future.set_exception(refused)


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
    ) -> None:
        self._settings = settings
        self._link = link
        self._reports = reports
        self._admission = admission
        self._instruments = instruments
        self._lifetimes = lifetimes
        self._stream_numbers = count(1)
        self._streams: set[Session | ReportStream] = set()

    async def drain(self) -> None:
        """Tells every stream in band that the gateway is about to end."""
        for stream in self._streams:
            stream.finish(types.REASON_DRAINING, "the gateway is about to stop; connect again")

    async def SubmitOrder(self, request: wire.SubmitOrderRequest, context: Any) -> wire.SubmitOrderResponse:
        """Places one order."""
        received_unix_ns = unix_ns()
        self._link.check_known()
        command = self._admission.new_order(request.order, self._caller(), received_unix_ns)
        report, *following = await self._carried_out(command)
        return wire.SubmitOrderResponse(report=report, following=following)

    async def CancelOrder(self, request: wire.CancelOrderRequest, context: Any) -> wire.CancelOrderResponse:
        """Cancels one order."""
        received_unix_ns = unix_ns()
        command = self._admission.cancel_order(request, self._caller(), received_unix_ns)
        report, *_ = await self._carried_out(command)
        return wire.CancelOrderResponse(report=report)

    async def ReplaceOrder(self, request: wire.ReplaceOrderRequest, context: Any) -> wire.ReplaceOrderResponse:
        """Changes one order."""
        received_unix_ns = unix_ns()
        command = self._admission.replace_order(request, self._caller(), received_unix_ns)
        report, *following = await self._carried_out(command)
        return wire.ReplaceOrderResponse(report=report, following=following)

    async def GetOrder(self, request: wire.GetOrderRequest, context: Any) -> wire.GetOrderResponse:
        """Looks one order up."""
        if not request.order_id and not request.cl_ord_id:
            raise Refused(types.REASON_FIELD_MISSING, "order_id or cl_ord_id is missing", field="order_id")
        if request.cl_ord_id:
            check_key(request.cl_ord_id, "cl_ord_id")
        _check_account(request.account)
        lookup = link_wire.LookupOrderRequest(
            account=request.account,
            order_id=order_id_of(request.order_id) if request.order_id else 0,
            cl_ord_id=request.cl_ord_id,
        )
        with matching_reached():
            found = await self._link.stub.LookupOrder(lookup)
        if not found.HasField("order"):
            metadata = {"account": request.account[:40], "order_id": request.order_id, "cl_ord_id": request.cl_ord_id}
            raise Refused(types.REASON_ORDER_UNKNOWN, "there is no such order", metadata=metadata)
        return wire.GetOrderResponse(order=order_of(found.order, self._instruments))

    async def ListOrders(self, request: wire.ListOrdersRequest, context: Any) -> wire.ListOrdersResponse:
        """Lists an account's orders."""
        _check_account(request.account)
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
        listed = [order_of(state, self._instruments) for state in page.orders]
        token = _page_token(listed[-1].order_id) if page.more else ""
        return wire.ListOrdersResponse(orders=listed, next_page_token=token)

    async def StreamExecutionReports(
        self, request: wire.StreamExecutionReportsRequest, context: Any
    ) -> AsyncIterator[wire.StreamExecutionReportsResponse]:
        """Streams one account's reports."""
        _check_account(request.account)
        self._link.check_up()
        resume_after = request.resume_after if request.HasField("resume_after") else None
        stream = ReportStream(self._stream_id("reports"), request.account, resume_after, self._link, self._reports)
        self._check_resume(resume_after, stream)
        async with self._subscribed(stream):
            async for message in stream.write(self._settings.heartbeat_interval_s):
                yield message

    async def OrderSession(  # type: ignore[override]  # messages that are laid out already are bytes
        self, request_iterator: AsyncIterator[wire.OrderSessionRequest], context: Any
    ) -> AsyncIterator[wire.OrderSessionResponse | bytes]:
        """Runs a session."""
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "logon":
            raise Refused(types.REASON_FIELD_MISSING, "a session begins with a logon", field="logon")
        heartbeat_s = check_logon(first.logon)
        self._link.check_up()
        stream_id = self._stream_id("session")
        envelope = self._admission.envelope(current_principal().subject, stream_id)
        session = Session(stream_id, envelope, first.logon, self._link, self._reports, self._instruments)
        self._check_resume(first.logon.resume_after if first.logon.HasField("resume_after") else None, session)
        async with self._subscribed(session):
            reading = asyncio.create_task(session.read(request_iterator, self._admission))
            reading.add_done_callback(lambda task: _end_with(session, task))
            try:
                async for message in session.write(heartbeat_s):
                    yield message
            finally:
                reading.cancel()

    def _caller(self) -> Envelope:
        return self._admission.envelope(current_principal().subject)

    async def _carried_out(self, command: bytes) -> list[orders.ExecutionReport]:
        """The report that answers a command, once it is on disk, and what else became of its order in that instant.

        The command is the link's from here on: whether or not the caller still
        waits, it is carried out.

        Raises:
            Refused: it was denied, rejected or not taken, or its outcome is not known yet.
        """
        waiter = _OneAnswer()
        self._link.submit([command], waiter, [0])
        told, durable_unix_ns, repeated = await waiter.future
        read = [event.parsed() for event in told]
        refused = refusal(read[0], self._instruments)
        if refused is not None:
            raise refused
        own = [event for event in read if event.order.order_id == read[0].order.order_id][: FOLLOWING_MAX + 1]
        reports = [make_report(event, self._instruments, self._link.epoch, durable_unix_ns) for event in own]
        reports[0].poss_dup = repeated
        for made in reports:
            made.sent_unix_ns = unix_ns()
        return reports

    def _check_resume(self, resume_after: int | None, reader: Reader) -> None:
        if resume_after is not None and resume_after > reader.start_seq:
            text = f"resume_after {resume_after} has not happened; the last event is {reader.start_seq}"
            raise Refused(types.REASON_FIELD_INVALID, text, field="resume_after")

    def _stream_id(self, kind: str) -> str:
        return f"{self._settings.gateway_id}-{kind}-{self._reports.epoch}-{next(self._stream_numbers)}"

    @asynccontextmanager
    async def _subscribed(self, stream: Session | ReportStream) -> AsyncIterator[None]:
        self._reports.subscribe(stream)
        self._streams.add(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)
            self._reports.unsubscribe(stream)


class matching_reached:  # noqa: N801  # reads as a verb where it is used
    """Turns a failed call to matching into a coded refusal."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Raises the refusal that stands for a gRPC error."""
        if isinstance(error, grpc.aio.AioRpcError):
            text = "the matching engine cannot be reached at the moment"
            raise Refused(types.REASON_MATCHING_UNAVAILABLE, text) from error


def _check_account(account: str) -> None:
    """Refuses a call without an account, which the authorization lets pass for those who may see every account."""
    if not account:
        raise Refused(types.REASON_FIELD_MISSING, "account is missing", field="account")


def _end_with(session: Session, reading: asyncio.Task[None]) -> None:
    """Ends a session whose reading side failed."""
    if reading.cancelled():
        return
    error = reading.exception()
    if isinstance(error, Refused):
        session.finish(error.reason, error.text)
    elif error is not None:
        session.finish(types.REASON_INTERNAL, "the session's requests could not be read")


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

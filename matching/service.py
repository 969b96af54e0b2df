"""MatchingService: the link of the gateways, the event feed, and queries.

Only other servers call it; the authorization is in the contract.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import count
from typing import Any, cast

from google.protobuf.message import DecodeError
from ordergate.matching.v1 import events_pb2 as wire_events
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.matching.v1.commands_pb2 import ListInstrument
from ordergate.types.v1 import types_pb2 as types

from matching.batch import Batch
from matching.convert import decode_command, encode_command_part, encode_event, risk_numbers
from matching.core.commands import NewOrder
from matching.core.engine import Engine
from matching.core.events import Event, VenueEvent
from matching.core.ledger import MONEY_MICRO_MAX, Account
from matching.core.refusals import Refusal
from matching.feed import MESSAGE_EVENTS_MAX, Feed, LinkTooSlowError, Run
from matching.gateways import GatewayLink, Gateways, displaced_by_newer
from matching.journal.errors import NotKeptError
from matching.sequencer import Sequencer
from runtime.clock import unix_ns
from runtime.errors import Refused
from runtime.event_layout import ACCOUNT
from runtime.layout import text
from runtime.logs import get_logger

SCAN_ORDERS_MAX = 1_000
OPEN_ORDERS_MAX = 50_000
"""Open orders that the ledger of an account can be asked for with."""
ORDERS_AT_ONCE_MAX = 256
"""Orders that are encoded without a break."""
ACCOUNT_TAG = bytes((ACCOUNT,))
HEARTBEAT_S = 1.0
INTERVAL_MS_MAX = 1_000
MS_PER_S = 1_000
log = get_logger(__name__)


class MatchingService(matching_pb2_grpc.MatchingServiceServicer):
    """The sequencer's doors."""

    def __init__(self, sequencer: Sequencer, feed: Feed, gateways: Gateways, epoch: int) -> None:
        self._sequencer = sequencer
        self._feed = feed
        self._gateways = gateways
        self._epoch = epoch
        self._link_ids = count(1)
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Ends all streams, so that a drain need not wait for them."""
        self._closing.set()
        await self._gateways.close()

    async def Link(
        self, request_iterator: AsyncIterator[wire.LinkRequest], context: Any
    ) -> AsyncIterator[wire.LinkResponse]:
        """Takes a gateway's commands and gives it every durable batch."""
        first = await anext(request_iterator, None)
        if first is None or first.WhichOneof("message") != "logon":
            raise Refused(types.REASON_FIELD_MISSING, "a link begins with a logon", field="logon")
        gateway = await self._gateways.enter(first.logon.gateway_id, first.logon.incarnation)
        link_id = next(self._link_ids)
        log.info("link up", gateway=gateway.gateway_id, link=link_id)
        reading = gateway.reading = asyncio.create_task(self._read(link_id, request_iterator))

        def down(_: Any) -> None:
            reading.cancel()
            self._gateways.leave(gateway)

        # The generators around a call may be closed late when a gateway breaks off; this is called at once.
        context.add_done_callback(down)
        try:
            async for response in self._batches(link_id, gateway):
                yield response
        except LinkTooSlowError:
            raise Refused(types.REASON_SLOW_CONSUMER, "the link did not keep up with its results") from None
        finally:
            down(context)
            log.info("link down", gateway=gateway.gateway_id, link=link_id)

    async def _batches(self, link_id: int, gateway: GatewayLink) -> AsyncIterator[wire.LinkResponse]:
        """What a link is told, until the server ends, or the gateway has ended its side and has every answer.

        Raises:
            LinkTooSlowError: it did not take its results while they were kept.
            Refused: a newer link has taken its place.
        """
        number, answered, said_s = self._feed.last_number, 0, time.monotonic()
        yield wire.LinkResponse(epoch=self._epoch, accepted=wire.LinkAccepted(last_seq=self._feed.last_seq))
        while not self._closing.is_set():
            if gateway.is_displaced:
                raise displaced_by_newer()
            if gateway.reading is not None and gateway.reading.done() and answered >= gateway.reading.result():
                return
            batches = await self._feed.told(link_id, number, said_s, HEARTBEAT_S)
            number = batches[-1].number if batches else number
            answered += sum(batch.answered(link_id) for batch in batches)
            for message in _messages(batches, link_id):
                said_s = time.monotonic()
                yield wire.LinkResponse(epoch=self._epoch, batch=message[0], further=message[1:])
            # Others' repetitions are batches too, of which this link has nothing to hear.
            if time.monotonic() - said_s >= HEARTBEAT_S:
                said_s = time.monotonic()
                heartbeat = wire.LinkHeartbeat(last_seq=self._feed.last_seq)
                yield wire.LinkResponse(epoch=self._epoch, heartbeat=heartbeat)

    async def StreamEvents(
        self, request: wire.StreamEventsRequest, context: Any
    ) -> AsyncIterator[wire.StreamEventsResponse]:
        """The events after a sequence, from the journal and then live."""
        if request.resume_after > self._feed.last_seq:
            text = f"seq {request.resume_after} has not happened; the journal ends at {self._feed.last_seq}"
            raise Refused(types.REASON_FIELD_INVALID, text, field="resume_after")
        if request.until_seq and request.until_seq < request.resume_after:
            raise Refused(types.REASON_FIELD_INVALID, "until_seq is before resume_after", field="until_seq")
        if request.interval_ms > INTERVAL_MS_MAX:
            text = f"events wait for {INTERVAL_MS_MAX} ms at most"
            raise Refused(types.REASON_FIELD_INVALID, text, field="interval_ms")
        keep = _filter(frozenset(request.accounts))
        prev_seq = request.resume_after
        async for run in self._runs(prev_seq, request.interval_ms / MS_PER_S):
            events = run.events
            last_seq = run.last_seq
            if request.until_seq and last_seq > request.until_seq:
                events = events[: len(events) - (last_seq - request.until_seq)]
                last_seq = request.until_seq
            yield wire.StreamEventsResponse(
                epoch=self._epoch,
                seq=last_seq,
                prev_seq=prev_seq,
                events=events if keep is None else [event for event in events if keep(event)],
                last_seq=self._feed.last_seq,
            )
            prev_seq = last_seq
            if self._closing.is_set() or (request.until_seq and last_seq >= request.until_seq):
                return

    async def _runs(self, after_seq: int, interval_s: float) -> AsyncIterator[Run]:
        try:
            async for run in self._feed.runs(after_seq, HEARTBEAT_S, interval_s):
                yield run
        except NotKeptError as error:
            raise Refused(types.REASON_SNAPSHOT_REQUIRED, str(error), field="resume_after") from None

    async def LookupOrder(self, request: wire.LookupOrderRequest, context: Any) -> wire.LookupOrderResponse:
        """One order by either id."""
        found = await self._sequencer.query(
            lambda engine: engine.lookup(request.account, request.order_id, request.cl_ord_id)
        )
        if found is not None and isinstance(found[0], VenueEvent):
            found = None  # The key of a request about many orders is no order's.
        return wire.LookupOrderResponse(order=_order_state(found) if found is not None else None)

    async def ScanOrders(self, request: wire.ScanOrdersRequest, context: Any) -> wire.ScanOrdersResponse:
        """A page of an account's orders, newest first."""
        limit = min(request.limit, SCAN_ORDERS_MAX) or SCAN_ORDERS_MAX
        found = await self._sequencer.query(
            lambda engine: engine.scan(
                request.account, request.symbol, request.open_only, request.before_order_id, limit + 1
            )
        )
        return wire.ScanOrdersResponse(orders=map(_order_state, found[:limit]), more=len(found) > limit)

    async def GetAccount(self, request: wire.GetAccountRequest, context: Any) -> wire.GetAccountResponse:
        """The ledger of an account, and its open orders if they are asked for.

        Events do not change any more, so they are encoded after the query, beside
        the work of the sequencer.
        """
        ledger, found = await self._sequencer.query(
            lambda engine: _account(engine, request.account, with_open_orders=request.with_open_orders)
        )
        ledger.epoch = self._epoch
        for begin in range(0, len(found), ORDERS_AT_ONCE_MAX):
            ledger.orders.extend(map(_order_state, found[begin : begin + ORDERS_AT_ONCE_MAX]))
            await asyncio.sleep(0)
        return ledger

    async def CheckOrder(self, request: wire.CheckOrderRequest, context: Any) -> wire.CheckOrderResponse:
        """What the venue would say to a new order now."""
        try:
            command = decode_command(request.command)
        except (DecodeError, KeyError):
            raise Refused(types.REASON_FIELD_INVALID, "this is no command", field="command") from None
        if not isinstance(command.body, NewOrder):
            raise Refused(types.REASON_FIELD_INVALID, "the command places no order", field="command")
        refusal, seq = await self._sequencer.query(lambda engine: (engine.check(command, unix_ns()), engine.seq))
        return _checked(refusal, seq)

    async def ListInstruments(self, request: wire.ListInstrumentsRequest, context: Any) -> wire.ListInstrumentsResponse:
        """The listed instruments, sorted by symbol."""
        return await self._sequencer.query(_instruments)

    async def _read(self, link_id: int, requests: AsyncIterator[wire.LinkRequest]) -> int:
        """Takes commands until the gateway sends no more; gives their number: so many results are due."""
        commands = 0
        async for request in requests:
            frame = request.frame
            await self._sequencer.submit(link_id, frame.first_correlation, frame.commands)
            commands += len(frame.commands)
        return commands


def _messages(batches: Iterable[Batch], link_id: int) -> Iterator[list[wire.LinkBatch]]:
    """What each message to a link holds: as many batches as fit, at least one."""
    message: list[wire.LinkBatch] = []
    events = 0
    for batch in batches:
        if not batch.events and link_id not in batch.results:
            continue
        if message and events + len(batch.events) > MESSAGE_EVENTS_MAX:
            yield message
            message, events = [], 0
        message.append(_link_batch(batch, link_id))
        events += len(batch.events)
    if message:
        yield message


def _link_batch(batch: Batch, link_id: int) -> wire.LinkBatch:
    results = batch.results.get(link_id)
    if results is None:
        return wire.LinkBatch(events=batch.events, durable_unix_ns=batch.durable_unix_ns)
    return wire.LinkBatch(
        events=batch.events,
        durable_unix_ns=batch.durable_unix_ns,
        correlations=results.correlations,
        command_seqs=results.command_seqs,
        replays=results.replays,
        refusals=results.refusals,
    )


def _checked(refusal: Refusal | None, seq: int) -> wire.CheckOrderResponse:
    if refusal is None:
        return wire.CheckOrderResponse(as_of_seq=seq)
    # The numbers of the core's words are the contract's.
    return cast(Any, wire.CheckOrderResponse)(  # type: ignore[no-any-return]
        reason=refusal.reason,
        exec_type=refusal.exec_type,
        field=refusal.field,
        risk=risk_numbers(refusal.risk) if refusal.risk is not None else None,
        as_of_seq=seq,
    )


def _filter(accounts: frozenset[str]) -> Callable[[bytes], bool] | None:
    """Keeps the order events of some accounts; None to keep everything."""
    if not accounts:
        return None

    def keep(data: bytes) -> bool:
        return wire_events.Event.FromString(data).order.account in accounts

    if len(accounts) > 1:
        return keep
    field = text(ACCOUNT_TAG, *accounts)
    # This runs on the sequencer's loop, and to look for some bytes takes far less time than to read an event.
    return lambda data: field in data and keep(data)


def _order_state(found: tuple[Event, int]) -> wire.OrderState:
    event, accepted_unix_ns = found
    return wire.OrderState(last_event=encode_event(event, last_of_command=True), accepted_unix_ns=accepted_unix_ns)


def _account(
    engine: Engine, name: str, *, with_open_orders: bool
) -> tuple[wire.GetAccountResponse, list[tuple[Event, int]]]:
    """The ledger of an account, without its orders, and its open orders, newest first, if they are asked for.

    Raises:
        Refused: MESSAGE_TOO_LARGE, it has more open orders than fit.
    """
    account = engine.account(name)
    if account is None:
        return wire.GetAccountResponse(as_of_seq=engine.seq), []
    if with_open_orders and account.open_count > OPEN_ORDERS_MAX:
        text = f"the account has {account.open_count} open orders, more than {OPEN_ORDERS_MAX}; list them in pages"
        raise Refused(types.REASON_MESSAGE_TOO_LARGE, text, metadata={"open_orders": str(account.open_count)})
    ledger = wire.GetAccountResponse(
        found=True,
        cash=[
            wire.CashState(
                currency=currency,
                cash_micro=cash.cash_micro,
                held_micro=cash.held_micro,
                margin_micro=account.margin_micro(cash),
                fees_micro=cash.fees_micro,
            )
            for currency, cash in sorted(account.cash.items())
        ],
        positions=list(_positions(account)),
        open_orders=account.open_count,
        as_of_seq=engine.seq,
        account_seq=account.account_seq,
    )
    return ledger, list(_open_orders(account)) if with_open_orders else []


def _open_orders(account: Account) -> Iterator[tuple[Event, int]]:
    for order in reversed(account.open_orders()):
        assert order.last_event is not None, "an order has at least its first event"
        yield order.last_event, order.accepted_unix_ns


def _positions(account: Account) -> list[wire.PositionState]:
    return [
        wire.PositionState(
            symbol=symbol,
            qty_lots=position.qty_lots,
            held_lots=position.held_lots,
            cost_ticks_lots=position.cost_ticks_lots,
            realized_pnl_micro=position.realized_pnl_micro,
            unrealized_pnl_micro=max(-MONEY_MICRO_MAX, min(MONEY_MICRO_MAX, position.unrealized_micro())),
            mark_ticks=position.listing.mark_ticks(),
        )
        for symbol, position in sorted(account.positions.items())
        if position.is_used
    ]


def _instruments(engine: Engine) -> wire.ListInstrumentsResponse:
    listings = engine.venue.listings
    return wire.ListInstrumentsResponse(
        instruments=[
            cast(ListInstrument, encode_command_part(listings[symbol].instrument)) for symbol in sorted(listings)
        ],
        as_of_seq=engine.seq,
    )

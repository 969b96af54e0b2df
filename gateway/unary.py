"""Carries out unary commands: hands them to the link and turns the events that answer them into what clients see.

A command is the link's from the moment it is handed over: whether or not its
caller still waits, it is carried out, and who asks again with the same key gets
the original result. Called by `gateway.order_service`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ordergate.matching.v1 import events_pb2 as events
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import Basket
from gateway.convert import mass_canceled, quoted, refusal, refused_command, report
from gateway.encoding import execution_report
from gateway.events import Event
from gateway.latency import latency
from gateway.link import Link
from runtime.clock import unix_ns
from runtime.errors import Refused, reason_detail
from runtime.instruments import Instruments
from runtime.layout import varint

FOLLOWING_MAX = 100
"""Further reports in a unary answer; a sweep of the book can have thousands."""
_REPORT, _FOLLOWING = b"\x0a", b"\x12"
"""How `report` and `following` of the answers begin."""
ORDER_ID_PLACE = 6
"""Where the order's id stands among the numbers of an event in the usual layout."""
FIRST_OF_AN_ORDER = frozenset({types.EXEC_TYPE_NEW, types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})
"""What the first event of an order can tell."""


class Answer(NamedTuple):
    """What became of a unary command."""

    told: Sequence[Event]
    durable_unix_ns: int
    repeated: bool


class _Answers:
    """Waits for the answers to some commands, whose tags are their places."""

    def __init__(self, commands: int) -> None:
        self.futures: list[asyncio.Future[Answer]] = [
            asyncio.get_running_loop().create_future() for _ in range(commands)
        ]

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """Hears one from the link; the caller may be gone."""
        future = self.futures[tag]
        if not future.done():
            future.set_result(Answer(told, durable_unix_ns, repeated))

    def refused(self, tag: int, refused: Refused) -> None:
        """Hears from the link that one was not taken."""
        future = self.futures[tag]
        if not future.done():
            future.set_exception(refused)


class Unary:
    """What the unary calls of one gateway have carried out."""

    def __init__(self, link: Link, instruments: Instruments) -> None:
        self._link = link
        self._instruments = instruments

    async def order(self, command: bytes, *, with_following: bool = True) -> bytes:
        """The answer to a command about one order: its report, and what else became of that order in the same instant.

        It is laid out already: SubmitOrderResponse, ReplaceOrderResponse and,
        without what follows, CancelOrderResponse have these same fields.

        Raises:
            Refused: it was denied, rejected or not taken.
        """
        told, durable_unix_ns, repeated = await self._answer(command)
        if told[0].state is None:
            # Only what has the usual layout is surely no refusal.
            refused = refusal(told[0].parsed(), self._instruments)
            if refused is not None:
                raise _marked(refused, repeated=repeated)
        if repeated:
            return wire.CancelOrderResponse(report=self._original(told[0])).SerializeToString()
        own = _of_order(told) if with_following and len(told) > 1 else told[:1]
        epoch, sent_unix_ns = self._link.epoch, unix_ns()
        parts: list[bytes] = []
        for event in own[: FOLLOWING_MAX + 1]:
            made = execution_report(event, self._instruments, epoch, durable_unix_ns, sent_unix_ns, 0)
            latency.count(event, durable_unix_ns, sent_unix_ns)
            parts += (_FOLLOWING if parts else _REPORT, varint(len(made)), made)
        return b"".join(parts)

    async def basket(self, request: wire.SubmitOrdersRequest, basket: Basket) -> wire.SubmitOrdersResponse:
        """The first report of each order of a basket, or why it was not sent.

        Raises:
            Refused: the basket as a whole was refused, or not taken.
        """
        reported: dict[int, orders.ExecutionReport] = {}
        if basket.whole:
            reported = await self._placed(request, basket)
        results = []
        for i, order in enumerate(request.orders):
            if i in reported:
                results.append(wire.SubmitOrderResult(cl_ord_id=order.cl_ord_id, report=reported[i]))
            else:
                refused = reason_detail(basket.refused[i])
                results.append(wire.SubmitOrderResult(cl_ord_id=order.cl_ord_id, refused=refused))
        return wire.SubmitOrdersResponse(results=results)

    async def mass_cancel(self, command: bytes) -> wire.MassCancelOrdersResponse:
        """What became of a mass cancel.

        Raises:
            Refused: it was refused or not taken.
        """
        answer = await self._answer(command)
        return mass_canceled(self._accepted(answer), poss_dup=answer.repeated)

    async def quotes(self, command: bytes) -> wire.SubmitQuotesResponse:
        """What became of a mass quote and of its sides.

        Raises:
            Refused: it was refused as a whole, or not taken.
        """
        answer = await self._answer(command)
        accepted = self._accepted(answer)
        response = quoted(accepted, poss_dup=answer.repeated)
        if not answer.repeated:
            sides = _of_quotes(answer.told[1:])
            response.reports.extend(self._report(side, answer.durable_unix_ns) for side in sides[:FOLLOWING_MAX])
        return response

    async def _answer(self, command: bytes) -> Answer:
        waiter = _Answers(1)
        self._link.submit([command], waiter, [0])
        return await waiter.futures[0]

    async def _placed(self, request: wire.SubmitOrdersRequest, basket: Basket) -> dict[int, orders.ExecutionReport]:
        """The first report of each order that was sent, by its place.

        An order that was carried out before has no event of its own among those
        of the basket: sent alone, it gives its original report.
        """
        answer = await self._answer(basket.whole)
        first = {} if answer.repeated else self._first_events(answer.told)
        reported: dict[int, orders.ExecutionReport] = {}
        for i in basket.commands:
            event = first.get(request.orders[i].cl_ord_id)
            if event is not None:
                reported[i] = self._report(event, answer.durable_unix_ns)
        before = [i for i in basket.commands if i not in reported]
        if before:
            originals = await self._originals([basket.commands[i] for i in before])
            reported.update(zip(before, originals, strict=True))
        return reported

    async def _originals(self, commands: Sequence[bytes]) -> list[orders.ExecutionReport]:
        waiter = _Answers(len(commands))
        self._link.submit(commands, waiter, range(len(commands)))
        return [
            self._original(answer.told[0]) if answer.repeated else self._report(answer.told[0], answer.durable_unix_ns)
            for answer in await asyncio.gather(*waiter.futures)
        ]

    def _first_events(self, told: Sequence[Event]) -> dict[str, Event]:
        """The event that answers each order of a basket, by its key.

        Raises:
            Refused: the basket as a whole was refused.
        """
        first: dict[str, Event] = {}
        answering = told[0].parsed()
        if answering.HasField("command_refused"):
            raise refused_command(answering.command_refused)
        for event in told:
            order = event.parsed().order
            if order.request == types.REQUEST_KIND_SUBMIT and order.exec_type in FIRST_OF_AN_ORDER:
                first[order.cl_ord_id] = event
        return first

    def _accepted(self, answer: Answer) -> events.Event:
        """The event that answers a request about many orders.

        Raises:
            Refused: it was refused.
        """
        event = answer.told[0].parsed()
        if event.HasField("command_refused"):
            raise _marked(refused_command(event.command_refused), repeated=answer.repeated)
        if event.HasField("order"):
            # A key that was used for something else is refused like that of an order.
            refused = refusal(event, self._instruments)
            assert refused is not None, "a request about many orders is answered by no order that was accepted"
            raise refused
        return event

    def _report(self, event: Event, durable_unix_ns: int) -> orders.ExecutionReport:
        made = report(event.parsed(), self._instruments, self._link.epoch, durable_unix_ns)
        made.sent_unix_ns = unix_ns()
        latency.count(event, durable_unix_ns, made.sent_unix_ns)
        return made

    def _original(self, event: Event) -> orders.ExecutionReport:
        """The report of a request that was carried out before: when it was durable is not known any more."""
        made = self._report(event, 0)
        made.poss_dup = True
        return made


def _marked(refused: Refused, *, repeated: bool) -> Refused:
    """A refusal that says whether it is the original one of an earlier request, FIX tag 43."""
    if repeated:
        refused.metadata["poss_dup"] = "true"
    return refused


def _of_order(told: Sequence[Event]) -> list[Event]:
    """The events of the order that a command was about, out of all that the command gave."""
    order_id = _order_id(told[0])
    return [event for event in told if _order_id(event) == order_id]


def _order_id(event: Event) -> int:
    return event.parsed().order.order_id if event.state is None else event.state[ORDER_ID_PLACE]


def _of_quotes(told: Iterable[Event]) -> list[Event]:
    """The events of a mass quote's sides: answers to it, and whatever else became of the orders behind them."""
    sides: set[int] = set()
    kept = []
    for event in told:
        order = event.parsed().order
        if order.request == types.REQUEST_KIND_QUOTE:
            sides.add(order.order_id)
        elif not order.order_id or order.order_id not in sides:
            continue
        kept.append(event)
    return kept

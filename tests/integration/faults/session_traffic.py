"""A client that trades by an order session and writes down what it sees: every kind of command, in frames.

As in `traffic`, everything goes through the SDK; every answer is held against
the number of the command that it answers.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import aclosing

from google.protobuf.message import Message
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Session
from tests.integration.faults.history import Heard, History, Request
from tests.integration.faults.traffic import PAUSE_S, PRICES, SYMBOLS, note_answer

FRAME_COMMANDS_MAX = 8
REFUSALS = (types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED)
KINDS: dict[str, tuple[int, types.RequestKind.ValueType]] = {
    "submit": (60, types.REQUEST_KIND_SUBMIT),
    "cancel": (20, types.REQUEST_KIND_CANCEL),
    "replace": (12, types.REQUEST_KIND_REPLACE),
    "quote": (5, types.REQUEST_KIND_QUOTE),
    "mass_cancel": (3, types.REQUEST_KIND_MASS_CANCEL),
}
"""The commands of a session, and how often each comes among a hundred."""
WEIGHTS = [weight for weight, _ in KINDS.values()]


class SessionTrader:
    """One client with an order session: frames of mixed commands, every answer held against its number."""

    def __init__(self, history: History, session: Session, account: str, name: str, seed: int) -> None:
        self._history = history
        self._session = session
        self._account = account
        self._name = name
        self._random = random.Random(seed)
        self._keys = 0
        self._placed: list[str] = []
        self._asked: dict[int, Request] = {}
        self._heard = Heard(name, frozenset({account}), session.accepted.resume_after)
        history.readers.append(self._heard)

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends frames until it is told to stop, then waits for the answers."""
        while not stopping.is_set():
            await self._send([self._command() for _ in range(self._random.randint(1, FRAME_COMMANDS_MAX))])
            await asyncio.sleep(2 * PAUSE_S)
        await self._session.drained()

    async def listen(self, is_last: Callable[[orders.ExecutionReport], bool]) -> None:
        """Reads until it has heard the last report there is, which is not its own."""
        async with aclosing(self._session.frames()) as frames:
            async for frame in frames:
                at = self._history.now()
                for report in frame.reports:
                    self._heard.reports.append((at, report))
                    if report.correlation_id:
                        self._take_report(report.correlation_id, report)
                for reply in frame.replies:
                    self._take_reply(at, reply)
                if any(map(is_last, frame.reports)):
                    return

    def _command(self) -> entry.SessionCommand:
        self._keys += 1
        key = f"{self._name}-{self._keys}"
        (kind,) = self._random.choices(list(KINDS), WEIGHTS)
        if kind in ("cancel", "replace") and not self._placed:
            kind = "submit"
        return getattr(self, f"_{kind}")(key)  # type: ignore[no-any-return]

    def _submit(self, key: str) -> entry.SessionCommand:
        self._placed.append(key)
        price = self._random.choice(PRICES)
        terms = orders.OrderTerms(
            account=self._account,
            cl_ord_id=key,
            symbol=self._random.choice(SYMBOLS),
            side=self._random.choice((types.SIDE_BUY, types.SIDE_SELL)),
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty=str(self._random.randint(1, 100)),
            price=f"{price // 100}.{price % 100:02d}",
        )
        return entry.SessionCommand(submit=terms)

    def _cancel(self, key: str) -> entry.SessionCommand:
        orig = self._placed.pop(self._random.randrange(len(self._placed)))
        request = entry.CancelOrderRequest(account=self._account, orig_cl_ord_id=orig, cl_ord_id=key)
        return entry.SessionCommand(cancel=request)

    def _replace(self, key: str) -> entry.SessionCommand:
        place = self._random.randrange(len(self._placed))
        orig, self._placed[place] = self._placed[place], key
        request = entry.ReplaceOrderRequest(
            account=self._account, orig_cl_ord_id=orig, cl_ord_id=key, qty=str(self._random.randint(1, 100))
        )
        return entry.SessionCommand(replace=request)

    def _quote(self, key: str) -> entry.SessionCommand:
        quote = orders.QuoteTerms(
            account=self._account,
            quote_id=key,
            symbol=self._random.choice(SYMBOLS),
            bid_px="99.85",
            bid_qty="10",
            ask_px="100.15",
            ask_qty="10",
        )
        return entry.SessionCommand(quote=quote)

    def _mass_cancel(self, key: str) -> entry.SessionCommand:
        request = entry.MassCancelOrdersRequest(
            account=self._account, symbol=self._random.choice(SYMBOLS), cl_ord_id=key
        )
        return entry.SessionCommand(mass_cancel=request)

    async def _send(self, commands: list[entry.SessionCommand]) -> None:
        for command in commands:
            name = command.WhichOneof("command")
            assert name is not None, "every command is of a kind"
            request = getattr(command, name)
            key = request.quote_id if name == "quote" else request.cl_ord_id
            terms = request if name == "submit" else None
            self._asked[len(self._asked) + 1] = self._history.ask(KINDS[name][1], self._account, key, terms)
        await self._session.send(commands)

    def _take_report(self, correlation_id: int, report: orders.ExecutionReport) -> None:
        request = self._take(correlation_id, report, report.cl_ord_id)
        if report.exec_type in REFUSALS:
            request.answer = None
            request.refused = types.Reason.Name(report.reason.code).removeprefix("REASON_")
            request.refused_seq = report.seq
            request.refused_exec = types.ExecType.Name(report.exec_type).removeprefix("EXEC_TYPE_")

    def _take_reply(self, at: int, reply: entry.CommandReply) -> None:
        which = reply.WhichOneof("reply")
        if which == "original":
            self._take_report(reply.correlation_id, reply.original)
        elif which == "mass_canceled":
            self._take(reply.correlation_id, reply.mass_canceled, reply.mass_canceled.cl_ord_id)
        elif which == "quoted":
            self._take(reply.correlation_id, reply.quoted, reply.quoted.quote_id)
        else:
            assert which == "refused", f"an answer that nobody has asked for: {reply}"
            request = self._asked[reply.correlation_id]
            request.answered_at = at
            request.refused = types.Reason.Name(reply.refused.code).removeprefix("REASON_")

    def _take(self, correlation_id: int, answer: Message, key: str) -> Request:
        request = self._asked[correlation_id]
        note_answer(self._history, request, answer)
        request.correlated = key == request.key
        return request

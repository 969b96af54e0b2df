"""Clients that trade, ask, listen, and write down what they see.

Every request goes through the SDK, as a user's would: its retries, failovers
and resumed streams are part of what is recorded. A client is told by `stopping`
to end; then it waits for the answers that are still due.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from google.protobuf.message import Message
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client, OrdergateError
from clients.sdk.errors import NotFound, Unavailable
from tests.integration.faults.history import Heard, History, Lookup, Request

SYMBOLS = ("AAPL", "MSFT")
BASKET = 4
PAUSE_S = 0.01
PRICES = range(9_990, 10_011)
"""In cents, on both sides: about half of the orders trade."""


class Trader:
    """One client of one account: orders, replaces, cancels, mass cancels, quotes, repeats and lookups.

    Args:
        history: where it writes.
        client: how it calls.
        account: whose orders.
        name: the beginning of its keys.
        seed: of its choices.
    """

    def __init__(self, history: History, client: Client, account: str, name: str, seed: int) -> None:
        self._history = history
        self._client = client
        self._account = account
        self._name = name
        self._random = random.Random(seed)
        self._keys = 0
        self._placed: list[orders.OrderTerms] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Does one thing after the other."""
        choices = (
            [self._submit] * 8
            + [self._repeat] * 4
            + [self._look_up] * 6
            + [self._cancel] * 3
            + [self._replace] * 3
            + [self._basket, self._mass_cancel, self._quote]
        )
        while not stopping.is_set():
            await self._random.choice(choices)()
            await asyncio.sleep(PAUSE_S * self._random.random())

    def _key(self) -> str:
        self._keys += 1
        return f"{self._name}-{self._keys}"

    def _terms(self) -> orders.OrderTerms:
        price = self._random.choice(PRICES)
        terms = orders.OrderTerms(
            account=self._account,
            cl_ord_id=self._key(),
            symbol=self._random.choice(SYMBOLS),
            side=self._random.choice((types.SIDE_BUY, types.SIDE_SELL)),
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=self._random.choice((types.TIME_IN_FORCE_GTC, types.TIME_IN_FORCE_IOC)),
            qty=str(self._random.randint(1, 100)),
            price=f"{price // 100}.{price % 100:02d}",
        )
        if self._random.random() < 0.05:
            terms.qty = "100000000"  # the account does not have so much money, or so many shares
        if self._random.random() < 0.05:
            terms.price += "1"  # off the tick: refused at the gateway
        return terms

    async def _submit(self) -> None:
        terms = self._terms()
        self._placed.append(terms)
        await self._place(terms)

    async def _repeat(self) -> None:
        if self._placed:
            await self._place(self._random.choice(self._placed))

    async def _place(self, terms: orders.OrderTerms) -> None:
        request = self._history.ask(types.REQUEST_KIND_SUBMIT, self._account, terms.cl_ord_id, terms)
        await self._answer(request, self._client.submit(terms))

    async def _cancel(self) -> None:
        if self._placed:
            key, wanted = self._key(), self._random.choice(self._placed)
            request = self._history.ask(types.REQUEST_KIND_CANCEL, self._account, key)
            await self._answer(
                request, self._client.cancel(self._account, orig_cl_ord_id=wanted.cl_ord_id, cl_ord_id=key)
            )

    async def _replace(self) -> None:
        if self._placed:
            key, wanted = self._key(), self._random.choice(self._placed)
            request = self._history.ask(types.REQUEST_KIND_REPLACE, self._account, key)
            qty = str(self._random.randint(1, 100))
            call = self._client.replace(self._account, orig_cl_ord_id=wanted.cl_ord_id, cl_ord_id=key, qty=qty)
            await self._answer(request, call)

    async def _mass_cancel(self) -> None:
        key = self._key()
        request = self._history.ask(types.REQUEST_KIND_MASS_CANCEL, self._account, key)
        symbol = self._random.choice(SYMBOLS)
        await self._answer(request, self._client.mass_cancel(self._account, symbol=symbol, cl_ord_id=key))

    async def _quote(self) -> None:
        key = self._key()
        request = self._history.ask(types.REQUEST_KIND_QUOTE, self._account, key)
        call = self._client.quote(
            self._account,
            self._random.choice(SYMBOLS),
            bid_px="99.85",
            bid_qty="10",
            ask_px="100.15",
            ask_qty="10",
            quote_id=key,
        )
        await self._answer(request, call)

    async def _basket(self) -> None:
        basket = [self._terms() for _ in range(BASKET)]
        self._placed += basket
        asked = [
            self._history.ask(types.REQUEST_KIND_SUBMIT, self._account, terms.cl_ord_id, terms) for terms in basket
        ]
        try:
            results = await self._client.submit_many(basket)
        except Unavailable:
            return
        for request, result in zip(asked, results, strict=True):
            if isinstance(result.error, Unavailable):
                continue
            note_answer(self._history, request, result.report if result.error is None else None)
            if result.error is not None:
                _note_refusal(request, result.error, result.report)

    async def _look_up(self) -> None:
        if not self._placed:
            return
        key, asked_at = self._random.choice(self._placed).cl_ord_id, self._history.now()
        await look_up(self._history, self._client, self._account, key, asked_at)

    async def _answer(self, request: Request, call: Awaitable[Message]) -> None:
        try:
            note_answer(self._history, request, await call)
        except Unavailable:
            return  # it is not known whether it happened
        except OrdergateError as error:
            note_answer(self._history, request, None)
            _note_refusal(request, error, None)


async def look_up(history: History, client: Client, account: str, key: str, asked_at: int) -> None:
    """Asks for an order and notes the answer."""
    found: orders.Order | None
    try:
        found = await client.get_order(account, cl_ord_id=key)
    except NotFound:
        found = None
    except Unavailable:
        return
    history.lookups.append(Lookup(account, key, asked_at, history.now(), found))


def note_answer(history: History, request: Request, answer: Message | None) -> None:
    """Notes that a request has its answer."""
    request.answered_at = history.now()
    request.answer = answer


def _note_refusal(request: Request, error: OrdergateError, report: orders.ExecutionReport | None) -> None:
    request.refused = error.reason
    if report is not None:
        request.refused_seq = report.seq
        request.refused_exec = types.ExecType.Name(report.exec_type).removeprefix("EXEC_TYPE_")
    else:
        request.refused_seq = int(error.metadata.get("seq", 0))
        request.refused_exec = error.metadata.get("exec_type", "")


class Listener:
    """One reader of a report stream or of a drop copy, over everything that breaks."""

    def __init__(self, history: History, client: Client, accounts: tuple[str, ...], name: str) -> None:
        self._history = history
        self._client = client
        self._accounts = accounts
        self.heard = Heard(name, frozenset(accounts), 0)
        history.readers.append(self.heard)

    async def run(self, is_last: Callable[[orders.ExecutionReport], bool]) -> None:
        """Reads from the beginning until it has heard the last report there is."""
        one = self._accounts[0]
        is_one = len(self._accounts) == 1
        stream = (
            self._client.reports(one, resume_after=0)
            if is_one
            else self._client.drop_copy(*self._accounts, resume_after=0)
        )
        async with aclosing(stream) as reports:
            async for report in reports:
                self.heard.reports.append((self._history.now(), report))
                if is_last(report):
                    return

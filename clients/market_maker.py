"""A simulated market maker: three prices on each side of every symbol that has a reference price.

It is a client like any other: reference prices by the tick stream, orders by an
order session of account MM. `Ladder` decides and does no I/O; `MarketMaker`
moves what it decided, never faster than `COMMANDS_PER_S`. Invariants: an order
is changed only when its last command is answered; no order is sent to a price
at which an own order stands, or may stand, on the other side. `ordergate
market-maker` runs it.
"""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NoReturn

import uvloop
from ordergate.marketdata.v1 import marketdata_pb2 as md
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client, DevKeyTokens, OrdergateError, Session, errors
from runtime.decimals import divide_half_even, format_nano, parse_nano
from runtime.logs import configure, get_logger
from runtime.settings import Settings
from runtime.tls import channel_credentials

ACCOUNT = "MM"
ROLE = "market_maker"
NAME = "market-maker"

LEVELS = 3
HALF_SPREAD_PPM = 250
"""Distance of the best price from the reference price, and between levels."""
REQUOTE_PPM = 125
"""The reference price has to move so far before the ladder follows."""
LEVEL_QTY: Mapping[int, str] = {
    types.ASSET_CLASS_EQUITY: "100",
    types.ASSET_CLASS_OPTION: "10",
    types.ASSET_CLASS_FX: "100000",
    types.ASSET_CLASS_CRYPTO: "0.5",
}
"""Quantity of the best level; the second has twice and the third three times as much."""

COMMANDS_PER_S = 40
PACE_S = 0.1
STALE_AFTER_S = 10.0
"""Without a reference price for so long the symbol's orders are cancelled."""
COOLDOWN_S = 5.0
"""A refused command is not tried again for so long."""
RESTART_DELAY_S = 1.0
FAREWELL_S = 3.0

_OPEN = frozenset({types.ORD_STATUS_NEW, types.ORD_STATUS_PARTIALLY_FILLED})
_REFUSALS = frozenset({types.EXEC_TYPE_DENIED, types.EXEC_TYPE_REJECTED})
_GONE = frozenset({types.REASON_ORDER_NOT_OPEN, types.REASON_ORDER_UNKNOWN})
log = get_logger(__name__)


class Rung:
    """One place of a ladder and the order that stands there, if any."""

    def __init__(self, side: types.Side.ValueType, level: int, full_qty_nano: int) -> None:
        self.side = side
        self.level = level
        self.full_qty_nano = full_qty_nano
        self.key = ""
        """`cl_ord_id` that the order carries; empty without an order."""
        self.price_ticks = 0
        """Price at which the order stands; 0 without an order."""
        self.cum_qty_nano = 0
        self.leaves_qty_nano = 0
        self.command: entry.SessionCommand | None = None
        """The command that has no answer yet."""
        self.asked_ticks = 0
        """Price that this command asks for; 0 for none."""
        self.not_before_s = 0.0

    @property
    def may_stand_at(self) -> list[int]:
        """Prices at which the order stands or may come to stand."""
        return [price for price in (self.price_ticks, self.asked_ticks) if price]

    @property
    def is_low(self) -> bool:
        """Whether less than half of the full quantity is left."""
        return 2 * self.leaves_qty_nano < self.full_qty_nano

    def answered(self) -> None:
        """The command has its answer."""
        self.command, self.asked_ticks = None, 0

    def gone(self) -> None:
        """No order stands here any more."""
        self.key, self.price_ticks, self.cum_qty_nano, self.leaves_qty_nano = "", 0, 0, 0


class Ladder:
    """The orders of one symbol: what should stand, what stands, and the next commands."""

    def __init__(self, terms: md.Instrument, key_prefix: str) -> None:
        self.symbol = terms.symbol
        self._tick_nano = parse_nano(terms.tick_size)
        self._key_prefix = key_prefix
        self._keys_given = 0
        self._reference_at_s = float("-inf")
        self._anchor_ticks = 0
        qty_nano = parse_nano(LEVEL_QTY[terms.asset_class])
        self.rungs = [
            Rung(side, level, level * qty_nano)
            for level in range(1, LEVELS + 1)
            for side in (types.SIDE_BUY, types.SIDE_SELL)
        ]

    def reference(self, px: str, now_s: float) -> None:
        """Takes in a reference price."""
        ticks = divide_half_even(parse_nano(px), self._tick_nano)
        self._reference_at_s = now_s
        if abs(ticks - self._anchor_ticks) * 1_000_000 >= max(1_000_000, ticks * REQUOTE_PPM):
            self._anchor_ticks = ticks

    def due(self, now_s: float) -> Iterator[entry.SessionCommand]:
        """The commands that should go out now; each counts as sent once it is taken."""
        is_stale = now_s - self._reference_at_s > STALE_AFTER_S
        for rung in self.rungs:
            if rung.command is None and now_s >= rung.not_before_s:
                price_ticks = 0 if is_stale else self._price_ticks(rung)
                command = self._command(rung, price_ticks)
                if command is not None:
                    rung.command, rung.asked_ticks = command, price_ticks
                    yield command

    def cancels(self) -> Iterator[entry.SessionCommand]:
        """Commands that cancel every order that stands or may come to stand."""
        for rung in self.rungs:
            submitted = rung.command.submit.cl_ord_id if rung.command is not None else ""
            if rung.key or submitted:
                yield self._cancel(rung.key or submitted)

    def report(self, report: orders.ExecutionReport, now_s: float) -> None:
        """Takes in a report; one that is about no order of this ladder changes nothing."""
        for rung in self.rungs:
            is_answer = rung.command is not None and _key(rung.command) == report.cl_ord_id
            if is_answer:
                rung.answered()
            if report.exec_type in _REFUSALS:
                if is_answer:
                    self._refused(rung, report.reason, now_s)
            elif is_answer or rung.key == report.cl_ord_id:
                self._stands(rung, report)

    def reply(self, reply: entry.CommandReply, now_s: float) -> None:
        """Takes in an answer outside the reports; one to no command of this ladder changes nothing."""
        for rung in self.rungs:
            if rung.command is not None and rung.command.correlation_id == reply.correlation_id:
                if reply.HasField("original"):
                    self.report(reply.original, now_s)
                else:
                    rung.answered()
                    self._refused(rung, reply.refused, now_s)

    def _price_ticks(self, rung: Rung) -> int:
        """Where the rung's order should stand; 0 for nowhere."""
        if not self._anchor_ticks:
            return 0
        step = max(1, self._anchor_ticks * HALF_SPREAD_PPM // 1_000_000)
        offset = step * rung.level
        return max(0, self._anchor_ticks + (offset if rung.side == types.SIDE_SELL else -offset))

    def _command(self, rung: Rung, price_ticks: int) -> entry.SessionCommand | None:
        """What brings the rung's order to `price_ticks`; None when it is there, or has to wait."""
        if not price_ticks:
            return self._cancel(rung.key) if rung.key else None
        if price_ticks == rung.price_ticks and not rung.is_low:
            return None
        if self._would_cross(rung, price_ticks):
            return None
        return self._replace(rung, price_ticks) if rung.key else self._submit(rung, price_ticks)

    def _would_cross(self, rung: Rung, price_ticks: int) -> bool:
        sign = 1 if rung.side == types.SIDE_BUY else -1
        others = (price for other in self.rungs if other.side != rung.side for price in other.may_stand_at)
        return any(sign * price_ticks >= sign * price for price in others)

    def _submit(self, rung: Rung, price_ticks: int) -> entry.SessionCommand:
        terms = orders.OrderTerms(
            account=ACCOUNT,
            cl_ord_id=self._new_key(),
            symbol=self.symbol,
            side=rung.side,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_DAY,
            qty=format_nano(rung.full_qty_nano),
            price=format_nano(price_ticks * self._tick_nano),
            decision_maker=NAME,
        )
        return entry.SessionCommand(submit=terms)

    def _replace(self, rung: Rung, price_ticks: int) -> entry.SessionCommand:
        """Moves the order, and fills it up again if some of it has traded."""
        request = entry.ReplaceOrderRequest(
            account=ACCOUNT,
            orig_cl_ord_id=rung.key,
            cl_ord_id=self._new_key(),
            price=format_nano(price_ticks * self._tick_nano),
        )
        if rung.cum_qty_nano:
            request.qty = format_nano(rung.cum_qty_nano + rung.full_qty_nano)
        return entry.SessionCommand(replace=request)

    def _cancel(self, key: str) -> entry.SessionCommand:
        request = entry.CancelOrderRequest(account=ACCOUNT, orig_cl_ord_id=key, cl_ord_id=self._new_key())
        return entry.SessionCommand(cancel=request)

    def _new_key(self) -> str:
        self._keys_given += 1
        return f"{self._key_prefix}-{self.symbol[:12]}-{self._keys_given}"

    def _stands(self, rung: Rung, report: orders.ExecutionReport) -> None:
        if report.ord_status not in _OPEN:
            rung.gone()
            return
        rung.key = report.cl_ord_id
        rung.price_ticks = parse_nano(report.price) // self._tick_nano
        rung.cum_qty_nano = parse_nano(report.cum_qty)
        rung.leaves_qty_nano = parse_nano(report.leaves_qty)

    def _refused(self, rung: Rung, reason: types.ReasonDetail, now_s: float) -> None:
        log.info("refused", symbol=self.symbol, reason=types.Reason.Name(reason.code), text=reason.text)
        if reason.code in _GONE:
            rung.gone()
        else:
            rung.not_before_s = now_s + COOLDOWN_S


class Budget:
    """A token bucket: at most `per_s` commands a second, and as many at once."""

    def __init__(self, per_s: int, now_s: float) -> None:
        self._per_s = per_s
        self._tokens = float(per_s)
        self._at_s = now_s

    def available(self, now_s: float) -> int:
        """How many commands may be sent now."""
        self._tokens = min(self._per_s, self._tokens + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return int(self._tokens)

    def spend(self, commands: int) -> None:
        """So many were sent."""
        self._tokens -= commands


class MarketMaker:
    """Quotes over one session, until it is cancelled or the session fails for good."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._budget = Budget(COMMANDS_PER_S, time.monotonic())
        self._ladders: dict[str, Ladder] = {}
        self._turn = 0

    async def run(self) -> None:
        """Cancels what an earlier run left, then quotes; cancels its orders when it is cancelled.

        Raises:
            ExceptionGroup: of OrdergateErrors, when a stream or the session has failed for good.
        """
        prefix = f"mm-{secrets.token_hex(5)}"
        async for terms in self._client.instruments():
            if terms.asset_class in LEVEL_QTY:
                self._ladders[terms.symbol] = Ladder(terms, prefix)
        if not self._ladders:
            raise errors.Unavailable("no instrument is listed that could be quoted", reason="NOTHING_LISTED")
        # Its orders shall outlive a gateway; a run that ends cancels them, and so does the next one.
        async with self._client.session([ACCOUNT], cancel_on_disconnect=False, name=NAME) as session:
            await self._clear(session)
            log.info("quoting", symbols=sorted(self._ladders))
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._hear_reports(session))
                    tasks.create_task(self._hear_references())
                    tasks.create_task(self._send(session))
            except asyncio.CancelledError:
                await self._farewell(session)
                raise

    async def _clear(self, session: Session) -> None:
        """Cancels the orders that an earlier run left."""
        listed = self._client.list_orders(ACCOUNT, open_only=True)
        left = [order.order_id async for order in listed if order.terms.decision_maker == NAME]
        while left:
            await asyncio.sleep(PACE_S)
            count = self._budget.available(time.monotonic())
            now, left = left[:count], left[count:]
            self._budget.spend(len(now))
            cancels = [entry.CancelOrderRequest(account=ACCOUNT, order_id=order_id) for order_id in now]
            await session.send([entry.SessionCommand(cancel=cancel) for cancel in cancels])
        await session.drained()

    async def _hear_reports(self, session: Session) -> NoReturn:
        async for frame in session.frames():
            now_s = time.monotonic()
            for report in frame.reports:
                if report.symbol in self._ladders:
                    self._ladders[report.symbol].report(report, now_s)
            for reply in frame.replies:
                for ladder in self._ladders.values():
                    ladder.reply(reply, now_s)
        raise errors.Unavailable("the session is closed", reason="CLOSED")

    async def _hear_references(self) -> None:
        async for update in self._client.ticks(*self._ladders):
            if update.HasField("reference"):
                self._ladders[update.symbol].reference(update.reference.px, time.monotonic())

    async def _send(self, session: Session) -> NoReturn:
        """Sends what is due, within the budget; every symbol comes first in its turn."""
        ladders = list(self._ladders.values())
        while True:
            now_s = time.monotonic()
            self._turn = (self._turn + 1) % len(ladders)
            in_turn = ladders[self._turn :] + ladders[: self._turn]
            due = (command for ladder in in_turn for command in ladder.due(now_s))
            commands = list(islice(due, self._budget.available(now_s)))
            if commands:
                self._budget.spend(len(commands))
                await session.send(commands)
            await asyncio.sleep(PACE_S)

    async def _farewell(self, session: Session) -> None:
        """Cancels its orders, for as long as that is quickly done."""
        with suppress(OrdergateError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await session.send([command for ladder in self._ladders.values() for command in ladder.cancels()])
                await session.drained()


async def quote(settings: Settings) -> NoReturn:
    """Makes a market until it is cancelled; begins anew when a stream or the session has failed for good.

    Raises:
        FileNotFoundError: there is no development key to issue a token with.
    """
    tokens = DevKeyTokens.from_settings(settings, subject=NAME, roles=[ROLE], accounts=[ACCOUNT])
    while True:
        try:
            async with Client(
                settings.gateway_address,
                marketdata=settings.marketdata_address,
                token=tokens,
                credentials=channel_credentials(settings),
            ) as client:
                await MarketMaker(client).run()
        except* OrdergateError as failures:
            log.warning("beginning anew", why=[str(failure) for failure in failures.exceptions])
        await asyncio.sleep(RESTART_DELAY_S)


def run() -> None:
    """Runs the market maker as the whole process, until SIGTERM or SIGINT."""
    settings = Settings()
    configure(NAME, settings.log_level)
    try:
        uvloop.run(_until_told(settings))
    except FileNotFoundError as error:
        log.error("no key to issue a token with", file=str(error.filename))
        sys.exit(1)


async def _until_told(settings: Settings) -> None:
    quoting = asyncio.create_task(quote(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, quoting.cancel)
    with suppress(asyncio.CancelledError):
        await quoting
    log.info("stopped")


def _key(command: entry.SessionCommand) -> str:
    """The client's key of a command."""
    kind = command.WhichOneof("command")
    return str(getattr(command, kind).cl_ord_id) if kind else ""

"""Streams of portfolios: as it is at first, and again after what has changed it.

The events of the link say when an account's ledger, or the mark of what it
holds, may have changed; the portfolio itself is then asked of matching, so that
all of it stands at one sequence, and that is at or after the event. What
happens while one is on its way, or before the interval is over, is in the next:
a slow reader gets fewer portfolios, never old ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import count
from typing import Any

from ordergate.matching.v1 import events_pb2
from ordergate.matching.v1 import matching_pb2 as link_wire
from ordergate.orders.v1 import portfolio_pb2 as wire
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Gauge

from gateway.accounts import Accounts
from gateway.events import Event
from gateway.holdings import portfolio_of
from gateway.link import Link
from runtime.auth import current_principal, current_verifier
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused
from runtime.instruments import Instruments
from runtime.lifetimes import Lifetimes
from runtime.settings import Settings

INTERVAL_MS_MIN, INTERVAL_MS_DEFAULT, INTERVAL_MS_MAX = 10, 100, 60_000
MS_PER_S = 1_000
QUERIES_AT_ONCE_MAX = 8
"""Portfolios that all streams of a gateway ask of matching at the same time; the others wait, and are conflated."""
RETRY_S = 0.5
"""When matching, which could not be reached, is asked again."""
RETRY_DELAY_MS = 500
EXEC_TYPE = 7
"""Place of exec_type in `Event.state`."""

streams_gauge = Gauge("ordergate_gateway_portfolio_streams", "Portfolio streams.")


class PortfolioStream:
    """What the gateway knows of one live stream."""

    def __init__(self, stream_id: str, account: str, interval_s: float, portfolios: Portfolios) -> None:
        self.account = account
        self.held: frozenset[str] = frozenset()
        """Whose price bears upon the portfolio."""
        self._id = stream_id
        self._interval_s = interval_s
        self._portfolios = portfolios
        self._news = asyncio.Event()
        self._own_seq = 0
        self._price_seq = 0
        self._as_of_seq = 0
        self._sent_seq = 0
        self._sent = wire.GetPortfolioResponse()
        self._due_s = 0.0
        self._said_s = 0.0
        self._notice: types.Draining | None = None
        self._end: types.StreamEnd | None = None

    def touched(self, seq: int) -> None:
        """Hears of an event of its account."""
        self._own_seq = seq
        self._news.set()

    def moved(self, seq: int) -> None:
        """Hears that a price of what it holds may have changed."""
        if seq > self._price_seq:
            self._price_seq = seq
            self._news.set()

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band."""
        if self._end is None:
            self._end = types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)
        self._news.set()

    def warn(self, notice: types.Draining) -> None:
        """Tells the client that the end is near; a newer notice replaces one that was not sent."""
        self._notice = notice
        self._news.set()

    def stalled_s(self, now_s: float) -> float:
        """None: whatever its reader does, nothing waits for it but one message."""
        del now_s
        return 0.0

    def abort(self) -> None:
        """Lets go of a reader that takes nothing; should it ever read on, it gets the end in band."""
        self._portfolios.forget(self)

    async def write(self, heartbeat_s: float) -> AsyncIterator[wire.StreamPortfolioResponse]:
        """The subscription's result and the portfolio at once; then the portfolio whenever it has changed.

        Raises:
            Refused: there is no such account, or it cannot be asked for at first.
        """
        first = self._take_in(await self._portfolios.ledger(self))
        self._sent_seq = self._as_of_seq
        yield self._message(subscribed=self._subscribed(heartbeat_s))
        yield self._message(portfolio=first)
        while True:
            if self._notice is not None:
                notice, self._notice = self._notice, None
                yield self._message(draining=notice)
            if self._end is not None:
                self._end.resume_after = self._sent_seq
                yield self._message(end=self._end)
                return
            if self._is_due():
                if (renewed := await self._renewed()) is not None:
                    yield self._message(portfolio=renewed)
            elif not await self._has_news(heartbeat_s):
                beat = types.Heartbeat(last_seq=self._sent_seq, time=timestamp(unix_ns()))
                if not self._has_changed():
                    self._as_of_seq = max(self._as_of_seq, self._portfolios.last_seq)
                yield self._message(heartbeat=beat)

    def _has_changed(self) -> bool:
        return max(self._own_seq, self._price_seq) > self._as_of_seq

    def _is_due(self) -> bool:
        return self._has_changed() and time.monotonic() >= self._due_s

    async def _has_news(self, heartbeat_s: float) -> bool:
        """Waits for a change, or for the end of the interval after one; False when it is time for a heartbeat."""
        self._news.clear()
        beat_s = self._said_s + heartbeat_s
        until_s = min(beat_s, self._due_s) if self._has_changed() else beat_s
        try:
            async with asyncio.timeout(max(0.0, until_s - time.monotonic())):
                await self._news.wait()
        except TimeoutError:
            return until_s < beat_s
        return True

    async def _renewed(self) -> wire.GetPortfolioResponse | None:
        """The portfolio as it is now; None when it is as it was, or cannot be had.

        After an event of the account it is given even if it looks the same: the
        client waits for its sequence.
        """
        is_own = self._own_seq > self._as_of_seq
        self._due_s = time.monotonic() + self._interval_s
        try:
            ledger = await self._portfolios.ledger(self)
        except Refused:
            self._due_s = time.monotonic() + max(self._interval_s, RETRY_S)
            return None
        before = self._sent
        renewed = self._take_in(ledger)
        if self._end is not None or not (is_own or _differ(before, renewed)):
            return None
        return renewed

    def _take_in(self, ledger: link_wire.GetAccountResponse) -> wire.GetPortfolioResponse:
        made = self._portfolios.made(self, ledger)
        self._as_of_seq = ledger.as_of_seq
        self._sent = made
        self._portfolios.holds(self, {state.symbol for state in ledger.positions if state.qty_lots})
        return made

    def _subscribed(self, heartbeat_s: float) -> types.Subscribed:
        return types.Subscribed(
            resume_after=self._as_of_seq,
            results=[types.SubscriptionResult(key=self.account)],
            heartbeat_interval_s=max(1, round(heartbeat_s)),
        )

    def _message(self, **said: Any) -> wire.StreamPortfolioResponse:
        prev_seq, self._sent_seq = self._sent_seq, max(self._sent_seq, self._as_of_seq)
        self._said_s = time.monotonic()
        return wire.StreamPortfolioResponse(
            stream_id=self._id, epoch=self._portfolios.epoch, seq=self._sent_seq, prev_seq=prev_seq, **said
        )


class Portfolios:
    """The portfolio streams of one gateway, and what each of them listens for."""

    def __init__(
        self, settings: Settings, link: Link, instruments: Instruments, accounts: Accounts, lifetimes: Lifetimes
    ) -> None:
        self._settings = settings
        self._link = link
        self._instruments = instruments
        self._accounts = accounts
        self._lifetimes = lifetimes
        self._queries = asyncio.Semaphore(QUERIES_AT_ONCE_MAX)
        self._numbers = count(1)
        self._streams: set[PortfolioStream] = set()
        self._by_account: dict[str, set[PortfolioStream]] = {}
        self._by_symbol: dict[str, set[PortfolioStream]] = {}
        self._price_seqs: dict[str, int] = {}
        """The last event that may have changed the mark of an instrument, while there are streams."""

    @property
    def last_seq(self) -> int:
        """The last event heard."""
        return self._link.last_seq or 0

    @property
    def epoch(self) -> int:
        """Incarnation of the matching server."""
        return self._link.epoch

    def stream(self, request: wire.StreamPortfolioRequest, context: Any) -> AsyncIterator[wire.StreamPortfolioResponse]:
        """The messages of StreamPortfolio.

        Raises:
            Refused: the interval is out of range, or the gateway takes on no streams.
        """
        interval_ms = request.interval_ms or INTERVAL_MS_DEFAULT
        if not INTERVAL_MS_MIN <= interval_ms <= INTERVAL_MS_MAX:
            text = f"portfolios come every {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX} ms at most"
            raise Refused(types.REASON_FIELD_INVALID, text, field="interval_ms")
        self._link.check_up()
        stream_id = f"{self._settings.gateway_id}-portfolio-{self._link.epoch}-{next(self._numbers)}"
        stream = PortfolioStream(stream_id, request.account, interval_ms / MS_PER_S, self)
        life = self._lifetimes.begin(stream, current_principal(), current_verifier(), context)
        self._begin(stream)

        def ended(_: Any) -> None:
            self._lifetimes.end(life)
            self.forget(stream)

        context.add_done_callback(ended)
        return stream.write(self._settings.heartbeat_interval_s)

    async def ledger(self, stream: PortfolioStream) -> link_wire.GetAccountResponse:
        """The ledger of a stream's account as it is now.

        Raises:
            Refused: there is no such account, or matching cannot be reached.
        """
        async with self._queries:
            return await self._accounts.ledger(stream.account)

    def made(self, stream: PortfolioStream, ledger: link_wire.GetAccountResponse) -> wire.GetPortfolioResponse:
        """A ledger with decimals."""
        return portfolio_of(stream.account, ledger, self._instruments)

    def holds(self, stream: PortfolioStream, symbols: Iterable[str]) -> None:
        """Lets a stream hear of the prices of what it holds, and of those that have changed on the way here."""
        held = frozenset(symbols)
        for symbol in stream.held - held:
            _discard(self._by_symbol, symbol, stream)
        for symbol in held - stream.held:
            self._by_symbol.setdefault(symbol, set()).add(stream)
            stream.moved(self._price_seqs.get(symbol, 0))
        stream.held = held

    def begin(self, last_seq: int) -> None:
        """Hears that the link stands again: anything may have happened up to `last_seq`."""
        for stream in self._streams:
            stream.touched(last_seq)

    def hear(self, told: Sequence[Event]) -> None:
        """Takes in events; called by the link."""
        if not self._streams:
            return
        for event in told:
            if not event.account:
                account, symbol = _bears_upon(event.parsed())
                self._tell(event.seq, account, symbol)
            elif _is_trade(event):
                self._tell(event.seq, event.account, event.symbol)
            elif event.account in self._by_account:
                self._tell(event.seq, event.account, "")

    def _tell(self, seq: int, account: str, symbol: str) -> None:
        for stream in self._by_account.get(account, ()):
            stream.touched(seq)
        if symbol:
            self._price_seqs[symbol] = seq
            for stream in self._by_symbol.get(symbol, ()):
                stream.moved(seq)

    def _begin(self, stream: PortfolioStream) -> None:
        self._streams.add(stream)
        self._by_account.setdefault(stream.account, set()).add(stream)
        streams_gauge.inc()

    def forget(self, stream: PortfolioStream) -> None:
        """Lets go of a stream; without effect when it is forgotten."""
        if stream not in self._streams:
            return
        self._streams.remove(stream)
        _discard(self._by_account, stream.account, stream)
        self.holds(stream, ())
        if not self._streams:
            self._price_seqs.clear()
        streams_gauge.dec()


def _discard(streams: dict[str, set[PortfolioStream]], key: str, stream: PortfolioStream) -> None:
    streams[key].discard(stream)
    if not streams[key]:
        del streams[key]


def _is_trade(event: Event) -> bool:
    exec_type = event.state[EXEC_TYPE] if event.state is not None else event.parsed().order.exec_type
    return exec_type == types.EXEC_TYPE_TRADE


def _bears_upon(event: events_pb2.Event) -> tuple[str, str]:
    """The account whose ledger, and the symbol whose mark, an event changes that is about no order; empty for none."""
    kind = event.WhichOneof("body")
    if kind == "reference_price_set":
        return "", event.reference_price_set.symbol
    if kind == "cash_adjusted":
        return event.cash_adjusted.account, ""
    if kind == "position_adjusted":
        return event.position_adjusted.account, ""
    # Its margin may be another one.
    return (event.account_configured.change.account, "") if kind == "account_configured" else ("", "")


def _differ(before: wire.GetPortfolioResponse, after: wire.GetPortfolioResponse) -> bool:
    """Whether two portfolios say different things, wherever they stand."""
    told_seq, after.as_of_seq = after.as_of_seq, before.as_of_seq
    differ = before != after
    after.as_of_seq = told_seq
    return differ

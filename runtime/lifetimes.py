"""How long streams may live: age, the caller's token, revocation, a reader that does not read, and the drain.

A stream is registered as long as its call lives. It is told to end in band; only
one whose reader takes nothing any more is ended without a word, because no word
would reach it. Streams between servers do not end with a token: servers renew
theirs for each call. Used by every server that serves streams.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

import grpc
from grpc_status import rpc_status
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge

from runtime.auth import Principal
from runtime.errors import Refused, status_of
from runtime.logs import get_logger
from runtime.reasons import reason_name
from runtime.settings import Settings

TICK_S = 0.25
NOTICE_S = 30.0
"""How long before a token runs out, or a stream is too old, its client is warned."""
ABORT_AFTER_S = 1.0
"""How long a reader that was cut has time to take the end before its call is broken off."""
ENDS_WITHIN_S = 30.0
"""How long a stream that was told to end may take for it: whoever takes nothing keeps nothing for longer."""
REPEAT_NOTICE_S = 1.0
LINGER_S = 0.25
"""How long a server that takes on nothing more still says so, before gRPC stops it: a call that comes in just then is
cancelled without a word."""
MS_PER_S = 1_000

log = get_logger(__name__)
live_gauge = Gauge("ordergate_runtime_live_streams", "Streams that are being served.")
ended_total = Counter(
    "ordergate_runtime_streams_ended_total", "Streams that the server has ended, by reason.", ["reason"]
)


class Living(Protocol):
    """A stream, as far as its life is concerned. None of this waits, and all of it may be called twice."""

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band, after what was taken on is done and told."""
        ...

    def warn(self, notice: types.Draining) -> None:
        """Tells the client that the end is near."""
        ...

    def stalled_s(self, now_s: float) -> float:
        """Age in seconds of the oldest message that the reader has not taken, at monotonic time `now_s`; 0 for none."""
        ...

    def abort(self) -> None:
        """Breaks the call off: its reader takes nothing."""
        ...


class Revocations(Protocol):
    """Whoever knows which callers are not trusted any more."""

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the caller's token, subject or one of its roles was revoked."""
        ...


class Life:
    """One stream's life."""

    def __init__(
        self, stream: Living, principal: Principal, revocations: Revocations, oldest_s: float, context: Any
    ) -> None:
        self.stream = stream
        self.principal = principal
        self.revocations = revocations
        self.oldest_s = oldest_s
        """Monotonic time at which it is too old."""
        self.warned_of: set[int] = set()
        self.end: Refused | None = None
        """Why it was told to end."""
        self.ends_s = math.inf
        """Monotonic time by which it must have ended."""
        self.context = context
        self.task = asyncio.current_task()
        self.cut_s: float | None = None
        """Monotonic time since which its reader is known to be too slow."""

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self.end is not None

    def renew(self, principal: Principal) -> None:
        """Goes on with a newer token of the same caller."""
        self.principal = principal
        self.warned_of.discard(types.REASON_TOKEN_EXPIRED)


class Lifetimes:
    """The lives of all streams of one server."""

    def __init__(self, settings: Settings) -> None:
        self._age_max_s = settings.stream_age_max_s
        self._slow_reader_s = settings.slow_reader_s
        self._lives: set[Life] = set()
        self._closed = False
        self._drain_ends_s: float | None = None

    def __len__(self) -> int:
        return len(self._lives)

    def check_open(self) -> None:
        """Makes sure that the server still takes on new work.

        Raises:
            Refused: DRAINING; the countdown is over.
        """
        if self._closed:
            raise Refused(types.REASON_DRAINING, "the server is about to stop; connect again")

    @asynccontextmanager
    async def of(
        self, stream: Living, principal: Principal, revocations: Revocations, context: Any
    ) -> AsyncIterator[Life]:
        """Watches over a stream as long as the block lives.

        Raises:
            Refused: DRAINING; the server takes on no more streams.
        """
        life = self.begin(stream, principal, revocations, context)
        try:
            yield life
        finally:
            self.end(life)

    def begin(self, stream: Living, principal: Principal, revocations: Revocations, context: Any) -> Life:
        """Watches over a stream until `end`; called by the handler of its call.

        Raises:
            Refused: DRAINING; the server takes on no more streams.
        """
        self.check_open()
        now_s = time.monotonic()
        life = Life(stream, principal, revocations, now_s + self._age_max_s, context)
        self._lives.add(life)
        live_gauge.inc()
        if self._drain_ends_s is not None:
            stream.warn(_notice(types.REASON_DRAINING, "the server is about to stop", self._drain_ends_s - now_s))
        return life

    def end(self, life: Life) -> None:
        """Forgets a stream; without effect when it is forgotten."""
        if life in self._lives:
            self._lives.discard(life)
            live_gauge.dec()

    async def run(self) -> None:
        """Looks after all streams until it is cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.tick(time.monotonic(), time.time())

    def tick(self, now_s: float, unix_s: float) -> None:
        """Warns and ends whose time has come.

        Args:
            now_s: monotonic time.
            unix_s: the time of day, which tokens are about.
        """
        for life in list(self._lives):
            self._look_at_reader(life, now_s)
            self._look_at_caller(life, now_s, unix_s)
            self._look_at_age(life, now_s)
            self._look_at_end(life, now_s)

    async def drain(self, notice_s: float) -> None:
        """Counts down on every stream, then ends all of them and takes on no more.

        Returns when whoever did not heed the notice has had time to hear that too; streams may be about to end still.
        """
        now_s = time.monotonic()
        self._drain_ends_s = now_s + notice_s
        while now_s < self._drain_ends_s:
            left_s = self._drain_ends_s - now_s
            for life in list(self._lives):
                life.stream.warn(_notice(types.REASON_DRAINING, "the server is about to stop", left_s))
            await asyncio.sleep(min(REPEAT_NOTICE_S, left_s))
            now_s = time.monotonic()
        self._closed = True
        for life in list(self._lives):
            _finish(life, now_s, types.REASON_DRAINING, "the server is about to stop; connect again")
        await asyncio.sleep(min(LINGER_S, notice_s))

    def _look_at_reader(self, life: Life, now_s: float) -> None:
        stalled_s = life.stream.stalled_s(now_s)
        if stalled_s <= self._slow_reader_s:
            return
        if life.cut_s is None:
            life.cut_s = now_s
            _finish(life, now_s, types.REASON_SLOW_CONSUMER, f"a message was not taken for {stalled_s:.1f} seconds")
        elif now_s - life.cut_s >= ABORT_AFTER_S:
            log.warning("reader broken off", subject=life.principal.subject, stalled_s=round(stalled_s, 1))
            life.stream.abort()

    def _look_at_caller(self, life: Life, now_s: float, unix_s: float) -> None:
        principal = life.principal
        if principal.is_service:
            return
        if life.revocations.is_revoked(principal):
            _finish(life, now_s, types.REASON_TOKEN_REVOKED, "the token, its subject or one of its roles was revoked")
            return
        left_s = principal.expires_at_s - unix_s
        if left_s <= 0:
            _finish(life, now_s, types.REASON_TOKEN_EXPIRED, "the token has expired")
        elif left_s <= NOTICE_S:
            _warn_once(life, types.REASON_TOKEN_EXPIRED, "the token runs out", left_s)

    def _look_at_age(self, life: Life, now_s: float) -> None:
        left_s = life.oldest_s - now_s
        if left_s <= 0:
            _finish(
                life, now_s, types.REASON_DRAINING, f"a stream lives at most {self._age_max_s:g} seconds; connect again"
            )
        elif left_s <= NOTICE_S:
            _warn_once(life, types.REASON_DRAINING, "the stream has lived as long as it may", left_s)

    def _look_at_end(self, life: Life, now_s: float) -> None:
        if life.end is not None and now_s >= life.ends_s:
            life.ends_s = math.inf
            log.warning("a stream that did not end is broken off", subject=life.principal.subject)
            break_off(life.context, life.task, life.end)


def break_off(context: Any, task: asyncio.Task[Any] | None, refused: Refused) -> None:
    """Ends a call whose writer stands still because its client takes nothing.

    The handler is cancelled, which frees what it holds. Alone that would leave the
    client without an end: should it ever read again, it finds the status behind
    what the transport had taken.

    Args:
        context: that of the call.
        task: the call's own, as `asyncio.current_task()` gave it to the handler.
        refused: what the client will find.
    """
    aborting = asyncio.get_running_loop().create_task(_abort(context, refused))
    _aborting.add(aborting)
    aborting.add_done_callback(_aborting.discard)
    if task is not None:
        task.cancel()


_aborting: set[asyncio.Task[None]] = set()


async def _abort(context: Any, refused: Refused) -> None:
    # The call may have ended meanwhile, in one of many ways; then there is nothing left to do.
    with suppress(Exception, asyncio.CancelledError):
        try:
            await context.abort_with_status(rpc_status.to_status(status_of(refused)))
        except grpc.aio.AbortError as abort:
            # The call keeps it; with its traceback it would keep the call.
            abort.__traceback__ = abort.__context__ = None


def _finish(life: Life, now_s: float, reason: types.Reason.ValueType, text: str) -> None:
    """Tells a stream to end; the first reason is the one that it gives."""
    if life.end is None:
        life.end = Refused(reason, text)
        life.ends_s = now_s + ENDS_WITHIN_S
        ended_total.labels(reason_name(reason)).inc()
        life.stream.finish(reason, text)


def _warn_once(life: Life, reason: types.Reason.ValueType, text: str, left_s: float) -> None:
    if reason not in life.warned_of and not life.is_ending:
        life.warned_of.add(reason)
        life.stream.warn(_notice(reason, text, left_s))


def _notice(reason: types.Reason.ValueType, text: str, left_s: float) -> types.Draining:
    return types.Draining(ends_in_ms=max(0, round(left_s * MS_PER_S)), reason=reason, text=text)

"""Streams of execution reports, from any point of the past into the present: of one account, or of many.

A stream has one writer, which gives what it has to say in this order: a notice
that the end is near, the end, history, live reports, a heartbeat when there was
nothing for long enough. History comes in parts, the next of which is read while
one is written; live reports gather meanwhile in the bounded queue, and when
they do not fit, history is read a little further instead. Nothing is given
twice or left out: `seq` only grows, and is given back as `resume_after`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.history import read
from gateway.latency import latency
from gateway.reports import Reader, Reports, Told, cut_total
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused
from runtime.layout import nested, text, varint
from runtime.logs import get_logger

log = get_logger(__name__)
RETRY_DELAY_MS = 500
FLUSHED_FIRST = frozenset({types.REASON_DRAINING, types.REASON_SNAPSHOT_REQUIRED})
"""Ends that come after what waits to be sent. Whoever may not have it, or does not take it, gets no more."""


class Stream(Reader, ABC):
    """What the gateway knows of one live stream of reports."""

    response: ClassVar[type[Any]]
    unit_max: ClassVar[int]
    """Most reports in a message."""

    def __init__(
        self,
        stream_id: str,
        accounts: list[str],
        resume_after: int | None,
        stub_now: Callable[[], matching_pb2_grpc.MatchingServiceAsyncStub],
        reports: Reports,
        heartbeat_s: float,
    ) -> None:
        """Makes a stream that begins with the present, or after `resume_after`.

        Args:
            stream_id: for logs and support.
            accounts: whose reports, in the order of the request; none for those of all accounts.
            resume_after: the sequence that the client has; at most `reports.last_seq`.
            stub_now: gives the way to matching, for what is past.
            reports: for what is present.
            heartbeat_s: silence after which a heartbeat is given.
        """
        super().__init__(frozenset(accounts), reports.last_seq)
        self.stream_id = stream_id
        self._named = accounts
        self._stub_now = stub_now
        self._reports = reports
        self._heartbeat_s = heartbeat_s
        self._id_field = text(b"\x0a", stream_id)
        self._sent_seq = self.start_seq if resume_after is None else resume_after
        self._epoch = reports.epoch
        self._past: list[Told] = []
        self._past_room = asyncio.Event()
        self._past_room.set()
        self._writing: list[Told] = []
        self._written = 0
        self._notice: types.Draining | None = None
        self._end: types.StreamEnd | None = None
        self._heard_seq = 0
        self._replay_task: asyncio.Task[None] | None = None
        self.replaying = self._is_past = self._sent_seq < self.start_seq

    @abstractmethod
    def lay_out(self, unit: list[bytes]) -> bytes:
        """The field of a message that holds these reports."""

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band; after what waits to be sent, if the reason lets it."""
        if self._end is not None:
            return
        self._end = types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)
        self.closed = True
        self._heard_seq = self._reports.last_seq
        if reason == types.REASON_SLOW_CONSUMER:
            cut_total.inc()
        if reason not in FLUSHED_FIRST:
            self._drop()
        self.news.set()

    def warn(self, notice: types.Draining) -> None:
        """Tells the client that the end is near; a newer notice replaces one that was not sent."""
        self._notice = notice
        self.news.set()

    def abort(self) -> None:
        """Lets go of a reader that takes nothing, all but the message that is on its way.

        gRPC would not tell the client if its handler were cancelled. So the writer
        stays where it is; should the client ever read on, it gets the end in band.
        """
        self.leave()

    def leave(self) -> None:
        """Lets go of everything; the call has ended, or might as well have."""
        self.closed = True
        self._drop()
        self.sent()
        self._reports.unsubscribe(self)
        if self._replay_task is not None:
            self._replay_task.cancel()

    def overflow(self) -> None:
        """Cuts the reader; one that is still at its history reads that further instead."""
        if self.replaying:
            self.closed = True
            self._drop_queue()
        else:
            self.finish(types.REASON_SLOW_CONSUMER, "the stream did not take its reports fast enough")

    async def write(self) -> AsyncIterator[Any]:
        """The subscription's result at once, then history, then live reports and heartbeats, then the end."""
        yield self._subscribed()
        self._replay_task = asyncio.create_task(self._replay(), name=f"history of {self.stream_id}")
        self._replay_task.add_done_callback(self._replayed)
        while True:
            if self._notice is not None:
                notice, self._notice = self._notice, None
                yield self._message(self._sent_seq, draining=notice)
            if self._end is not None and (self.replaying or not self._waits()):
                self._end.resume_after = self._position()
                yield self._message(self._end.resume_after, end=self._end)
                return
            if unit := self._next_unit():
                yield self._unit(unit)
            elif not await self._has_news():
                beat = types.Heartbeat(last_seq=self._sent_seq, time=timestamp(unix_ns()))
                yield self._message(self._position(), heartbeat=beat)

    async def _has_news(self) -> bool:
        """Waits for something to say; False when it is time for a heartbeat."""
        self.sent()
        self.news.clear()
        try:
            async with asyncio.timeout(self._heartbeat_s):
                await self.news.wait()
        except TimeoutError:
            return False
        return True

    async def _replay(self) -> None:
        """Reads history up to the live reports, again and again if those did not fit into the queue meanwhile."""
        after_seq = self._sent_seq
        try:
            while after_seq < self.start_seq:
                async for past in read(self._stub_now, self.stream_id, self.accounts, after_seq, self.start_seq):
                    if past.events:
                        await self._past_room.wait()
                        self._past_room.clear()
                        self._past = [(event, past.epoch, 0, 0) for event in past.events]
                        self.news.set()
                await self._past_room.wait()
                after_seq = self.start_seq
                if self.closed and self._end is None:
                    self.start_seq, self.closed = self._reports.last_seq, False
        except Refused as refused:
            self.finish(refused.reason, refused.text)
        if self._end is None:
            self.replaying = False
            self.news.set()

    def _replayed(self, replay: asyncio.Task[None]) -> None:
        """Ends a stream that did not get to the present: without it, nothing would ever come after its history."""
        if self.replaying and not replay.cancelled() and (error := replay.exception()) is not None:
            log.error("history failed", stream=self.stream_id, exc_info=error)
        if self.replaying:
            self.finish(types.REASON_INTERNAL, "the history could not be read; connect again")

    def _next_unit(self) -> list[Told]:
        """The reports of the next message; none while there are none."""
        if self._written >= len(self._writing):
            self._begin_part()
        if self._is_past:
            # What is past is late by its nature: only the time that the client takes for it counts.
            self.given()
        unit = self._writing[self._written : self._written + self.unit_max]
        self._written += len(unit)
        return unit

    def _begin_part(self) -> None:
        self._written = 0
        if self._past:
            self._writing, self._past, self._is_past = self._past, [], True
            self._past_room.set()
        elif self.replaying:
            self._writing = []
        else:
            if self._is_past:
                self._is_past = False
                self.count_from_now()
            self._writing = self.take_part()

    def _waits(self) -> bool:
        """Whether there are reports that were not given to the writer yet."""
        return bool(self.reports or self._past or self._written < len(self._writing))

    def _position(self) -> int:
        """The last event that the client has, or that is none for it."""
        if self.replaying or self._waits():
            return self._sent_seq
        return max(self._sent_seq, self._heard_seq if self.closed else self._reports.last_seq)

    def _drop(self) -> None:
        """Forgets everything that waits to be sent; the client resumes before it."""
        if self._waits():
            self._heard_seq = 0
        self._drop_queue()
        self._past, self._writing, self._written = [], [], 0

    def _drop_queue(self) -> None:
        self.take()

    def _unit(self, unit: list[Told]) -> bytes:
        """A message with reports, laid out: they are never message objects."""
        sent_unix_ns = unix_ns()
        encode = self._reports.encode
        latency.count_all(unit, sent_unix_ns)
        seq, prev_seq = unit[-1][0].seq, self._sent_seq
        self._sent_seq, self._epoch = seq, max(self._epoch, unit[-1][1])
        head = (self._id_field, b"\x10", varint(self._epoch), b"\x18", varint(seq), b"\x20", varint(prev_seq))
        return b"".join((*head, self.lay_out([encode(told, sent_unix_ns) for told in unit])))

    def _subscribed(self) -> Any:
        subscribed = types.Subscribed(
            resume_after=self._sent_seq,
            results=[types.SubscriptionResult(key=account) for account in self._named],
            heartbeat_interval_s=max(1, round(self._heartbeat_s)),
        )
        return self._message(self._sent_seq, subscribed=subscribed)

    def _message(self, seq: int, **said: Any) -> Any:
        prev_seq, self._sent_seq = self._sent_seq, seq
        self._epoch = max(self._epoch, self._reports.epoch)
        return self.response(stream_id=self.stream_id, epoch=self._epoch, seq=seq, prev_seq=prev_seq, **said)


class ReportStream(Stream):
    """The reports of one account, one in a message."""

    response = wire.StreamExecutionReportsResponse
    unit_max = 1

    def lay_out(self, unit: list[bytes]) -> bytes:
        """The one report."""
        return nested(b"\x32", unit)

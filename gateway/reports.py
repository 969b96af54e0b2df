"""Execution reports to whoever listens: sessions, report streams and drop copies, by account.

A reader has a bounded queue. It is filled by the link and emptied by the
stream's own writer; a reader that is too slow is cut, and told where to resume.
What is older than a reader's first live report comes from matching's journal.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, TypeAlias

import grpc
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge

from gateway.encoding import execution_report
from gateway.events import Event
from runtime.errors import Refused
from runtime.instruments import Instruments

READER_REPORTS_MAX = 100_000
PART_REPORTS_MAX = 1_024
"""Reports that share a time at which they were queued; `take_part` gives so many at a time."""
REACH_MAX_S = 5.0
"""How long the link may lag behind an event that has happened."""

reports_total = Counter("ordergate_gateway_reports_total", "Execution reports handed to readers.")
readers_gauge = Gauge("ordergate_gateway_report_readers", "Sessions and report streams.")
cut_total = Counter("ordergate_gateway_readers_cut_total", "Readers that were cut because they were too slow.")


Told: TypeAlias = tuple[Event, int, int, int]
"""An event on its way to one reader: the event, its epoch, when it was durable in unix ns (0 for one of the past), and
the reader's own number of the command that it answers (0 for none)."""


class Reader(ABC):
    """One stream's reports, in sequence, until they are taken.

    A part is what was queued from one multiple of PART_REPORTS_MAX to the next;
    the age of its first report stands for that of the whole.
    """

    queue_max: ClassVar[int] = READER_REPORTS_MAX

    def __init__(self, accounts: frozenset[str], after_seq: int) -> None:
        self.accounts = accounts
        """Whose reports it wants; none for those of all accounts."""
        self.start_seq = after_seq
        """Live reports come after this one; what is older is history."""
        self.reports: list[Told] = []
        self.too_slow = False
        self.closed = False
        """Takes no more live reports: what came after a gap must not follow what came before it."""
        self.replaying = False
        """Still has history before it: what waits in the queue is not late."""
        self.news = asyncio.Event()
        self._queued_s: list[float] = []
        self._given_s = 0.0

    @abstractmethod
    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band."""

    def hear(self, event: Event, epoch: int, durable_unix_ns: int) -> None:
        """Takes a live event of one of its accounts."""
        self.offer((event, epoch, durable_unix_ns, 0))

    def offer(self, told: Told) -> None:
        """Queues an event, or does what the reader does about a queue that is full."""
        if self.closed or self.too_slow:
            return
        waiting = len(self.reports)
        if waiting >= self.queue_max:
            self.overflow()
        else:
            if not waiting % PART_REPORTS_MAX:
                self._queued_s.append(time.monotonic())
            self.reports.append(told)
        self.news.set()

    def overflow(self) -> None:
        """Marks the reader as too slow."""
        cut_total.inc()
        self.too_slow = True

    def take(self) -> list[Told]:
        """Gives all events that wait."""
        taken, self.reports = self.reports, []
        self._queued_s.clear()
        return taken

    def take_part(self) -> list[Told]:
        """Gives the oldest part of what waits; it counts as untaken until `sent`."""
        if not self.reports:
            return []
        taken, self.reports = self.reports[:PART_REPORTS_MAX], self.reports[PART_REPORTS_MAX:]
        self._given_s = self._queued_s.pop(0)
        return taken

    def given(self) -> None:
        """Notes that something is on its way to the client, and was not late before."""
        self._given_s = time.monotonic()

    def sent(self) -> None:
        """Notes that everything that was given out has been taken."""
        self._given_s = 0.0

    def count_from_now(self) -> None:
        """Lets the age of everything that waits begin now: history stood before it."""
        self._queued_s = [time.monotonic()] * len(self._queued_s)

    def stalled_s(self, now_s: float) -> float:
        """Age in seconds of the oldest report that the client has not taken, at monotonic time `now_s`; 0 for none."""
        if self._given_s:
            return now_s - self._given_s
        return now_s - self._queued_s[0] if self._queued_s and not self.replaying else 0.0


class Reports:
    """Gives each event to the readers of its account."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._readers: dict[str, list[Reader]] = {}
        self._of_all: list[Reader] = []
        self._subscribed: set[Reader] = set()
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self.last_seq = 0
        self.epoch = 0

    def begin(self, last_seq: int, epoch: int) -> None:
        """Sets the point from which on events will be heard.

        If that is beyond what was heard, events are missing that the journal has
        dropped: every reader ends in band with SNAPSHOT_REQUIRED.
        """
        if self.last_seq < last_seq:
            for reader in list(self._subscribed):
                reader.finish(types.REASON_SNAPSHOT_REQUIRED, "events have passed that are not kept any more")
        self.last_seq, self.epoch = last_seq, epoch
        self._tell_reached()

    def subscribe(self, reader: Reader) -> None:
        """Lets a reader hear everything after `reader.start_seq`, which must be `last_seq`."""
        self._subscribed.add(reader)
        if not reader.accounts:
            self._of_all.append(reader)
        for account in reader.accounts:
            self._readers.setdefault(account, []).append(reader)
        readers_gauge.inc()

    def unsubscribe(self, reader: Reader) -> None:
        """Forgets a reader; without effect when it is forgotten."""
        if reader not in self._subscribed:
            return
        self._subscribed.remove(reader)
        if not reader.accounts:
            self._of_all.remove(reader)
        for account in reader.accounts:
            self._readers[account].remove(reader)
            if not self._readers[account]:
                del self._readers[account]
        readers_gauge.dec()

    @contextmanager
    def heard_by(self, reader: Reader) -> Iterator[None]:
        """Lets a reader hear as long as the block lives."""
        self.subscribe(reader)
        try:
            yield
        finally:
            self.unsubscribe(reader)

    def hear(self, told: Sequence[Event], epoch: int, durable_unix_ns: int) -> None:
        """Hands events on; called by the link."""
        self.epoch = epoch
        self.last_seq = told[-1].seq
        if self._awaited:
            self._tell_reached()
        readers, of_all = self._readers, self._of_all
        if not readers and not of_all:
            return
        handed = 0
        for event in told:
            # An event that is not about an order has an empty account here, and nobody reads that.
            for reader in readers.get(event.account, ()):
                reader.hear(event, epoch, durable_unix_ns)
                handed += 1
            if of_all and event.account:
                for reader in of_all:
                    reader.hear(event, epoch, durable_unix_ns)
                handed += len(of_all)
        reports_total.inc(handed)

    async def reach(self, stub: matching_pb2_grpc.MatchingServiceAsyncStub, seq: int) -> None:
        """Waits until the events up to `seq` were heard: a snapshot, or another gateway, may be ahead of this one.

        Raises:
            Refused: that event has not happened, or it cannot be heard at the moment.
        """
        if seq <= self.last_seq:
            return
        unreachable = Refused(types.REASON_MATCHING_UNAVAILABLE, "the matching engine cannot be reached at the moment")
        try:
            journal_seq = (await stub.GetAccount(wire.GetAccountRequest())).as_of_seq
        except grpc.aio.AioRpcError:
            raise unreachable from None
        if seq > journal_seq:
            text = f"resume_after {seq} has not happened; the last event is {journal_seq}"
            raise Refused(types.REASON_FIELD_INVALID, text, field="resume_after")
        if seq > self.last_seq:
            heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._awaited.append((seq, heard))
            try:
                async with asyncio.timeout(REACH_MAX_S):
                    await heard
            except TimeoutError:
                raise unreachable from None

    def _tell_reached(self) -> None:
        for seq, heard in self._awaited:
            if seq <= self.last_seq and not heard.done():
                heard.set_result(None)
        self._awaited = [(seq, heard) for seq, heard in self._awaited if not heard.done()]

    def encode(self, told: Told, sent_unix_ns: int) -> bytes:
        """The bytes of the report of an event."""
        event, epoch, durable_unix_ns, correlation_id = told
        return execution_report(event, self._instruments, epoch, durable_unix_ns, sent_unix_ns, correlation_id)

"""Execution reports to whoever listens: sessions and report streams, by account.

A reader has a bounded queue. It is filled by the link and emptied by the
stream's own writer; a reader that is too slow is cut, and told where to resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders
from prometheus_client import Counter, Gauge

from gateway.convert import report
from gateway.encoding import execution_report
from gateway.events import Event
from runtime.instruments import Instruments

READER_REPORTS_MAX = 100_000

reports_total = Counter("ordergate_gateway_reports_total", "Execution reports handed to readers.")
readers_gauge = Gauge("ordergate_gateway_report_readers", "Sessions and report streams.")
cut_total = Counter("ordergate_gateway_readers_cut_total", "Readers that were cut because they were too slow.")


Told: TypeAlias = tuple[Event, int, int, int]
"""An event on its way to one reader: the event, its epoch, when it was durable in unix ns (0 for one of the past), and
the reader's own number of the command that it answers (0 for none)."""


class Reader:
    """One stream's reports, in sequence, until they are taken."""

    def __init__(self, accounts: frozenset[str], after_seq: int) -> None:
        self.accounts = accounts
        self.start_seq = after_seq
        """Live reports come after this one; what is older is history."""
        self.reports: list[Told] = []
        self.too_slow = False
        self.news = asyncio.Event()

    def hear(self, event: Event, epoch: int, durable_unix_ns: int) -> None:
        """Takes a live event of one of its accounts."""
        self.offer((event, epoch, durable_unix_ns, 0))

    def offer(self, told: Told) -> None:
        """Queues an event, or marks the reader as too slow."""
        if len(self.reports) >= READER_REPORTS_MAX:
            if not self.too_slow:
                cut_total.inc()
            self.too_slow = True
        elif not self.too_slow:
            self.reports.append(told)
        self.news.set()

    def take(self) -> list[Told]:
        """Gives all events that wait."""
        taken, self.reports = self.reports, []
        return taken


class Reports:
    """Gives each event to the readers of its account."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._readers: dict[str, list[Reader]] = {}
        self.last_seq = 0
        self.epoch = 0

    def begin(self, last_seq: int, epoch: int) -> None:
        """Sets the point from which on events will be heard."""
        self.last_seq, self.epoch = last_seq, epoch

    def subscribe(self, reader: Reader) -> None:
        """Lets a reader hear everything after `reader.start_seq`, which must be `last_seq`."""
        for account in reader.accounts:
            self._readers.setdefault(account, []).append(reader)
        readers_gauge.inc()

    def unsubscribe(self, reader: Reader) -> None:
        """Forgets a reader."""
        for account in reader.accounts:
            self._readers[account].remove(reader)
            if not self._readers[account]:
                del self._readers[account]
        readers_gauge.dec()

    def hear(self, told: Sequence[Event], epoch: int, durable_unix_ns: int) -> None:
        """Hands events on; called by the link."""
        self.epoch = epoch
        self.last_seq = told[-1].seq
        readers = self._readers
        if not readers:
            return
        handed = 0
        for event in told:
            # An event that is not about an order has an empty account here, and nobody reads that.
            for reader in readers.get(event.account, ()):
                reader.hear(event, epoch, durable_unix_ns)
                handed += 1
        reports_total.inc(handed)

    async def history(
        self, stub: matching_pb2_grpc.MatchingServiceAsyncStub, name: str, reader: Reader, after_seq: int
    ) -> AsyncIterator[list[Told]]:
        """The reader's events after `after_seq` and up to its live ones, from matching."""
        if after_seq >= reader.start_seq:
            return
        request = wire.StreamEventsRequest(
            follower=name, resume_after=after_seq, until_seq=reader.start_seq, accounts=sorted(reader.accounts)
        )
        async for response in stub.StreamEvents(request):
            if response.events:
                yield [(Event(data), response.epoch, 0, 0) for data in response.events]

    def message(self, told: Told, sent_unix_ns: int) -> orders.ExecutionReport:
        """The report of an event."""
        event, epoch, durable_unix_ns, correlation_id = told
        made = report(event.parsed(), self._instruments, epoch, durable_unix_ns, correlation_id)
        made.sent_unix_ns = sent_unix_ns
        return made

    def encode(self, told: Told, sent_unix_ns: int) -> bytes:
        """The bytes of the report of an event."""
        event, epoch, durable_unix_ns, correlation_id = told
        return execution_report(event, self._instruments, epoch, durable_unix_ns, sent_unix_ns, correlation_id)

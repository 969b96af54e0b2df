"""A stream of one account's execution reports, from any point in its past."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.link import Link
from gateway.reports import Reader, Reports, Told
from runtime.clock import timestamp, unix_ns

RETRY_DELAY_MS = 500


class ReportStream(Reader):
    """What the gateway knows of one live report stream."""

    def __init__(self, stream_id: str, account: str, resume_after: int | None, link: Link, reports: Reports) -> None:
        super().__init__(frozenset({account}), reports.last_seq)
        self.stream_id = stream_id
        self._account = account
        self._resume_after = resume_after
        self._link = link
        self._reports = reports
        self._sent_seq = self.start_seq if resume_after is None else resume_after
        self._end: types.StreamEnd | None = None

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the stream in band, after what already waits to be sent."""
        if self._end is None:
            self._end = types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)
        self.news.set()

    async def write(self, heartbeat_s: float) -> AsyncIterator[wire.StreamExecutionReportsResponse]:
        """The subscription's result at once, then history, then live reports and heartbeats, then the end."""
        yield self._subscribed(heartbeat_s)
        if self._resume_after is not None:
            async for past in self._reports.history(self._link.stub, self.stream_id, self, self._resume_after):
                for told in past:
                    yield self._report(told)
        while True:
            if not (self.reports or self._end or self.too_slow):
                self.news.clear()
                try:
                    async with asyncio.timeout(heartbeat_s):
                        await self.news.wait()
                except TimeoutError:
                    beat = types.Heartbeat(last_seq=self._sent_seq, time=timestamp(unix_ns()))
                    yield self._message(self._sent_seq, heartbeat=beat)
                    continue
            for told in self.take():
                yield self._report(told)
            if self.too_slow:
                self.finish(types.REASON_SLOW_CONSUMER, "the stream did not take its reports fast enough")
            if self._end is not None and not self.reports:
                self._end.resume_after = self._sent_seq
                yield self._message(self._sent_seq, end=self._end)
                return

    def _subscribed(self, heartbeat_s: float) -> wire.StreamExecutionReportsResponse:
        subscribed = types.Subscribed(
            resume_after=self._sent_seq,
            results=[types.SubscriptionResult(key=self._account)],
            heartbeat_interval_s=max(1, round(heartbeat_s)),
        )
        return self._message(self._sent_seq, subscribed=subscribed)

    def _report(self, told: Told) -> wire.StreamExecutionReportsResponse:
        return self._message(told[0].seq, report=self._reports.message(told, unix_ns()))

    def _message(
        self,
        seq: int,
        subscribed: types.Subscribed | None = None,
        report: orders.ExecutionReport | None = None,
        heartbeat: types.Heartbeat | None = None,
        end: types.StreamEnd | None = None,
    ) -> wire.StreamExecutionReportsResponse:
        prev_seq, self._sent_seq = self._sent_seq, seq
        return wire.StreamExecutionReportsResponse(
            stream_id=self.stream_id,
            epoch=self._reports.epoch,
            seq=seq,
            prev_seq=prev_seq,
            subscribed=subscribed,
            report=report,
            heartbeat=heartbeat,
            end=end,
        )

"""The feed: durable batches to whoever follows, from any point in the past.

Readers pull. Recent batches are in memory; who is further behind reads the
journal. Nobody's slowness costs memory or holds up anybody else.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from ordergate.matching.v1 import events_pb2 as wire

from matching.batch import Batch
from matching.journal.frames import Frame
from matching.journal.interface import Journal

RECENT_EVENTS_MAX = 200_000
RECENT_BATCHES_MAX = 100_000
"""A batch without events, of repetitions only, takes room too."""
MESSAGE_EVENTS_MAX = 4_096
GATHER_S = 0.002
"""Shortest time between two messages to a gateway that has nothing to wait for in the second one."""


class LinkTooSlowError(Exception):
    """A link did not take its results while they were kept."""


@dataclass(frozen=True, slots=True)
class Run:
    """Events that follow each other, whole commands only."""

    last_seq: int
    events: list[bytes]


class Feed:
    """The durable events, past and live."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recent: deque[Batch] = deque()
        self._recent_events = 0
        self._news = asyncio.Event()
        self.last_seq = journal.last_seq
        self.last_number = 0

    def publish(self, batch: Batch) -> None:
        """Takes in a batch that is durable now."""
        self._recent.append(batch)
        self._recent_events += len(batch.events)
        while self._is_too_much() and len(self._recent) > 1:
            self._recent_events -= len(self._recent.popleft().events)
        self.last_seq = batch.last_seq
        self.last_number = batch.number
        self._news.set()
        self._news = asyncio.Event()

    def _is_too_much(self) -> bool:
        return self._recent_events > RECENT_EVENTS_MAX or len(self._recent) > RECENT_BATCHES_MAX

    async def told(self, link_id: int, number: int, said_s: float, heartbeat_s: float) -> list[Batch]:
        """The batches after `number` for a link, none when nothing came for `heartbeat_s`.

        At once when one of them has an answer for it. Where nobody waits, not
        sooner than GATHER_S after `said_s`, when it was told something last
        (`time.monotonic`): what other gateways' orders bring about travels together.

        Raises:
            LinkTooSlowError: some of them are no longer kept.
        """
        await self.wait(number, heartbeat_s)
        while True:
            batches = self.batches_after(number)
            left_s = said_s + GATHER_S - time.monotonic()
            if not batches or left_s <= 0 or any(link_id in batch.results for batch in batches):
                return batches
            await self.wait(batches[-1].number, left_s)

    async def wait(self, number: int, timeout_s: float) -> None:
        """Returns when there is a batch after `number`, or after `timeout_s`."""
        if self.last_number > number:
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return

    def batches_after(self, number: int) -> list[Batch]:
        """The batches after `number`.

        Raises:
            LinkTooSlowError: some of them are no longer kept.
        """
        behind = self.last_number - number
        if behind > len(self._recent):
            raise LinkTooSlowError
        newest_first = list(islice(reversed(self._recent), behind))
        return newest_first[::-1]

    async def runs(self, after_seq: int, heartbeat_s: float, interval_s: float = 0.0) -> AsyncGenerator[Run, None]:
        """All events after `after_seq` and then live ones; an empty run when nothing came for `heartbeat_s`.

        Live ones that come within `interval_s` after others travel together.
        """
        while True:
            if after_seq >= self.last_seq:
                await self.wait(self.last_number, heartbeat_s)
                if after_seq == self.last_seq:
                    yield Run(after_seq, [])
            elif self._recent and self._recent[0].first_seq <= after_seq + 1:
                run = self._recent_run(after_seq)
                after_seq = run.last_seq
                is_live = after_seq == self.last_seq
                yield run
                if is_live and interval_s:
                    await asyncio.sleep(interval_s)
            else:
                frames = self._journal.read(after_seq, self.last_seq)
                while (past := await asyncio.to_thread(_past_run, frames, after_seq)).events:
                    after_seq = past.last_seq
                    yield past

    def _recent_run(self, reader_seq: int) -> Run:
        events: list[bytes] = []
        after_seq = reader_seq
        behind = list(takewhile(lambda batch: batch.last_seq > reader_seq, reversed(self._recent)))
        for batch in reversed(behind):
            events.extend(batch.events[max(0, after_seq + 1 - batch.first_seq) :])
            after_seq = batch.last_seq
            if len(events) >= MESSAGE_EVENTS_MAX:
                break
        return Run(after_seq, events)


def _past_run(frames: Iterator[Frame], reader_seq: int) -> Run:
    """The next message's worth of events out of the journal, none at its end; runs in a thread."""
    events: list[bytes] = []
    after_seq = reader_seq
    for frame in frames:
        batch = wire.JournalBatch.FromString(frame.payload)
        held = [event for entry in batch.entries for event in entry.events]
        events.extend(held[max(0, after_seq + 1 - frame.first_seq) :])
        after_seq = frame.last_seq
        if len(events) >= MESSAGE_EVENTS_MAX:
            break
    return Run(after_seq, events)

"""The feed: every durable event once and in order, from memory or from the journal, within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from ordergate.matching.v1 import events_pb2 as wire

from matching import feed as feeding
from matching.batch import Batch
from matching.feed import Feed, LinkTooSlowError, Run
from matching.journal.errors import NotKeptError
from matching.journal.file import FileJournal
from matching.journal.frames import Frame

HEARTBEAT_S = 0.01
LINK = 7
LONG_S = 60.0


class CountingJournal(FileJournal):
    """A journal that counts how often it is read from the beginning of a range."""

    reads = 0

    def read(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """The frames of a range."""
        self.reads += 1
        return super().read(after_seq, until_seq)


class Source:
    """A journal and its feed; `batch` makes events durable and publishes them."""

    def __init__(self, journal: CountingJournal) -> None:
        self.journal = journal
        self.feed = Feed(journal)

    def batch(self, events: int, *, published: bool = True) -> None:
        """A batch of that many events; each is its own seq as text."""
        first = self.journal.last_seq + 1
        told = [str(seq).encode() for seq in range(first, first + events)]
        entry = wire.JournalEntry(command=b"c", time_unix_ns=first, events=told)
        if told:
            self.journal.append(first, first + events - 1, wire.JournalBatch(entries=[entry]).SerializeToString())
        if published:
            last = self.journal.last_seq
            self.feed.publish(Batch(self.feed.last_number + 1, first, last, events=told))

    def restart(self) -> None:
        """A new feed on the same journal: nothing is in memory."""
        self.feed = Feed(self.journal)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """An empty journal with small segments, and its feed."""
    with CountingJournal(tmp_path, 4096) as journal:
        yield Source(journal)


async def taken(runs: AsyncIterator[Run], last_seq: int) -> list[Run]:
    """The runs up to the one that ends with `last_seq`."""
    made = []
    async for run in runs:
        made.append(run)
        if run.last_seq >= last_seq:
            break
    return made


def seqs(runs: list[Run]) -> list[int]:
    """All events of the runs."""
    return [int(event) for run in runs for event in run.events]


@pytest.mark.parametrize("after_seq", range(11))
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_reader_gets_every_event_after_its_place(source: Source, after_seq: int, restarted: bool) -> None:
    """From any place, inside batches too, whether the batches are in memory or only in the journal."""
    for events in (1, 3, 2, 5):
        source.batch(events)
    if restarted:
        source.restart()
    async with aclosing(source.feed.runs(after_seq, HEARTBEAT_S)) as runs:
        assert seqs(await taken(runs, 11)) == list(range(after_seq + 1, 12))


async def test_a_reader_goes_from_the_journal_over_to_live_batches(source: Source) -> None:
    """What was before the start comes from the journal, then what is in memory, then what happens."""
    source.batch(4)
    source.restart()
    source.batch(2)
    async with aclosing(source.feed.runs(0, HEARTBEAT_S)) as runs:
        made = await taken(runs, 6)
        source.batch(3)
        made += await taken(runs, 9)
    assert seqs(made) == list(range(1, 10))


async def test_a_reader_that_has_everything_hears_heartbeats(source: Source) -> None:
    """An empty run with the last seq comes when nothing else does."""
    source.batch(2)
    async with aclosing(source.feed.runs(2, HEARTBEAT_S)) as runs:
        assert await anext(runs) == Run(2, [])
        source.batch(1)
        assert await anext(runs) == Run(3, [b"3"])


async def test_memory_is_bounded_by_events(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old batches leave memory; a reader that needs them gets them from the journal, without a gap."""
    monkeypatch.setattr(feeding, "RECENT_EVENTS_MAX", 5)
    async with aclosing(source.feed.runs(0, HEARTBEAT_S)) as runs:
        for _ in range(20):
            source.batch(2)
        assert source.feed.batches_after(source.feed.last_number - 2)[0].events == [b"37", b"38"]
        with pytest.raises(LinkTooSlowError):
            source.feed.batches_after(source.feed.last_number - 3)
        assert seqs(await taken(runs, 40)) == list(range(1, 41))


async def test_memory_is_bounded_by_batches(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches without events do not gather without end."""
    monkeypatch.setattr(feeding, "RECENT_BATCHES_MAX", 5)
    for _ in range(20):
        source.batch(0)
    assert len(source.feed.batches_after(15)) == 5
    with pytest.raises(LinkTooSlowError):
        source.feed.batches_after(14)


async def test_links_get_the_batches_after_theirs_in_order(source: Source) -> None:
    """Each batch once, oldest first; none when there is nothing new."""
    for events in (1, 3, 2):
        source.batch(events)
    assert [batch.number for batch in source.feed.batches_after(0)] == [1, 2, 3]
    assert [batch.number for batch in source.feed.batches_after(2)] == [3]
    assert source.feed.batches_after(3) == []


async def test_the_past_is_read_once(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catching up is one walk through the journal in messages of bounded size, not one for each message."""
    monkeypatch.setattr(feeding, "MESSAGE_EVENTS_MAX", 4)
    for _ in range(30):
        source.batch(3)
    source.restart()
    async with aclosing(source.feed.runs(0, HEARTBEAT_S)) as runs:
        made = await taken(runs, 90)
    assert seqs(made) == list(range(1, 91))
    assert [len(run.events) for run in made] == [6] * 15
    assert source.journal.reads == 1


async def test_live_messages_are_bounded_too(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that fell behind within memory gets several messages, whole batches in each."""
    monkeypatch.setattr(feeding, "MESSAGE_EVENTS_MAX", 4)
    for _ in range(4):
        source.batch(3)
    async with aclosing(source.feed.runs(0, HEARTBEAT_S)) as runs:
        assert [len(run.events) for run in await taken(runs, 12)] == [6, 6]


async def test_a_reader_of_what_was_dropped_is_told(source: Source) -> None:
    """Events that the journal does not keep any more are not passed over in silence, nor are they waited for."""
    for _ in range(200):
        source.batch(10)
    source.journal.drop_before(1_500)
    kept = source.journal.first_seq
    assert 1 < kept <= 1_500
    source.restart()
    for after_seq in (0, kept - 2):
        async with aclosing(source.feed.runs(after_seq, HEARTBEAT_S)) as runs:
            with pytest.raises(NotKeptError):
                await anext(runs)
    async with aclosing(source.feed.runs(kept - 1, HEARTBEAT_S)) as runs:
        assert seqs(await taken(runs, 2_000)) == list(range(kept, 2_001))


async def test_a_reader_may_be_overtaken_by_the_retention(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped while somebody is still reading it ends that reader, and nobody else."""
    monkeypatch.setattr(feeding, "MESSAGE_EVENTS_MAX", 10)
    for _ in range(200):
        source.batch(10)
    source.restart()
    async with aclosing(source.feed.runs(0, HEARTBEAT_S)) as runs:
        first = await anext(runs)
        source.journal.drop_before(2_000)
        with pytest.raises(NotKeptError):
            await taken(runs, 2_000)
    assert seqs([first]) == list(range(1, 11))


def answering(source: Source, events: int = 1) -> None:
    """A batch that answers the link's first command."""
    first = source.feed.last_seq + 1
    told = [str(seq).encode() for seq in range(first, first + events)]
    source.feed.publish(Batch(source.feed.last_number + 1, first, first + events - 1, events=told))
    source.feed.batches_after(source.feed.last_number - 1)[0].results_of(LINK).correlations.append(1)


async def told(source: Source, number: int, said_s: float) -> list[int]:
    """The numbers of the batches that the link is told of next."""
    return [batch.number for batch in await source.feed.told(LINK, number, said_s, HEARTBEAT_S)]


async def test_a_link_hears_of_others_at_once_after_a_silence(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held back for a link that was told nothing for long enough."""
    monkeypatch.setattr(feeding, "GATHER_S", LONG_S)
    source.batch(1)
    assert await told(source, 0, time.monotonic() - LONG_S) == [1]


async def test_a_link_hears_of_others_together(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others bring about soon after a message waits for more of it, until the interval is over."""
    monkeypatch.setattr(feeding, "GATHER_S", 0.05)
    said_s = time.monotonic()
    source.batch(1)
    telling = asyncio.create_task(told(source, 0, said_s))
    while time.monotonic() < said_s + 0.02:
        await asyncio.sleep(0)
    assert not telling.done()
    source.batch(1)
    assert await telling == [1, 2]
    assert time.monotonic() >= said_s + 0.05


async def test_a_link_never_waits_for_its_answers(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer goes out at once, and takes along what was held back."""
    monkeypatch.setattr(feeding, "GATHER_S", LONG_S)
    source.batch(1)
    telling = asyncio.create_task(told(source, 0, time.monotonic()))
    await asyncio.sleep(0)
    answering(source)
    assert await telling == [1, 2]
    answering(source)
    assert await told(source, 2, time.monotonic()) == [3]


async def test_a_silent_feed_gives_a_link_nothing(source: Source) -> None:
    """None after the time of a heartbeat."""
    assert await told(source, 0, 0.0) == []


async def test_live_events_gather(source: Source) -> None:
    """After a message a reader that wants an interval is given nothing for so long, and then all of it; its past,
    and what happens after a silence, comes at once."""
    source.batch(2)
    async with aclosing(source.feed.runs(0, LONG_S, 0.05)) as runs:
        began_s = time.monotonic()
        assert await anext(runs) == Run(2, [b"1", b"2"])
        more = asyncio.create_task(anext(runs))
        await asyncio.sleep(0)
        source.batch(1)
        await asyncio.sleep(0)
        source.batch(1)
        assert await more == Run(4, [b"3", b"4"])
        assert time.monotonic() >= began_s + 0.05

"""Streams of reports without a wire: what is given, in which order, and what becomes of a reader that is slow."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import grpc
import pytest
from ordergate.matching.v1 import events_pb2
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import report
from gateway.drop_copy import DropCopy
from gateway.events import Event
from gateway.reports import PART_REPORTS_MAX, Reader, Reports, readers_gauge
from gateway.stream import ReportStream, Stream
from runtime.errors import Refused
from runtime.instruments import Instruments
from tests.unit.gateway.conftest import NS, event

EPOCH = 3
QUIET_S = 0.02
"""Heartbeats of streams that are made to wait."""


def told(seq: int, account: str = "DEMO", **changes: Any) -> Event:
    """An event of an order."""
    made = event(account=account, account_seq=seq, **changes)
    made.seq = made.command_seq = seq
    return Event(made.SerializeToString())


def reference(seq: int) -> Event:
    """An event about no order."""
    made = events_pb2.Event(seq=seq, command_seq=seq, time_unix_ns=NS)
    made.reference_price_set.symbol = "AAPL"
    return Event(made.SerializeToString())


@pytest.fixture
def reports(instruments: Instruments) -> Reports:
    """The reports of a gateway whose link stands at 10."""
    made = Reports(instruments)
    made.begin(10, EPOCH)
    return made


class Client:
    """Reads a stream message by message, as bytes or not, and holds the chain."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._messages: AsyncIterator[Any] = stream.write()
        self.seq = 10

    async def next(self) -> Any:
        """The next message."""
        message = await anext(self._messages)
        if isinstance(message, bytes):
            message = self._stream.response.FromString(message)
        assert message.prev_seq == self.seq
        assert (message.stream_id, message.epoch) == (self._stream.stream_id, EPOCH)
        self.seq = message.seq
        return message

    async def last(self) -> types.StreamEnd:
        """The next message, which must be the last."""
        end: types.StreamEnd = (await self.next()).end
        assert await anext(self._messages, None) is None
        return end


def opened(kind: type[Stream], reports: Reports, *accounts: str, heartbeat_s: float = 5.0) -> tuple[Stream, Client]:
    """A stream from the present on, which needs no past, and its client."""
    stream = kind("g-1", list(accounts), None, cast(Any, None), reports, heartbeat_s)
    reports.subscribe(stream)
    return stream, Client(stream)


async def test_a_report_has_a_message_of_its_own(reports: Reports, instruments: Instruments) -> None:
    """Laid out as the generated class would, number by number."""
    _, client = opened(ReportStream, reports, "DEMO")
    first = await client.next()
    assert (first.subscribed.resume_after, [one.key for one in first.subscribed.results]) == (10, ["DEMO"])
    events = [told(11), told(12), told(13, cum_qty_lots=1, last_qty_lots=1, last_px_ticks=10_125, trade_id=13)]
    reports.hear(events, EPOCH, NS + 7)
    for each in events:
        message = await client.next()
        expected = report(each.parsed(), instruments, EPOCH, NS + 7)
        expected.sent_unix_ns = message.report.sent_unix_ns
        assert message == wire.StreamExecutionReportsResponse(
            stream_id="g-1", epoch=EPOCH, seq=each.seq, prev_seq=each.seq - 1, report=expected
        )


async def test_a_drop_copy_puts_what_waits_into_a_frame(reports: Reports, instruments: Instruments) -> None:
    """Those of its accounts, in sequence; the message has the sequence of the last."""
    _, client = opened(DropCopy, reports, "B", "A")
    first = await client.next()
    assert [one.key for one in first.subscribed.results] == ["B", "A"]
    events = [told(11, "A"), told(12, "B"), told(13, "C"), reference(14), told(15, "A")]
    reports.hear(events, EPOCH, NS)
    message = await client.next()
    expected = [report(events[place].parsed(), instruments, EPOCH, NS) for place in (0, 1, 4)]
    for made in expected:
        made.sent_unix_ns = message.frame.reports[0].sent_unix_ns
    frame = wire.DropCopyFrame(reports=expected)
    assert message == wire.StreamDropCopyResponse(stream_id="g-1", epoch=EPOCH, seq=15, prev_seq=10, frame=frame)


async def test_a_drop_copy_of_all_hears_every_account(reports: Reports) -> None:
    """Accounts that nobody has named, and nothing that is about no order; others beside it hear their own."""
    _, everything = opened(DropCopy, reports)
    _, one = opened(ReportStream, reports, "B")
    assert list((await everything.next()).subscribed.results) == []
    await one.next()
    reports.hear([told(11, "A"), reference(12), told(13, "B"), told(14, "NEW")], EPOCH, NS)
    frame = (await everything.next()).frame
    assert [(made.seq, made.account) for made in frame.reports] == [(11, "A"), (13, "B"), (14, "NEW")]
    assert (await one.next()).report.seq == 13


async def test_frames_are_bounded(reports: Reports) -> None:
    """What waits is spread over as many frames as it takes."""
    _, client = opened(DropCopy, reports, "A")
    await client.next()
    number = 2 * DropCopy.unit_max + 5
    reports.hear([told(11 + place, "A") for place in range(number)], EPOCH, NS)
    frames = [(await client.next()).frame for _ in range(3)]
    assert [len(frame.reports) for frame in frames] == [DropCopy.unit_max, DropCopy.unit_max, 5]
    assert [made.seq for frame in frames for made in frame.reports] == list(range(11, 11 + number))


async def test_a_heartbeat_says_how_far_the_client_is(reports: Reports) -> None:
    """Events of others move the place to resume at: a quiet account does not fall behind what is kept."""
    _, client = opened(ReportStream, reports, "DEMO", heartbeat_s=QUIET_S)
    await client.next()
    reports.hear([told(11, "OTHER"), reference(12)], EPOCH, NS)
    beat = await client.next()
    assert (beat.heartbeat.last_seq, beat.seq) == (10, 12)
    assert (await client.next()).heartbeat.last_seq == 12
    reports.hear([told(13)], EPOCH, NS)
    assert (await client.next()).report.seq == 13


async def test_a_notice_goes_before_what_waits(reports: Reports) -> None:
    """It is urgent; a newer one replaces one that was not sent."""
    stream, client = opened(ReportStream, reports, "DEMO")
    await client.next()
    reports.hear([told(11)], EPOCH, NS)
    for ends_in_ms in (2_000, 1_000):
        stream.warn(types.Draining(ends_in_ms=ends_in_ms, reason=types.REASON_DRAINING))
    notice = await client.next()
    assert (notice.draining.ends_in_ms, notice.seq) == (1_000, 10)
    assert (await client.next()).report.seq == 11


@pytest.mark.parametrize("reason", [types.REASON_DRAINING, types.REASON_SNAPSHOT_REQUIRED])
async def test_a_planned_end_comes_after_what_waits(reports: Reports, reason: types.Reason.ValueType) -> None:
    """And nothing that is heard later comes between; the client resumes after the last event that could be for it."""
    stream, client = opened(ReportStream, reports, "DEMO")
    await client.next()
    reports.hear([told(11), told(12, "OTHER")], EPOCH, NS)
    stream.finish(reason, "why")
    stream.finish(types.REASON_INTERNAL, "the first reason counts")
    reports.hear([told(13)], EPOCH, NS)
    assert (await client.next()).report.seq == 11
    end = await client.last()
    assert (end.reason, end.text, end.resume_after) == (reason, "why", 12)
    assert end.retry_delay_ms > 0


@pytest.mark.parametrize("reason", [types.REASON_TOKEN_REVOKED, types.REASON_TOKEN_EXPIRED, types.REASON_SLOW_CONSUMER])
async def test_who_may_not_have_more_gets_no_more(reports: Reports, reason: types.Reason.ValueType) -> None:
    """What waits is dropped; the client can resume before it, if it may."""
    stream, client = opened(ReportStream, reports, "DEMO")
    await client.next()
    reports.hear([told(11), told(12)], EPOCH, NS)
    assert (await client.next()).report.seq == 11
    stream.finish(reason, "why")
    end = await client.last()
    assert (end.reason, end.resume_after) == (reason, 11)


async def test_a_link_that_jumps_ends_every_reader(reports: Reports) -> None:
    """What came after the gap does not follow what came before it; a link that comes back where it was ends nobody."""
    _, client = opened(ReportStream, reports, "DEMO")
    _, other = opened(DropCopy, reports)
    await client.next()
    await other.next()
    reports.hear([told(11)], EPOCH, NS)
    reports.begin(11, EPOCH)
    assert (await client.next()).report.seq == 11
    reports.begin(50, EPOCH)
    reports.hear([told(51)], EPOCH, NS)
    end = await client.last()
    assert (end.reason, end.resume_after) == (types.REASON_SNAPSHOT_REQUIRED, 11)
    assert [made.seq for made in (await other.next()).frame.reports] == [11]
    assert (await other.last()).reason == types.REASON_SNAPSHOT_REQUIRED


@pytest.mark.parametrize(
    "failure", [grpc.aio.UsageError("closed"), asyncio.CancelledError(), Refused(types.REASON_INTERNAL, "a gap")]
)
async def test_history_that_fails_ends_its_stream(reports: Reports, failure: BaseException) -> None:
    """Whatever is wrong with it: in band, with the place that the client has."""

    def stub_now() -> Any:
        raise failure

    stream = ReportStream("g-1", ["DEMO"], 4, stub_now, reports, 5.0)
    client = Client(stream)
    client.seq = 4
    assert (await client.next()).subscribed.resume_after == 4
    end = await client.last()
    assert (end.reason, end.resume_after) == (types.REASON_INTERNAL, 4)


class Queue(Reader):
    """A reader as such: its end is nobody's affair here."""

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Nothing follows."""


async def test_a_full_queue_cuts_its_reader_alone(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nothing for it any more and tells it where to resume; the reader beside it has everything."""
    monkeypatch.setattr(Stream, "queue_max", 100)
    slow, client = opened(ReportStream, reports, "DEMO")
    fast, beside = opened(DropCopy, reports, "DEMO")
    await client.next()
    await beside.next()
    got: list[int] = []
    for begin in range(11, 161, 50):
        reports.hear([told(seq) for seq in range(begin, begin + 50)], EPOCH, NS)
        got += [made.seq for made in (await beside.next()).frame.reports]
    assert got == list(range(11, 161))
    assert slow.reports == []
    assert not fast.closed
    end = await client.last()
    assert (end.reason, end.resume_after) == (types.REASON_SLOW_CONSUMER, 10)


def test_the_oldest_report_that_was_not_taken_counts() -> None:
    """From when it was queued until its part is sent; then the next part's age, and none when nothing waits."""
    reader = Queue(frozenset({"DEMO"}), 0)
    assert reader.stalled_s(time.monotonic()) == 0
    begun_s = time.monotonic()
    reader.hear(told(1), EPOCH, NS)
    queued_s = time.monotonic()
    for seq in range(2, PART_REPORTS_MAX + 2):
        reader.hear(told(seq), EPOCH, NS)
    later_s = time.monotonic() + 7
    assert later_s - queued_s <= reader.stalled_s(later_s) <= later_s - begun_s
    first = reader.take_part()
    assert later_s - queued_s <= reader.stalled_s(later_s) <= later_s - begun_s
    reader.sent()
    assert 7 <= reader.stalled_s(later_s) <= later_s - queued_s
    second = reader.take_part()
    reader.sent()
    assert reader.stalled_s(later_s) == 0
    assert [one[0].seq for one in (*first, *second)] == list(range(1, PART_REPORTS_MAX + 2))
    assert reader.take_part() == []


def test_taking_all_leaves_nothing_to_be_late() -> None:
    """A reader that takes all at once has nothing waiting, and what comes next begins its own age."""
    reader = Queue(frozenset({"DEMO"}), 0)
    for seq in range(1, 2 * PART_REPORTS_MAX):
        reader.hear(told(seq), EPOCH, NS)
    assert len(reader.take()) == 2 * PART_REPORTS_MAX - 1
    assert reader.stalled_s(time.monotonic() + 60) == 0
    queued_s = time.monotonic()
    reader.hear(told(1), EPOCH, NS)
    assert reader.stalled_s(queued_s + 60) <= 60


def test_live_reports_are_not_late_while_history_stands_before_them() -> None:
    """Their age begins when it is their turn."""
    reader = Queue(frozenset({"DEMO"}), 0)
    reader.replaying = True
    reader.hear(told(1), EPOCH, NS)
    assert reader.stalled_s(time.monotonic() + 60) == 0
    reader.given()
    assert reader.stalled_s(time.monotonic() + 60) >= 60
    reader.sent()
    reader.replaying = False
    turned_s = time.monotonic()
    reader.count_from_now()
    assert reader.stalled_s(turned_s + 60) <= 60 <= reader.stalled_s(time.monotonic() + 60)


async def test_a_stream_that_is_left_is_forgotten(reports: Reports) -> None:
    """However often it is said; nothing waits for its reader any more."""
    before = readers_gauge._value.get()
    stream, client = opened(ReportStream, reports, "DEMO")
    assert readers_gauge._value.get() == before + 1
    await client.next()
    reports.hear([told(11), told(12)], EPOCH, NS)
    assert (await client.next()).report.seq == 11
    stream.abort()
    stream.leave()
    assert readers_gauge._value.get() == before
    reports.hear([told(13)], EPOCH, NS)
    assert stream.reports == []
    assert stream.stalled_s(time.monotonic() + 60) == 0


async def test_a_reader_that_was_given_up_can_still_read_its_end(reports: Reports) -> None:
    """The end and the place to resume at, whenever it reads on."""
    stream, client = opened(ReportStream, reports, "DEMO")
    await client.next()
    reports.hear([told(11), told(12)], EPOCH, NS)
    assert (await client.next()).report.seq == 11
    stream.finish(types.REASON_SLOW_CONSUMER, "why")
    stream.abort()
    end = await client.last()
    assert (end.reason, end.resume_after) == (types.REASON_SLOW_CONSUMER, 11)

"""Following: resumes where the view is, detects gaps, and comes back when matching does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc

from runtime import follower
from runtime.follower import FeedBatch, FeedGapError, follow
from runtime.limits import MESSAGE_BYTES_MAX
from runtime.settings import Settings
from runtime.tokens import make_keys

Script = Callable[[wire.StreamEventsRequest], AsyncIterator[wire.StreamEventsResponse]]


class ScriptedFeed(matching_pb2_grpc.MatchingServiceServicer):
    """An event feed that follows a script for each connection, the last one for all further ones."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.requests: list[wire.StreamEventsRequest] = []
        self.authorizations: list[Any] = []

    async def StreamEvents(  # noqa: N802  # the contract's name
        self, request: wire.StreamEventsRequest, context: Any
    ) -> AsyncIterator[wire.StreamEventsResponse]:
        """Streams what the script of this connection says."""
        self.requests.append(request)
        self.authorizations.append(dict(context.invocation_metadata()).get("authorization"))
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        async for response in script(request):
            yield response


def feed_of(*scripts: Script) -> ScriptedFeed:
    """A feed that follows scripts."""
    return ScriptedFeed(*scripts)  # type: ignore[abstract]  # the rest answers UNIMPLEMENTED


class Recorded:
    """A view that remembers what it was told."""

    def __init__(self, until: int) -> None:
        self.events: list[bytes] = []
        self.batches: list[FeedBatch] = []
        self.beats: list[tuple[int, int]] = []
        self.complete = asyncio.Event()
        self.heard_beat = asyncio.Event()
        self._until = until

    async def position(self) -> int:
        """How many events there are."""
        return len(self.events)

    async def apply(self, batch: FeedBatch) -> None:
        """Appends the events."""
        self.batches.append(batch)
        self.events.extend(batch.events)
        if len(self.events) >= self._until:
            self.complete.set()

    async def caught_up(self, epoch: int, journal_seq: int) -> None:
        """Remembers the heartbeat."""
        self.beats.append((epoch, journal_seq))
        self.heard_beat.set()


def event(seq: int) -> bytes:
    """The bytes that stand for the event `seq`."""
    return f"event {seq}".encode()


def events(first: int, last: int) -> list[bytes]:
    """The bytes of some events."""
    return [event(seq) for seq in range(first, last + 1)]


def message(prev_seq: int, seq: int, last_seq: int | None = None, epoch: int = 1) -> wire.StreamEventsResponse:
    """A message with the events after `prev_seq` and up to `seq`."""
    return wire.StreamEventsResponse(
        epoch=epoch, prev_seq=prev_seq, seq=seq, events=events(prev_seq + 1, seq), last_seq=last_seq or seq
    )


def telling(*messages: wire.StreamEventsResponse) -> Script:
    """Sends the messages, then stays silent."""

    async def tell(request: wire.StreamEventsRequest) -> AsyncIterator[wire.StreamEventsResponse]:
        for one in messages:
            yield one
        await asyncio.Event().wait()

    return tell


def continuing(step: int, until: int) -> Script:
    """Goes on after where the follower is, `step` events at a time, and breaks after each step until `until`."""

    async def tell(request: wire.StreamEventsRequest) -> AsyncIterator[wire.StreamEventsResponse]:
        begin = request.resume_after
        if begin < until:
            yield message(begin, begin + step, until, epoch=7)
            return
        await asyncio.Event().wait()

    return tell


@asynccontextmanager
async def serving(feed: ScriptedFeed, home: Path) -> AsyncIterator[Settings]:
    """Serves a feed; gives the settings with which it is found."""
    make_keys(home / "keys")
    server = grpc.aio.server()
    matching_pb2_grpc.add_MatchingServiceServicer_to_server(feed, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Settings(matching_address=f"127.0.0.1:{port}", auth_service_key_file=home / "keys" / "service.pem")
    finally:
        await server.stop(None)


@asynccontextmanager
async def following(feed: ScriptedFeed, view: Recorded, home: Path) -> AsyncIterator[asyncio.Task[Any]]:
    """Follows a feed while the block runs."""
    async with serving(feed, home) as settings:
        task = asyncio.create_task(follow(settings, "tests", view))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reconnects at once: how long it waits is not what is shown here."""
    monkeypatch.setattr(follower, "RETRY_MIN_S", 0.001)
    monkeypatch.setattr(follower, "RETRY_MAX_S", 0.01)


async def test_events_arrive_in_order_with_their_numbers(tmp_path: Path) -> None:
    """Each batch says where it begins and ends, and how far the journal was."""
    feed = feed_of(telling(message(0, 3, 5), message(3, 5)))
    view = Recorded(until=5)
    async with following(feed, view, tmp_path):
        await view.complete.wait()
    assert [(b.epoch, b.first_seq, b.last_seq, b.journal_seq) for b in view.batches] == [(1, 1, 3, 5), (1, 4, 5, 5)]
    assert view.events == events(1, 5)
    assert feed.requests[0] == wire.StreamEventsRequest(follower="tests", resume_after=0)
    assert feed.authorizations[0].startswith("Bearer ")


async def test_it_resumes_where_the_view_is(tmp_path: Path) -> None:
    """What the view has is not asked for again."""
    view = Recorded(until=4)
    view.events = events(1, 2)
    feed = feed_of(telling(message(2, 4)))
    async with following(feed, view, tmp_path):
        await view.complete.wait()
    assert feed.requests[0].resume_after == 2
    assert view.events == events(1, 4)


async def test_it_comes_back_after_every_break(tmp_path: Path) -> None:
    """However often the feed ends, every event arrives exactly once and in order."""
    feed = feed_of(continuing(step=3, until=30))
    view = Recorded(until=30)
    async with following(feed, view, tmp_path):
        await view.complete.wait()
    assert view.events == events(1, 30)
    assert [request.resume_after for request in feed.requests[:10]] == list(range(0, 30, 3))


async def test_a_message_may_be_as_large_as_it_must_be(tmp_path: Path) -> None:
    """All events of one command come in one message, so what a server takes from another has no largest size."""
    large = [bytes(1_000_000)] * (MESSAGE_BYTES_MAX // 1_000_000 + 2)
    size = len(large)
    feed = feed_of(telling(wire.StreamEventsResponse(epoch=1, prev_seq=0, seq=size, events=large, last_seq=size)))
    view = Recorded(until=size)
    async with following(feed, view, tmp_path):
        await view.complete.wait()
    assert [len(one) for one in view.events] == [1_000_000] * size


async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    """A follower that starts before matching finds it later."""
    async with serving(feed_of(telling()), tmp_path) as settings:
        pass
    view = Recorded(until=2)
    asked = asyncio.Event()
    position = view.position

    async def noticed() -> int:
        asked.set()
        return await position()

    view.position = noticed  # type: ignore[method-assign]  # to see that it has tried
    task = asyncio.create_task(follow(settings, "tests", view))
    await asked.wait()
    server = grpc.aio.server()
    matching_pb2_grpc.add_MatchingServiceServicer_to_server(feed_of(telling(message(0, 2))), server)
    server.add_insecure_port(settings.matching_address)
    await server.start()
    await view.complete.wait()
    task.cancel()
    await asyncio.wait([task])
    await server.stop(None)
    assert view.events == events(1, 2)


async def test_it_hears_that_it_has_caught_up(tmp_path: Path) -> None:
    """Being level with the journal is told, with and without new events; being behind is not."""
    feed = feed_of(telling(message(0, 2, 4), message(2, 4, 4, epoch=2), message(4, 4, 4, epoch=2)))
    view = Recorded(until=4)
    async with following(feed, view, tmp_path):
        await view.complete.wait()
        while len(view.beats) < 2:
            view.heard_beat.clear()
            await view.heard_beat.wait()
    assert view.beats == [(2, 4), (2, 4)]


GAPS: list[tuple[str, Sequence[wire.StreamEventsResponse]]] = [
    ("skips forward", [message(0, 2), message(3, 5)]),
    ("goes back", [message(0, 2), message(1, 3)]),
    ("begins elsewhere", [message(1, 2)]),
    ("heartbeat of another place", [message(0, 2), message(5, 5)]),
    ("holds too few", [wire.StreamEventsResponse(prev_seq=0, seq=3, events=events(1, 2), last_seq=3)]),
    ("holds too many", [wire.StreamEventsResponse(prev_seq=0, seq=1, events=events(1, 2), last_seq=1)]),
]


@pytest.mark.parametrize("messages", [case[1] for case in GAPS], ids=[case[0] for case in GAPS])
async def test_a_gap_stops_the_view(tmp_path: Path, messages: Sequence[wire.StreamEventsResponse]) -> None:
    """A missing, repeated or misnumbered event is an error: the view takes in nothing beyond it."""
    view = Recorded(until=100)
    async with following(feed_of(telling(*messages)), view, tmp_path) as task:
        with pytest.raises(FeedGapError):
            await task
    assert view.events == events(1, len(view.events))


async def test_silence_breaks_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that sends nothing at all, not even a heartbeat, is left and found again."""
    monkeypatch.setattr(follower, "SILENCE_MAX_S", 0.05)
    view = Recorded(until=2)
    feed = feed_of(telling(), telling(message(0, 2)))
    async with following(feed, view, tmp_path):
        await view.complete.wait()
    assert len(feed.requests) >= 2
    assert view.events == events(1, 2)


async def test_a_fault_of_the_view_ends_the_following(tmp_path: Path) -> None:
    """What a view raises is not swallowed."""

    class Failing(Recorded):
        async def apply(self, batch: FeedBatch) -> None:
            raise ValueError("the view is broken")

    async with following(feed_of(telling(message(0, 2))), Failing(until=2), tmp_path) as task:
        with pytest.raises(ValueError, match="the view is broken"):
            await task

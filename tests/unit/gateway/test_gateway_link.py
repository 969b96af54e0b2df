"""The link to matching: what fits into a message, and a past that is heard whole or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as wire

from gateway.events import Event
from gateway.link import Link
from gateway.outbox import FRAME_COMMANDS_MAX, Outbox
from runtime.calls import REQUEST_BYTES_MAX
from runtime.instruments import Instruments
from runtime.settings import Settings


def frame_of(taken: Sequence[tuple[int, bytes]]) -> wire.LinkRequest:
    """The message that carries commands."""
    frame = wire.LinkFrame(first_correlation=taken[0][0], commands=[command for _, command in taken])
    return wire.LinkRequest(frame=frame)


@pytest.mark.parametrize(("size", "number"), [(1, 3_000), (40, 100_000), (40_000, 200), (REQUEST_BYTES_MAX - 64, 3)])
async def test_every_message_can_be_read(size: int, number: int) -> None:
    """However many and large the commands that have gathered, no message is larger than matching reads, and each
    command is in one, in order."""
    outbox = Outbox()
    for correlation in range(number):
        outbox.put(correlation, bytes(size))
    sent: list[int] = []
    while len(sent) < number:
        taken = await outbox.take()
        assert len(taken) <= FRAME_COMMANDS_MAX
        assert frame_of(taken).ByteSize() <= REQUEST_BYTES_MAX
        sent += [correlation for correlation, _ in taken]
    assert sent == list(range(number))


class Feed:
    """Stands for matching where it tells what has passed."""

    def __init__(self, *responses: wire.StreamEventsResponse) -> None:
        self._responses = responses

    async def StreamEvents(  # noqa: N802  # the name is the contract's
        self, request: wire.StreamEventsRequest
    ) -> AsyncIterator[wire.StreamEventsResponse]:
        """The messages of the test."""
        assert request.until_seq
        for response in self._responses:
            yield response


def passed(prev_seq: int, last_seq: int) -> wire.StreamEventsResponse:
    """A message with the events after one up to another."""
    told = [
        events.Event(seq=seq, last_of_command=True).SerializeToString() for seq in range(prev_seq + 1, last_seq + 1)
    ]
    return wire.StreamEventsResponse(prev_seq=prev_seq, seq=last_seq, events=told)


async def heard(*responses: wire.StreamEventsResponse) -> list[int]:
    """What a link that stands at 10 hears of the past up to 20."""
    told: list[int] = []

    def hear(batch: Sequence[Event], _epoch: int, _durable_unix_ns: int) -> None:
        told.extend(event.seq for event in batch)

    link = Link(Settings(), Instruments(), hear, lambda _last_seq, _epoch, *, up: None)
    link.stub, link.last_seq = Feed(*responses), 10  # type: ignore[assignment]
    try:
        await link._hear_missed(10, 20)
    except EOFError:
        told.append(-1)
    await link._reached.close()
    return told


async def test_the_past_is_heard_whole() -> None:
    """In as many messages as it comes."""
    async with asyncio.timeout(10):
        assert await heard(passed(10, 15), passed(15, 20)) == list(range(11, 21))


@pytest.mark.parametrize(
    ("responses", "last"),
    [
        ([passed(10, 15)], 15),
        ([], 10),
        ([passed(10, 15), passed(16, 20)], 15),
        ([passed(12, 20)], 10),
    ],
)
async def test_a_past_with_a_hole_breaks_the_link(responses: list[wire.StreamEventsResponse], last: int) -> None:
    """A matching server that is told to stop ends its streams early: what it has not told would never be heard."""
    assert await heard(*responses) == [*range(11, last + 1), -1]

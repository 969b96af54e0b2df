"""Follows the sequenced events of matching: resumes, detects gaps, reconnects.

A follower's place is whatever its view says it has applied; it is asked for
again after every break, so nothing is lost or applied twice across restarts of
either side.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import grpc
from ordergate.matching.v1 import matching_pb2 as matching
from ordergate.matching.v1 import matching_pb2_grpc

from runtime.channels import service_channel
from runtime.logs import get_logger
from runtime.settings import Settings

RETRY_MIN_S = 0.1
RETRY_MAX_S = 2.0
SILENCE_MAX_S = 30.0
log = get_logger(__name__)


class FeedGapError(Exception):
    """The feed skipped a sequence: the view must not go on as if nothing had happened."""


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Events in order; no command is split between two batches."""

    epoch: int
    first_seq: int
    last_seq: int
    events: Sequence[bytes]
    """Serialized `ordergate.matching.v1.Event`s, the journal's own bytes."""
    journal_seq: int
    """The last durable event of the journal when the batch was sent."""


class View(Protocol):
    """Something that is built from the events."""

    async def position(self) -> int:
        """The last sequence applied, 0 for none; as durable as what was built."""
        ...

    async def apply(self, batch: FeedBatch) -> None:
        """Takes in a batch that begins right after `position()`."""
        ...

    async def caught_up(self, epoch: int, journal_seq: int) -> None:
        """Hears that nothing is newer than `journal_seq`; comes again with every heartbeat."""
        ...


async def follow(settings: Settings, name: str, view: View, interval_ms: int = 0) -> NoReturn:
    """Feeds `view` for ever; reconnects when matching goes away.

    Args:
        settings: where matching is.
        name: the follower's, for logs and metrics.
        view: what is fed.
        interval_ms: shortest time between two batches of live events; what happens meanwhile is one batch.

    Raises:
        FeedGapError: a sequence is missing.
        Exception: whatever the view raises.
    """
    retry_s = RETRY_MIN_S
    while True:
        async with service_channel(settings.matching_address, settings, name) as channel:
            position = await view.position()
            try:
                stub: matching_pb2_grpc.MatchingServiceAsyncStub = matching_pb2_grpc.MatchingServiceStub(channel)
                await _feed_once(stub, name, view, position, interval_ms)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                if isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                    raise FeedGapError(f"{name} is at {position}: {error.details()}") from error
                why = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "silence"
                log.warning("event feed broke", follower=name, position=position, why=why)
            retry_s = RETRY_MIN_S if await view.position() > position else min(RETRY_MAX_S, retry_s * 2)
        await asyncio.sleep(retry_s)


async def _feed_once(
    stub: matching_pb2_grpc.MatchingServiceAsyncStub, name: str, view: View, position: int, interval_ms: int
) -> None:
    request = matching.StreamEventsRequest(follower=name, resume_after=position, interval_ms=interval_ms)
    call = stub.StreamEvents(request)
    responses: AsyncIterator[matching.StreamEventsResponse] = aiter(call)
    while True:
        async with asyncio.timeout(SILENCE_MAX_S):
            response = await anext(responses, None)
        if response is None:
            return
        if response.prev_seq != position:
            raise FeedGapError(f"{name} is at {position}, the feed goes on after {response.prev_seq}")
        if response.events:
            if response.seq - response.prev_seq != len(response.events):
                raise FeedGapError(f"{len(response.events)} events between {response.prev_seq} and {response.seq}")
            await view.apply(FeedBatch(response.epoch, position + 1, response.seq, response.events, response.last_seq))
            position = response.seq
        if position >= response.last_seq:
            await view.caught_up(response.epoch, response.last_seq)

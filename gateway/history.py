"""The past of some accounts, out of matching's journal, however often matching restarts meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import grpc
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from gateway.events import Event
from runtime.errors import Refused, reason_of
from runtime.logs import get_logger

SILENCE_MAX_S = 5.0
"""Matching says something at least every second."""
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0

log = get_logger(__name__)


class Past(NamedTuple):
    """Order events that follow each other, and how far the reader is with them."""

    last_seq: int
    epoch: int
    events: Sequence[Event]


async def read(
    stub_now: Callable[[], matching_pb2_grpc.MatchingServiceAsyncStub],
    name: str,
    accounts: frozenset[str],
    after_seq: int,
    until_seq: int,
) -> AsyncIterator[Past]:
    """The order events after `after_seq` and up to `until_seq`, of some accounts, or of all when none is named.

    `stub_now` gives the way to matching, which may be another one after a while.
    What has no event for the reader is given too, empty: it says how far the
    journal was read.

    Raises:
        Refused: SNAPSHOT_REQUIRED, the journal has dropped some of them; or another refusal of matching.
    """
    retry_s = RETRY_MIN_S
    while after_seq < until_seq:
        request = wire.StreamEventsRequest(
            follower=name, resume_after=after_seq, until_seq=until_seq, accounts=sorted(accounts)
        )
        call = stub_now().StreamEvents(request)
        try:
            responses: AsyncIterator[wire.StreamEventsResponse] = aiter(call)
            while (response := await _next(responses)) is not None:
                if response.prev_seq != after_seq:
                    raise Refused(types.REASON_INTERNAL, f"the journal has a gap after {after_seq}")
                after_seq, retry_s = response.seq, RETRY_MIN_S
                events = [Event(data) for data in response.events]
                # Unfiltered, the journal holds what is about no order as well.
                yield Past(after_seq, response.epoch, [event for event in events if event.account])
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            _check_passing(error)
            log.warning("history broke off", reader=name, after_seq=after_seq, why=str(error) or "silence")
        finally:
            call.cancel()
        if after_seq < until_seq:
            await asyncio.sleep(retry_s)
            retry_s = min(RETRY_MAX_S, retry_s * 2)


async def _next(responses: AsyncIterator[wire.StreamEventsResponse]) -> wire.StreamEventsResponse | None:
    async with asyncio.timeout(SILENCE_MAX_S):
        return await anext(responses, None)


def _check_passing(error: grpc.aio.AioRpcError | TimeoutError) -> None:
    """Lets an error pass that a later attempt may not meet.

    Raises:
        Refused: it is matching's considered answer.
    """
    if not isinstance(error, grpc.aio.AioRpcError):
        return
    reason = reason_of(error)
    if reason == types.REASON_SNAPSHOT_REQUIRED:
        text = "the reports after that are not kept any more; take a snapshot and go on from its sequence"
        raise Refused(reason, text, field="resume_after") from None
    if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED):
        raise Refused(reason or types.REASON_INTERNAL, error.details() or "matching refused the history") from None

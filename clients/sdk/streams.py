"""Server streams that heal themselves.

`follow` reads one logical stream over as many connections as it takes: it holds
each message against the one before (`Chain`), takes silence of three heartbeat
intervals for a dead connection, reconnects with backoff, resumes where it
stood, and raises `StreamGap` when the server cannot resume there. A server that
is about to stop is left for another one at its first notice, and a token that
runs out is replaced in time, where there is another one. Used by the parts of
`clients.sdk.client`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors, wire
from clients.sdk.backoff import Backoff
from clients.sdk.calls import Caller, bearer
from clients.sdk.chain import Chain, ChainBroken
from clients.sdk.places import Method

HEARTBEATS_MISSED_MAX = 3
HEARTBEAT_DEFAULT_S = 5
SAME_GAP_MAX = 3
"""So many reconnects at one position without progress, and the gap is taken as permanent."""
STAYS_S = 10.0
"""A stream that has just moved stays where it is, even when that place is about to stop too."""


class Moved(Exception):
    """The connection is left as planned, for a better one."""


@dataclass(frozen=True, slots=True)
class StreamKind:
    """How one kind of stream counts, and what may follow.

    Args:
        name: for errors.
        resumes: the request carries `resume_after`; else each connection begins with a snapshot.
        snapshots: message fields that stand for themselves, whatever came before.
    """

    name: str
    resumes: bool
    snapshots: frozenset[str] = frozenset()


Open = Callable[[int | None], Any]
"""Gives the request that resumes after a sequence."""


async def follow(
    caller: Caller, kind: StreamKind, method: Method, request_at: Open, resume_after: int | None = None
) -> AsyncGenerator[Any, None]:
    """The data messages of a stream, each once and in order, over all its connections.

    Raises:
        StreamGap: messages are missing and cannot be had any more.
        OrdergateError: the server refused the stream, or patience is over.
    """
    chain = Chain(resume_after)
    trouble = _Trouble(caller, kind)
    moves = Moves(caller, method)
    while True:
        connection = _Connection(caller, kind, chain, moves)
        try:
            await connection.begin(method, request_at(chain.position))
            trouble.connected()
            while True:
                message = await connection.next_data()
                trouble.progressed()
                yield message
        except Moved:
            delay_s = 0.0
        except (errors.OrdergateError, ChainBroken) as failure:
            delay_s = trouble.delay_s(failure, connection.has_begun, method.leave(connection.place))
        finally:
            connection.close()
        if not kind.resumes:
            chain.position = None
        await asyncio.sleep(delay_s)


class Moves:
    """Decides whether a notice of a near end is a reason to go elsewhere now."""

    def __init__(self, caller: Caller, method: Method) -> None:
        self._caller = caller
        self._method = method
        self._stays_until_s = 0.0

    async def wanted(self, notice: types.Draining, place: int, token: str) -> bool:
        """Whether to leave `place`, where `token` was shown; from here on the next connection goes elsewhere.

        Without another place, or another token, the stream stays to its end, which says where to resume.
        """
        if notice.reason == types.REASON_TOKEN_EXPIRED:
            return await self._caller.token() != token
        now_s = time.monotonic()
        if now_s < self._stays_until_s or not self._method.leave(place):
            return False
        self._stays_until_s = now_s + STAYS_S
        return True


class _Trouble:
    """Decides after each failure whether to go on, and when."""

    def __init__(self, caller: Caller, kind: StreamKind) -> None:
        self._kind = kind
        self._reconnect_s = caller.patience.reconnect_s
        self._backoff = Backoff(caller.patience.retry_s)
        self._breaks = 0

    def connected(self) -> None:
        self._backoff.succeeded(self._reconnect_s)

    def progressed(self) -> None:
        self._breaks = 0

    def delay_s(self, failure: errors.OrdergateError | ChainBroken, had_begun: bool, elsewhere: bool) -> float:
        """Seconds until the next attempt; raises what the caller of the stream shall see."""
        if isinstance(failure, ChainBroken):
            self._breaks += 1
            if self._breaks >= SAME_GAP_MAX:
                raise gap_error(self._kind.name, failure.expected + 1, failure.got) from failure
            failure = errors.Unavailable(str(failure), reason="STREAM_GAP")
        if not may_reconnect(failure, had_begun):
            raise failure
        delay_s = self._backoff.next_delay(0.0 if elsewhere else failure.retry_after or 0.0)
        if delay_s is None:
            raise failure
        return delay_s


class _Connection:
    """One connection of a stream."""

    def __init__(self, caller: Caller, kind: StreamKind, chain: Chain, moves: Moves) -> None:
        self._caller = caller
        self._kind = kind
        self._chain = chain
        self._moves = moves
        self._call: Any = None
        self._token = ""
        self.place = 0
        self._silence_s = caller.patience.call_s
        self.has_begun = False

    async def begin(self, method: Method, request: Any) -> None:
        """Subscribes and takes the first message."""
        self.place = method.place
        self._token = await self._caller.token()
        self._call = method.at(self.place)(request, metadata=bearer(self._token))
        message = await wire.read(self._call, self._silence_s)
        which = message.WhichOneof("message")
        if which != "subscribed":
            await self._control(which, message)
            raise errors.Internal(f"the stream of {self._kind.name} began with {which}")
        self.has_begun = True
        self._subscribed(message)

    def _subscribed(self, message: Any) -> None:
        subscribed = message.subscribed
        refused = [result for result in subscribed.results if result.reason]
        if refused:
            raise errors.from_end(refused[0].reason, f"{refused[0].key}: not subscribed")
        self._silence_s = HEARTBEATS_MISSED_MAX * (subscribed.heartbeat_interval_s or HEARTBEAT_DEFAULT_S)
        if self._kind.resumes:
            self._chain.begin(subscribed.resume_after)
        else:
            self._chain.reset(message.seq)

    async def next_data(self) -> Any:
        """The next message that carries data, checked against the chain."""
        while True:
            message = await wire.read(self._call, self._silence_s)
            which = message.WhichOneof("message")
            if which in self._kind.snapshots:
                self._chain.reset(message.seq)
                return message
            if await self._control(which, message):
                continue
            if self._chain.advance(message.prev_seq, message.seq):
                return message

    async def _control(self, which: str | None, message: Any) -> bool:
        """Acts on heartbeats, gaps, notices and the end; False for data."""
        if which == "heartbeat":
            self._chain.confirm(message.heartbeat.last_seq)
            self._chain.advance(message.prev_seq, message.seq)
            return True
        if which == "draining":
            if await self._moves.wanted(message.draining, self.place, self._token):
                raise Moved
            return True
        if which == "gap":
            raise gap_error(self._kind.name, message.gap.from_seq, message.gap.to_seq)
        if which == "end":
            raise end_error(message.end)
        return False

    def close(self) -> None:
        """Drops the connection."""
        if self._call is not None:
            self._call.cancel()


def gap_error(name: str, from_seq: int, to_seq: int) -> errors.StreamGap:
    """The error of a gap in the stream `name`."""
    text = f"{name} from {from_seq} to {to_seq} cannot be delivered any more"
    return errors.StreamGap(text, from_seq=from_seq, to_seq=to_seq)


def end_error(end: Any) -> errors.OrdergateError:
    """The error of a `StreamEnd`; its retry delay in `retry_after`."""
    error = errors.from_end(end.reason, end.text)
    if error.reason == "SNAPSHOT_REQUIRED":
        return errors.StreamGap(end.text, from_seq=end.resume_after + 1)
    error.retry_after = end.retry_delay_ms / 1000
    return error


_ENDS_TO_RESUME = frozenset({"SLOW_CONSUMER", "OVERLOADED", "RATE_EXCEEDED", "UNSPECIFIED"})


def may_reconnect(error: errors.OrdergateError, had_begun: bool) -> bool:
    """Whether a stream that ended with `error` can go on over a new connection."""
    if isinstance(error, errors.Unavailable):
        return True
    if isinstance(error, errors.Unauthenticated):
        return had_begun and error.reason == "TOKEN_EXPIRED"
    if isinstance(error, errors.Internal):
        # A server that was cut off from another in mid-stream; resuming is harmless, and patience is bounded.
        return had_begun
    return error.reason in _ENDS_TO_RESUME

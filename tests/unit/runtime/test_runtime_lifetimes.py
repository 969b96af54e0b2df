"""How long streams live: each reason to end, its warning, and the drain."""

import asyncio
import time
from typing import Any

import grpc
import pytest
from ordergate.types.v1 import types_pb2 as types

from runtime.auth import Principal
from runtime.errors import Refused
from runtime.lifetimes import ABORT_AFTER_S, ENDS_WITHIN_S, NOTICE_S, TICK_S, Lifetimes
from runtime.settings import Settings

END_OF_TIME_S = float("inf")


class Stream:
    """A stream whose reader is as slow as the test says."""

    def __init__(self) -> None:
        self.ends: list[types.Reason.ValueType] = []
        self.notices: list[types.Draining] = []
        self.waits_since_s: float | None = None
        self.aborted = 0
        self.warned = asyncio.Event()

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Remembers why it ends."""
        assert text
        self.ends.append(reason)

    def warn(self, notice: types.Draining) -> None:
        """Remembers a notice."""
        assert notice.text
        self.notices.append(notice)
        self.warned.set()

    def stalled_s(self, now_s: float) -> float:
        """How long its oldest message waits."""
        return 0.0 if self.waits_since_s is None else now_s - self.waits_since_s

    def abort(self) -> None:
        """Counts."""
        self.aborted += 1


class Revoked:
    """Callers that are not trusted any more."""

    def __init__(self) -> None:
        self.subjects: set[str] = set()

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the caller is one of them."""
        return principal.subject in self.subjects


def lifetimes(**settings: Any) -> Lifetimes:
    """Lifetimes with settings of the test's own."""
    return Lifetimes(Settings(**settings))


def caller(subject: str = "me", expires_at_s: float = END_OF_TIME_S, is_service: bool = False) -> Principal:
    """A trader, or a server."""
    return Principal(subject, frozenset(), (), is_service, expires_at_s)


async def test_a_quiet_stream_lives_on() -> None:
    """Nothing is said to a stream that is young, read and trusted; when its block ends it is forgotten."""
    lives, stream = lifetimes(), Stream()
    async with lives.of(stream, caller(), Revoked(), None):
        assert len(lives) == 1
        lives.tick(time.monotonic(), time.time())
        assert (stream.ends, stream.notices, stream.aborted) == ([], [], 0)
    assert len(lives) == 0


async def test_a_stream_ends_with_its_token() -> None:
    """Its client is warned once, with the time that is left; at the end of the token the stream ends, once."""
    lives, stream = lifetimes(), Stream()
    now_s = time.monotonic()
    async with lives.of(stream, caller(expires_at_s=1_000.0), Revoked(), None):
        lives.tick(now_s, 1_000.0 - NOTICE_S - 0.001)
        assert not stream.notices
        lives.tick(now_s, 990.0)
        lives.tick(now_s, 991.0)
        (notice,) = stream.notices
        assert (notice.reason, notice.ends_in_ms) == (types.REASON_TOKEN_EXPIRED, 10_000)
        lives.tick(now_s, 999.999)
        assert not stream.ends
        lives.tick(now_s, 1_000.0)
        lives.tick(now_s, 1_001.0)
        assert stream.ends == [types.REASON_TOKEN_EXPIRED]


async def test_a_newer_token_prolongs() -> None:
    """After a renewal the old token's end means nothing, and the new one's is warned of again."""
    lives, stream = lifetimes(), Stream()
    now_s = time.monotonic()
    async with lives.of(stream, caller(expires_at_s=1_000.0), Revoked(), None) as life:
        lives.tick(now_s, 999.0)
        life.renew(caller(expires_at_s=2_000.0))
        lives.tick(now_s, 1_500.0)
        assert (len(stream.notices), stream.ends) == (1, [])
        lives.tick(now_s, 1_999.0)
        lives.tick(now_s, 2_000.0)
        assert (len(stream.notices), stream.ends) == (2, [types.REASON_TOKEN_EXPIRED])


async def test_servers_outlive_their_tokens() -> None:
    """A stream between servers does not end with the token it began with."""
    lives, stream = lifetimes(), Stream()
    async with lives.of(stream, caller(expires_at_s=1.0, is_service=True), Revoked(), None):
        lives.tick(time.monotonic(), 2.0)
        assert (stream.ends, stream.notices) == ([], [])


async def test_a_revoked_caller_is_cut_off() -> None:
    """The next look after the revocation ends the caller's streams and nobody else's."""
    lives, mine, other, revoked = lifetimes(), Stream(), Stream(), Revoked()
    now_s = time.monotonic()
    async with lives.of(mine, caller("me"), revoked, None), lives.of(other, caller("you"), revoked, None):
        lives.tick(now_s, 0.0)
        revoked.subjects.add("me")
        lives.tick(now_s, 0.0)
        assert (mine.ends, other.ends) == ([types.REASON_TOKEN_REVOKED], [])


async def test_a_stream_has_a_greatest_age() -> None:
    """Shortly before, its client is warned; then the stream ends, and says that it may begin again."""
    lives, stream = lifetimes(stream_age_max_s=100.0), Stream()
    async with lives.of(stream, caller(), Revoked(), None):
        born_s = time.monotonic()
        lives.tick(born_s + 100.0 - NOTICE_S - 1.0, 0.0)
        assert not stream.notices
        lives.tick(born_s + 95.0, 0.0)
        lives.tick(born_s + 96.0, 0.0)
        (notice,) = stream.notices
        assert notice.reason == types.REASON_DRAINING
        assert 4_000 <= notice.ends_in_ms <= 5_000
        lives.tick(born_s + 100.1, 0.0)
        assert stream.ends == [types.REASON_DRAINING]


async def test_a_reader_that_takes_nothing_is_cut_and_then_broken_off() -> None:
    """Told first, in case it reads again; broken off when it does not."""
    lives, stream = lifetimes(slow_reader_s=5.0), Stream()
    now_s = stream.waits_since_s = time.monotonic()
    async with lives.of(stream, caller(), Revoked(), None):
        lives.tick(now_s + 5.0, 0.0)
        assert not stream.ends
        lives.tick(now_s + 5.1, 0.0)
        assert (stream.ends, stream.aborted) == ([types.REASON_SLOW_CONSUMER], 0)
        lives.tick(now_s + 5.1 + ABORT_AFTER_S / 2, 0.0)
        assert stream.aborted == 0
        lives.tick(now_s + 5.1 + ABORT_AFTER_S, 0.0)
        assert (stream.ends, stream.aborted) == ([types.REASON_SLOW_CONSUMER], 1)


async def test_a_slow_reader_that_reads_again_may_read_its_end() -> None:
    """Once cut it has to end, but it is not broken off while it takes what there is."""
    lives, stream = lifetimes(slow_reader_s=5.0), Stream()
    now_s = stream.waits_since_s = time.monotonic()
    async with lives.of(stream, caller(), Revoked(), None):
        lives.tick(now_s + 6.0, 0.0)
        stream.waits_since_s = now_s + 6.0
        lives.tick(now_s + 10.0, 0.0)
        assert (stream.ends, stream.aborted) == ([types.REASON_SLOW_CONSUMER], 0)


class Context:
    """A call that can be aborted."""

    def __init__(self) -> None:
        self.status: Any = None

    async def abort_with_status(self, status: Any) -> None:
        """Remembers what the client is told."""
        self.status = status


async def test_a_stream_that_does_not_end_is_broken_off() -> None:
    """Told to end, and stuck in a message that nobody takes: its call is ended, with the reason that it was told."""
    lives, context, begun = lifetimes(), Context(), asyncio.Event()

    async def handler() -> None:
        async with lives.of(Stream(), caller(expires_at_s=1.0), Revoked(), context):
            begun.set()
            await asyncio.Event().wait()

    call = asyncio.create_task(handler())
    await begun.wait()
    now_s = time.monotonic()
    lives.tick(now_s, 2.0)
    lives.tick(now_s + ENDS_WITHIN_S - 1.0, 2.0)
    await asyncio.sleep(0)
    assert not call.done()
    lives.tick(now_s + ENDS_WITHIN_S, 2.0)
    await asyncio.wait([call])
    assert call.cancelled()
    assert context.status.code is grpc.StatusCode.UNAUTHENTICATED
    assert not len(lives)


async def test_an_ending_stream_whose_reader_stops_is_broken_off() -> None:
    """An end that nobody takes does not keep a call alive."""
    lives, stream = lifetimes(slow_reader_s=5.0), Stream()
    now_s = time.monotonic()
    async with lives.of(stream, caller(expires_at_s=1.0), Revoked(), None):
        lives.tick(now_s, 2.0)
        stream.waits_since_s = now_s
        lives.tick(now_s + 6.0, 2.0)
        lives.tick(now_s + 6.0 + ABORT_AFTER_S, 2.0)
        assert (stream.ends, stream.aborted) == ([types.REASON_TOKEN_EXPIRED], 1)


async def test_a_drain_counts_down() -> None:
    """Every stream is warned at once, also one that begins meanwhile; only when time is up they are ended."""
    lives, first, second = lifetimes(), Stream(), Stream()
    async with lives.of(first, caller(), Revoked(), None):
        draining = asyncio.create_task(lives.drain(0.05))
        await first.warned.wait()
        assert not first.ends
        async with lives.of(second, caller(), Revoked(), None):
            await draining
            for stream in (first, second):
                notice = stream.notices[0]
                assert notice.reason == types.REASON_DRAINING
                assert 0 < notice.ends_in_ms <= 50
                assert stream.ends == [types.REASON_DRAINING]
    with pytest.raises(Refused) as refused:
        async with lives.of(Stream(), caller(), Revoked(), None):
            pass
    assert refused.value.reason == types.REASON_DRAINING
    with pytest.raises(Refused):
        lives.check_open()


async def test_a_drain_without_notice_ends_at_once() -> None:
    """With a countdown of nothing nobody is warned."""
    lives, stream = lifetimes(), Stream()
    async with lives.of(stream, caller(), Revoked(), None):
        await lives.drain(0.0)
        assert (stream.notices, stream.ends) == ([], [types.REASON_DRAINING])


async def test_it_looks_by_itself() -> None:
    """`run` looks again and again: a revocation is seen without anybody asking, well within two seconds."""
    lives, stream, revoked = lifetimes(), Stream(), Revoked()
    assert TICK_S <= 1.0
    running = asyncio.create_task(lives.run())
    async with lives.of(stream, caller(expires_at_s=time.time() + NOTICE_S), revoked, None):
        await stream.warned.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

"""Streams that nothing waits in, and how they end."""

import asyncio
import time

import pytest
from ordergate.types.v1 import types_pb2 as types

from runtime.claims import Principal
from runtime.lifetimes import ABORT_AFTER_S, Lifetimes
from runtime.pulled import Pulled
from runtime.settings import Settings

NEVER_S = float("inf")
REVOKED, EXPIRED = types.REASON_TOKEN_REVOKED, types.REASON_TOKEN_EXPIRED


class Trusted:
    """Knows whether the caller is revoked."""

    def __init__(self) -> None:
        self.revoked = False

    def is_revoked(self, _principal: Principal) -> bool:
        """What the test says."""
        return self.revoked


async def test_the_first_reason_counts() -> None:
    """A stream is told once why it ends."""
    told: list[tuple[types.Reason.ValueType, str]] = []
    stream = Pulled(lambda reason, text: told.append((reason, text)))
    stream.finish(REVOKED, "first")
    stream.finish(EXPIRED, "second")
    assert told == [(REVOKED, "first")]


async def test_a_slow_reader_is_not_cut() -> None:
    """Nothing waits for it, so it is never too old; notices have no message in these streams."""
    stream = Pulled(lambda _reason, _text: None)
    stream.warn(types.Draining())
    assert stream.stalled_s(time.monotonic() + 1_000) == 0


async def test_who_does_not_take_the_end_is_broken_off() -> None:
    """A revoked caller that takes nothing keeps its call for the time of a slow reader, and no longer."""
    settings = Settings()
    lifetimes, trusted = Lifetimes(settings), Trusted()
    told = asyncio.Event()

    async def call() -> None:
        stream = Pulled(lambda _reason, _text: told.set())
        async with lifetimes.of(stream, Principal("ann", frozenset(), (), False, NEVER_S), trusted):
            await asyncio.Event().wait()

    serving = asyncio.create_task(call())
    while not len(lifetimes):
        await asyncio.sleep(0)
    now_s = time.monotonic()
    lifetimes.tick(now_s + 1_000, time.time())
    assert not told.is_set()
    trusted.revoked = True
    lifetimes.tick(now_s, time.time())
    assert told.is_set()
    late_s = time.monotonic() + settings.slow_reader_s
    lifetimes.tick(late_s - 1, time.time())
    lifetimes.tick(late_s + 1, time.time())
    await asyncio.sleep(0)
    assert not serving.done()
    lifetimes.tick(late_s + 1 + ABORT_AFTER_S, time.time())
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not len(lifetimes)

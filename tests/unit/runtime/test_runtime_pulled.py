"""Streams that nothing waits in, and how they end."""

import asyncio
import time

from ordergate.types.v1 import types_pb2 as types

from runtime.claims import Principal
from runtime.lifetimes import ENDS_WITHIN_S, Lifetimes
from runtime.pulled import Pulled
from runtime.settings import Settings

NEVER_S = float("inf")


class Trusted:
    """Knows whether the caller is revoked."""

    def __init__(self) -> None:
        self.revoked = False

    def is_revoked(self, _principal: Principal) -> bool:
        """What the test says."""
        return self.revoked


async def test_only_the_caller_ends_such_a_stream() -> None:
    """However slow its reader is, it is not cut; when the caller is revoked it is told once, with the reason."""
    lifetimes, trusted = Lifetimes(Settings()), Trusted()
    told: list[types.Reason.ValueType] = []
    stream = Pulled(lambda reason, _text: told.append(reason))
    caller = Principal("ann", frozenset(), (), False, NEVER_S)
    async with lifetimes.of(stream, caller, trusted, None):
        for later_s in range(0, 1_000, 10):
            lifetimes.tick(time.monotonic() + later_s, time.time())
        assert told == []
        trusted.revoked = True
        lifetimes.tick(time.monotonic(), time.time())
        lifetimes.tick(time.monotonic() + ENDS_WITHIN_S / 2, time.time())
        assert told == [types.REASON_TOKEN_REVOKED]


async def test_a_drain_ends_it() -> None:
    """Without a notice, which these streams have no message for."""
    lifetimes = Lifetimes(Settings())
    told: list[types.Reason.ValueType] = []
    stream = Pulled(lambda reason, _text: told.append(reason))
    async with lifetimes.of(stream, Principal("ann", frozenset(), (), False, NEVER_S), Trusted(), None):
        async with asyncio.timeout(30):
            await lifetimes.drain(0.0)
        assert told == [types.REASON_DRAINING]

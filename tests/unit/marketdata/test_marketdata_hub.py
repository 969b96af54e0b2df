"""Readers and how they are woken."""

import asyncio

from ordergate.types.v1 import types_pb2 as types

from marketdata.hub import End, Hub


def passed() -> float:
    """A deadline that is over."""
    return asyncio.get_running_loop().time()


def in_an_hour() -> float:
    """A deadline that the test does not live to see."""
    return passed() + 3600


async def test_only_readers_of_the_symbol_are_woken() -> None:
    """A change of one symbol does not wake who reads another."""
    hub = Hub()
    with hub.joined(["AAPL"]) as one, hub.joined(["MSFT", "NVDA"]) as other:
        hub.wake(["MSFT", "AMZN"])
        assert await other.woken(in_an_hour())
        assert not await one.woken(passed())


async def test_a_wake_before_the_wait_is_not_lost() -> None:
    """What comes up between looking and waiting ends the wait at once."""
    hub = Hub()
    with hub.joined(["AAPL"]) as reader:
        reader.looks()
        hub.wake(["AAPL"])
        assert await reader.woken(in_an_hour())
        reader.looks()
        assert not await reader.woken(passed())


async def test_a_symbol_has_readers_as_long_as_one_stays() -> None:
    """Work for a symbol is wanted from the first reader to the last."""
    hub = Hub()
    with hub.joined(["AAPL"]):
        with hub.joined(["AAPL", "AAPL"]):
            assert len(hub) == 2
        assert hub.has_readers("AAPL")
    assert not hub.has_readers("AAPL")
    assert len(hub) == 0


async def test_stopping_ends_the_wait_with_the_reason() -> None:
    """A reader that waits learns at once that its stream is ended, and why."""
    hub = Hub()
    end = End(types.REASON_DRAINING, "over")
    with hub.joined(["AAPL"]) as reader:
        hub.stop_all(end)
        assert await reader.woken(in_an_hour())
        assert reader.end == end

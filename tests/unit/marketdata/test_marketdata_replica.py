"""When the view may be read, and what it says of itself."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ordergate.types.v1 import types_pb2 as types

from marketdata import replica as replicas
from marketdata.replica import Replica
from runtime.errors import Refused
from runtime.follower import FeedGapError
from runtime.serve import Health
from runtime.settings import Settings


@pytest.fixture
def health() -> Health:
    """The health that the replica speaks through."""
    return Health()


@pytest.fixture
def replica(health: Health) -> Replica:
    """A replica that has heard nothing yet."""
    return Replica(Settings(heartbeat_interval_s=0.001), health)


@contextmanager
def refused_with(reason: int) -> Iterator[None]:
    """The block is refused for the reason."""
    with pytest.raises(Refused) as refused:
        yield
    assert refused.value.reason == reason


async def test_nothing_is_read_before_the_journal_is_caught_up(replica: Replica, health: Health) -> None:
    """Until the first replay is complete calls are refused, retryably, and the server does not serve."""
    with refused_with(types.REASON_MATCHING_UNAVAILABLE):
        replica.publisher()
    assert not health.serving
    await replica.view.caught_up(1, 0)
    assert replica.publisher().subscriptions == 0
    assert health.serving


async def test_a_draining_server_takes_no_more_subscriptions(replica: Replica, health: Health) -> None:
    """After the drain began calls are refused, and hearing from matching does not bring health back."""
    await replica.view.caught_up(1, 0)
    await health.drain()
    replica.drain()
    with refused_with(types.REASON_DRAINING):
        replica.publisher()
    await replica.view.caught_up(1, 0)
    assert not health.serving


async def test_absence_of_matching_is_said_and_does_not_end_service(
    replica: Replica, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After missing heartbeats the detail says so; the next word of matching clears it."""
    monkeypatch.setattr(replicas, "WATCH_INTERVAL_S", 0.001)
    await replica.view.caught_up(1, 0)
    watching = asyncio.create_task(replica.watch())
    said = asyncio.Event()
    health_set = health.set
    details: list[tuple[bool, str]] = []

    def heard(serving: bool, detail: str = "") -> None:
        details.append((serving, detail))
        health_set(serving, detail)
        said.set()

    monkeypatch.setattr(health, "set", heard)
    await said.wait()
    assert details == [(True, "matching is away; this is the state as of seq 0")]
    said.clear()
    replica.view.heard_unix_ns = 2**62
    await said.wait()
    assert details[-1] == (True, "")
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


async def test_another_journal_is_refused_by_the_view(replica: Replica) -> None:
    """The epoch only grows; an older one is another journal's."""
    await replica.view.caught_up(3, 0)
    with pytest.raises(FeedGapError, match="epoch 2 after epoch 3"):
        await replica.view.caught_up(2, 0)

"""A real matching process, killed or failing at any moment: what was acknowledged is there, and only once."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.recovery import verify
from runtime.settings import Settings
from tests.simulation.crash import RANDOM_TIME, Campaign
from tests.simulation.crash_checks import check_files
from tests.simulation.crash_points import FORKED, POINTS, REPLAYING
from tests.simulation.gateway_link import Stub, connected, day_closed, linked, order, settings_in
from tests.simulation.matching_process import FAILING_DISK, Server, started

SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))
JOURNAL_FAILED_EXIT = 70
KILLS = (
    "in the write",
    "after the write, before the barrier",
    "after the barrier, before the release",
    "before a segment has its name",
    "before a segment is remembered",
    FORKED,
    "before a snapshot has its name",
    "before a segment goes",
    REPLAYING,
    RANDOM_TIME,
)
"""One of each kind; `make crash` has them all, and 200 of them."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A venue of this test's own with small segments."""
    return settings_in(tmp_path, journal_segment_bytes=16_384)


@asynccontextmanager
async def reached(settings: Settings, before: str = "") -> AsyncIterator[tuple[Server, Stub]]:
    """A process that listens, and a way to it."""
    async with started(settings, before) as server:
        await server.listening()
        async with connected(settings, server.port) as stub:
            await day_closed(stub)
            yield server, stub


async def test_a_killed_server_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Ten lives of one venue, each ended by SIGKILL at another point under load; invariants I1 to I11 after each."""
    print(f"seed {SEED}")
    assert set(KILLS) <= {*POINTS, FORKED, REPLAYING, RANDOM_TIME}
    report = await Campaign(tmp_path / "venue", SEED).run(list(KILLS))
    assert report.kills.total() == len(KILLS)
    assert report.missed.total() < len(KILLS) // 2, report.missed
    assert report.acknowledged > 1_000
    assert report.unanswered > 0, "a kill that finds nothing in flight proves nothing"


async def test_a_server_that_is_told_to_stop_finishes_what_it_has(settings: Settings) -> None:
    """SIGTERM: what was handed over before is carried out and durable, and the exit code is 0."""
    async with reached(settings) as (server, stub), linked(settings, stub) as link:
        await link.carry_out(*(order("DEMO", types.SIDE_BUY, 1, 100, f"A{n}") for n in range(300)))
        server.process.terminate()
        assert await server.ended() == 0
    summary = verify(settings.journal_dir)
    assert summary.last_seq == link.results[300].seq


@pytest.mark.parametrize("barriers", [3, 10])
async def test_a_failed_barrier_ends_the_process(tmp_path: Path, barriers: int) -> None:
    """After an error of fdatasync nothing more is acknowledged, nothing is tried again, and the process exits with 70.

    What it had acknowledged before is there, and the next life answers the rest.
    """
    campaign = Campaign(tmp_path / "venue", SEED)
    ended_itself, server = await campaign.life(FAILING_DISK.format(barriers=barriers), JOURNAL_FAILED_EXIT)
    assert ended_itself
    assert "the disk is gone" in server.said
    assert campaign.ledger.unanswered
    check_files(campaign.shadow, campaign.ledger, campaign.settings.journal_dir)
    before = len(campaign.ledger.acknowledged)
    report = await campaign.run([])
    assert report.acknowledged > before
    assert campaign.ledger.unanswered == []


async def test_a_second_process_on_the_journal_ends_at_once(settings: Settings) -> None:
    """It exits with 1 and says why; the first goes on."""
    async with reached(settings) as (_, stub):
        async with started(settings) as second:
            assert await second.ended() == 1
            assert "is written by another process" in second.said
        async with linked(settings, stub) as link:
            assert link.epoch == 1
            await link.carry_out(order("DEMO", types.SIDE_BUY, 1, 100, "A1"))


async def test_a_process_with_a_damaged_journal_ends_at_once(settings: Settings) -> None:
    """It exits with 1 and names the segment and the offset; the journal stays as it is."""
    async with reached(settings) as (server, stub), linked(settings, stub) as link:
        await link.carry_out(order("DEMO", types.SIDE_BUY, 1, 100, "A1"))
        server.process.kill()
        await server.ended()
    path = min(settings.journal_dir.glob("*.journal"))
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    async with started(settings) as server:
        assert await server.ended() == 1
        assert f"{path.name}: offset " in server.said
    assert path.read_bytes() == data


async def test_a_process_without_the_snapshot_that_it_needs_ends_at_once(settings: Settings) -> None:
    """Where the journal's beginning was dropped and no snapshot can be read, nothing is guessed: it exits with 1."""
    small = settings.model_copy(update={"snapshot_interval_events": 60, "journal_keep_events": 0})
    async with reached(small) as (server, stub), linked(small, stub) as link:
        number = 0
        while min(small.journal_dir.glob("*.journal")).stem == f"{1:020d}":
            number += 1
            await link.carry_out(*(order("DEMO", types.SIDE_BUY, 1, 100, f"A{number}-{n}") for n in range(20)))
        server.process.terminate()
        assert await server.ended() == 0
    snapshots = list((small.journal_dir / "snapshots").glob("*.snapshot"))
    assert snapshots
    for path in snapshots:
        path.write_bytes(path.read_bytes()[:-1])
    async with started(small) as server:
        assert await server.ended() == 1
        assert all(path.name in server.said for path in snapshots)


async def test_a_lookup_is_definite_after_a_kill(settings: Settings) -> None:
    """I7: an order that was never answered is either there, with its result, or not, and then it never will be."""
    async with reached(settings) as (server, stub), linked(settings, stub) as link:
        asked = [order("DEMO", types.SIDE_BUY, 1, 100, f"A{n}") for n in range(400)]
        await link.send(*asked)
        await link.until(lambda: link.results)
        server.process.kill()
        await server.ended()
    async with reached(settings) as (_, stub):
        found = [
            (await stub.LookupOrder(wire.LookupOrderRequest(account="DEMO", cl_ord_id=f"A{n}"))).HasField("order")
            for n in range(0, 400, 8)
        ]
        assert found == sorted(found, reverse=True), "what was carried out is the beginning of what was sent"
        assert all(found[: len(link.results) // 8])
        async with linked(settings, stub) as again:
            results = await again.carry_out(*asked)
            assert [result.repeated is not None for result in results[::8]] == found

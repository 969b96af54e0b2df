"""A real matching server whose journal and snapshots are in PostgreSQL: snapshots, a standby, a restart."""

from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from runtime.settings import Settings
from tests.simulation.gateway_link import connected, day_closed, last_seq, linked, order, settings_in
from tests.simulation.matching_process import started

SEQS = "SELECT DISTINCT seq FROM ordergate_journal.snapshots ORDER BY seq"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A venue in a database, with a snapshot every few orders."""
    monkeypatch.setenv("JOURNAL_URL", database_url)
    return settings_in(tmp_path, journal_keep_events=0, snapshot_interval_events=100)


async def fetched(settings: Settings, query: str) -> list[Any]:
    """The first column of a query's rows."""
    connection = await asyncpg.connect(settings.journal_url)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def test_a_killed_server_is_replaced_by_its_standby(settings: Settings) -> None:
    """The child that makes a snapshot writes it into the database; after kill -9 the second server has everything."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(started(settings))
        await first.listening()
        second = await stack.enter_async_context(started(settings))
        async with connected(settings, first.port) as stub:
            await day_closed(stub)
            async with linked(settings, stub) as link:
                for number in count(1):
                    frame = [order("DEMO", types.SIDE_BUY, 1, 100, f"A{number}-{n}") for n in range(10)]
                    results = await link.carry_out(*frame)
                    if len([line for line in first.log if line.get("event") == "snapshot"]) >= 3:
                        break
            account = await stub.GetAccount(wire.GetAccountRequest(account="DEMO"))
            end = await last_seq(stub)
        assert "snapshot failed" not in first.said
        assert second.port == 0, "a standby does not serve"
        first.process.kill()
        await first.ended()
        await second.listening()
        (recovered,) = await second.logged("recovered")
        assert recovered["last_seq"] == end
        async with connected(settings, second.port) as stub:
            account.epoch += 1
            assert await stub.GetAccount(wire.GetAccountRequest(account="DEMO")) == account
            async with linked(settings, stub) as link:
                assert link.epoch == 2
                (again,) = await link.carry_out(frame[-1])
                assert again.repeated is not None
                assert again.repeated.seq == results[-1].seq
        second.process.terminate()
        assert await second.ended() == 0
    seqs = await fetched(settings, SEQS)
    assert len(seqs) == 2
    async with started(settings) as third:
        await third.listening()
        (recovered,) = await third.logged("recovered")
        assert (recovered["snapshot_seq"], recovered["last_seq"]) == (seqs[-1], end)

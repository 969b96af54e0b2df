"""The log follows a journal: restarts, repetitions, gaps, outages and losses of its database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from compliance.errors import LogCorrupt, StoreUnavailable
from compliance.merkle import inclusion_ranges
from runtime.follower import FeedGapError
from runtime.stack.postgres import EmbeddedPostgres, migrate, short_folder
from runtime.stack.processes import Process
from tests.integration.compliance.journal import BUY, EPOCH, SELL, Journal
from tests.integration.compliance.running import Running, log_over, lost, searched, tree_of


async def test_entries_are_stored_as_they_came_and_signed(running: Running, journal: Journal) -> None:
    """Every event is a leaf at seq - 1, byte for byte, and a checkpoint covers them all."""
    await running.log.apply(journal.batch(1, 300))
    await running.log.apply(journal.batch(301))
    checkpoint = await running.signed(journal.seq)
    assert await running.reader.entries(0, journal.seq) == journal.entries
    assert checkpoint.root_hash == tree_of(journal.entries).root(journal.seq)
    assert (await searched(running.reader, checkpoint, journal.entries)).ok
    assert running.health.serving


async def test_every_leaf_has_a_proof_from_stored_tiles(running: Running, journal: Journal) -> None:
    """Hashes out of finished tiles and of the unfinished edge agree with a tree in memory, at two sizes."""
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    tree = tree_of(journal.entries)
    for size in (513, 700):
        for index in (0, 255, 256, 511, 512):
            ranges = inclusion_ranges(index, size)
            assert await running.reader.hashes(ranges, size) == [tree.hash_of(one) for one in ranges]


async def test_a_restart_continues_where_the_log_ends(database_url: str, journal: Journal) -> None:
    """After a restart the last event is asked for again, compared, and not stored twice."""
    async with log_over(database_url) as first:
        await first.log.apply(journal.batch(1, 300))
        assert await first.log.position() == 299
    async with log_over(database_url) as second:
        position = await second.log.position()
        assert position == 299
        await second.log.apply(journal.batch(position + 1))
        await second.stored(journal.seq)
        assert await second.reader.entries(0, journal.seq) == journal.entries
        checkpoint = await second.signed(journal.seq)
    assert checkpoint.root_hash == tree_of(journal.entries).root(journal.seq)


async def test_a_batch_that_comes_twice_is_stored_once(running: Running, journal: Journal, superuser: Any) -> None:
    """A duplicate changes nothing: neither leaves nor the history's sums."""
    maker = journal.order("MM", "AAPL", SELL, 5, 19000)
    journal.trade(maker, journal.order("DEMO", "AAPL", BUY, 5, 19000), 5)
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    sums = "SELECT * FROM history.position_state ORDER BY account, symbol"
    before = await superuser.fetch(sums)
    await running.log.apply(journal.batch(1))
    await running.log.apply(journal.batch(400))
    assert await running.log.position() == journal.seq - 1
    assert await superuser.fetch(sums) == before
    assert await superuser.fetchval("SELECT count(*) FROM audit.leaves") == journal.seq


async def test_a_gap_in_the_feed_is_refused(running: Running, journal: Journal) -> None:
    """Nothing is stored after a hole."""
    await running.log.apply(journal.batch(1, 300))
    with pytest.raises(FeedGapError, match="read up to 300"):
        await running.log.apply(journal.batch(302))
    assert await running.log.position() == 299
    assert (await running.reader.position())[0] == 300


async def test_an_outlived_matching_server_is_not_heard(running: Running, journal: Journal) -> None:
    """Events of an epoch below the one in the log are refused."""
    await running.log.apply(journal.batch(1, 300))
    with pytest.raises(FeedGapError, match="epoch 2"):
        await running.log.apply(journal.batch(301, epoch=EPOCH - 1))
    with pytest.raises(FeedGapError, match="epoch 2"):
        await running.log.caught_up(EPOCH - 1, 300)


async def test_another_journal_is_refused(running: Running, journal: Journal) -> None:
    """An event that differs from the one in the log stops the log: the journal is not the one it was made from."""
    await running.log.apply(journal.batch(1, 300))
    await running.stored(300)
    other = Journal()
    other.orders(299 - other.seq)
    other.order("DEMO", "AAPL", SELL, 1, 1)
    with pytest.raises(LogCorrupt, match="event 300 of the journal"):
        await running.log.apply(other.batch(300))


async def test_another_journal_that_is_shorter_is_refused(running: Running, journal: Journal) -> None:
    """A journal that ends before the log is not the one that the log was made from."""
    await running.log.apply(journal.batch(1, 300))
    await running.stored(300)
    await running.log.position()
    with pytest.raises(LogCorrupt, match="another journal"):
        await running.log.caught_up(EPOCH, 299)


async def test_two_writers_do_not_disturb_each_other(database_url: str, journal: Journal) -> None:
    """Two servers over one database, as in a rolling update: each event is stored once, and both go on."""
    async with log_over(database_url) as one, log_over(database_url) as other:
        for first in range(1, 700, 50):
            batch = journal.batch(first, first + 49)
            for writer in (one, other):
                try:
                    await writer.log.apply(batch)
                except FeedGapError:
                    # As `follow` does: asked again from where the log ends.
                    await writer.log.apply(journal.batch(await writer.log.position() + 1, first + 49))
        await one.stored(journal.seq)
        assert await other.reader.entries(0, journal.seq) == journal.entries
        await one.signed(journal.seq)
        assert not any(task.done() for task in (*one.tasks, *other.tasks))


async def test_commits_that_a_crash_took_back_are_read_again(
    running: Running, journal: Journal, superuser: Any
) -> None:
    """When the database has lost its last commits, the log asks the journal again from where it ends."""
    await running.log.apply(journal.batch(1, 500))
    await running.signed(500)
    await lost(superuser, 480)
    await running.log.apply(journal.batch(501, 600))
    assert await running.log.position() == 479
    await running.log.apply(journal.batch(480))
    await running.stored(journal.seq)
    assert await running.reader.entries(0, journal.seq) == journal.entries


async def test_a_loss_is_noticed_without_new_events(running: Running, journal: Journal, superuser: Any) -> None:
    """Nothing is signed that is no longer stored, and a heartbeat makes the log read again."""
    await running.log.apply(journal.batch(1, 500))
    await running.signed(500)
    state = await running.store.load()
    await lost(superuser, 480)
    with pytest.raises(StoreUnavailable):
        await running.store.publish(state, 1)
    await running.log.caught_up(EPOCH, 500)
    assert await running.log.position() == 479
    with pytest.raises(FeedGapError, match="after 480 all is lost"):
        await running.log.caught_up(EPOCH, 500)
    await running.log.apply(journal.batch(480, 500))
    assert (await running.signed(500)).root_hash == state.edge.root()


@asynccontextmanager
async def started(server: EmbeddedPostgres) -> AsyncIterator[None]:
    """The server, while the block runs."""
    process = Process(server.program())
    await process.start()
    try:
        await process.wait_ready()
        yield
    finally:
        await process.stop()


async def test_the_database_may_be_away(tmp_path: Path, journal: Journal) -> None:
    """Started without a database the log waits; when the database goes in between it waits again, and catches up."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder(tmp_path / "socket"))
        server = EmbeddedPostgres(tmp_path / "database", folder, tmp_path / "postgres.log")
        await server.prepare()
        running = await stack.enter_async_context(log_over(server.url()))
        assert not running.health.serving
        with pytest.raises(StoreUnavailable):
            await running.reader.position()
        async with started(server):
            await migrate(server.url(), tmp_path / "migrate.log")
            await running.log.apply(journal.batch(1, 400))
            assert await running.log.position() == 399
            assert running.health.serving
        await running.log.apply(journal.batch(401, 700))
        while running.health.serving:
            await asyncio.sleep(0)
        async with started(server):
            assert await running.log.position() == 699
            assert running.health.serving
            assert await running.reader.entries(0, 700) == journal.entries
            assert (await running.signed(700)).root_hash == tree_of(journal.entries).root(700)

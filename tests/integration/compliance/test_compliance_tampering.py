"""What is done to the stored log is refused or found."""

from typing import Any

import asyncpg
import pytest

from compliance.errors import LogCorrupt
from compliance.verify import Finding
from tests.integration.compliance.journal import Journal
from tests.integration.compliance.running import Running, raw_entries, searched


@pytest.mark.parametrize("table", ["leaves", "tiles", "checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE audit.{} SET {} = {}", "DELETE FROM audit.{}", "TRUNCATE audit.{}"])
async def test_the_database_refuses_changes_of_the_log(
    running: Running, journal: Journal, database_url: str, table: str, change: str
) -> None:
    """UPDATE, DELETE and TRUNCATE end with an error, for whoever has no way around triggers."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    column = {"leaves": "entry", "tiles": "root", "checkpoints": "root_hash"}[table]
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.RestrictViolationError, match="only grows"):
            await connection.execute(change.format(table, column, column))
        assert await connection.fetchval(f"SELECT count(*) FROM audit.{table}") > 0
    finally:
        await connection.close()


@pytest.mark.parametrize("index", [0, 300, 511, 512, 699])
async def test_a_changed_entry_is_found_with_its_index(
    running: Running, journal: Journal, superuser: Any, index: int
) -> None:
    """Whoever edits an entry past the triggers, in a finished tile or not, is found by the proofs."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    changed = "UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = $1"
    await superuser.execute(changed, index)
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, index)


async def test_a_changed_entry_with_a_matching_leaf_hash_is_found(
    running: Running, journal: Journal, superuser: Any
) -> None:
    """Editing the hash beside the entry does not help: the tile was finished and the root was signed."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    await superuser.execute(
        "UPDATE audit.leaves SET entry = 'x'::bytea, leaf_hash = sha256('\\x0078'::bytea) WHERE leaf_index = 100"
    )
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, 100)


async def test_a_cut_off_tail_is_found(running: Running, journal: Journal, superuser: Any) -> None:
    """Entries that were signed and are gone: the verifier names the first, and the server does not start again."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    await superuser.execute("DELETE FROM audit.leaves WHERE leaf_index >= 690")
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRIES_MISSING, 690)
    with pytest.raises(LogCorrupt, match="leaf 690 is missing"):
        await running.store.load()
    await superuser.execute("UPDATE audit.position SET seq = 690")
    with pytest.raises(LogCorrupt, match="700 entries were signed, only 690 are stored"):
        await running.store.load()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = 650",
        "UPDATE audit.tiles SET root = sha256('x'::bytea) WHERE position = 1",
        "UPDATE audit.checkpoints SET note = replace(note, '700', '699') WHERE tree_size = 700",
    ],
)
async def test_a_start_on_a_changed_log_is_refused(
    running: Running, journal: Journal, superuser: Any, change: str
) -> None:
    """The tree that is stored must lead to the newest root that was signed."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    assert await superuser.execute(change) == "UPDATE 1"
    with pytest.raises(LogCorrupt):
        await running.store.load()


async def test_two_roots_of_one_size_are_never_signed(running: Running, journal: Journal, superuser: Any) -> None:
    """A checkpoint is stored only where none is; one with another root stops the log."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    state = await running.store.load()
    await superuser.execute("UPDATE audit.checkpoints SET root_hash = sha256('x'::bytea) WHERE tree_size = 700")
    with pytest.raises(LogCorrupt, match="size 700 was signed with the root"):
        await running.store.publish(state, 1)

"""Snapshots in PostgreSQL, in the tables of the journal; each is published by one transaction.

Snapshots are rare: every call has a connection of its own.
"""

from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import asyncpg

from matching.journal.errors import DamagedSnapshotError
from matching.journal.loop import LoopThread
from matching.journal.tables import CONNECT_TIMEOUT_S, SESSION, prepare, unreachable_is_named
from matching.snapshots.form import Snapshot, decode, encode_header
from matching.snapshots.interface import Candidate, first_readable

PART_BYTES = 16 * 1024 * 1024
Result = TypeVar("Result")

_SEQS = "SELECT DISTINCT seq FROM ordergate_journal.snapshots ORDER BY seq DESC"
_PARTS = "SELECT content FROM ordergate_journal.snapshots WHERE seq = $1 ORDER BY part"
_REMOVE = "DELETE FROM ordergate_journal.snapshots WHERE seq = $1"
_PUT = "INSERT INTO ordergate_journal.snapshots (seq, part, content) VALUES ($1, $2, $3)"
_PRUNE = "DELETE FROM ordergate_journal.snapshots WHERE seq < $1 AND seq <> $2"


class PostgresSnapshots:
    """The snapshots of a database; see `Snapshots`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def publish(self, snapshot: Snapshot) -> int:
        """See `Snapshots`."""
        self._run(self._put(snapshot))
        older = [seq for seq in self._run(self._seqs()) if seq < snapshot.seq]
        kept_seq = first_readable(self._found(older))
        self._run(self._prune(snapshot.seq, kept_seq))
        return kept_seq

    def load(self) -> Iterator[Candidate]:
        """See `Snapshots`."""
        return self._found(self._run(self._seqs()))

    def _found(self, seqs: list[int]) -> Iterator[Candidate]:
        for seq in seqs:
            data = self._run(self._parts(seq))
            if data is None:
                continue  # Its publisher has just removed it.
            name = f"snapshot of seq {seq}"
            try:
                yield Candidate(name, decode(data, name, seq))
            except DamagedSnapshotError as error:
                yield Candidate(name, None, str(error))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        with unreachable_is_named(), LoopThread("snapshots-postgres") as loop:
            return loop.run(work)

    async def _connect(self) -> Any:
        connection = await asyncpg.connect(self._url, timeout=CONNECT_TIMEOUT_S, server_settings=SESSION)
        await prepare(connection)
        return connection

    async def _seqs(self) -> list[int]:
        connection = await self._connect()
        try:
            return [row["seq"] for row in await connection.fetch(_SEQS)]
        finally:
            await connection.close()

    async def _parts(self, seq: int) -> bytes | None:
        connection = await self._connect()
        try:
            rows = await connection.fetch(_PARTS, seq)
        finally:
            await connection.close()
        return b"".join(row["content"] for row in rows) if rows else None

    async def _put(self, snapshot: Snapshot) -> None:
        header = encode_header(snapshot)
        content = memoryview(snapshot.content)
        connection = await self._connect()
        try:
            async with connection.transaction():
                await connection.execute(_REMOVE, snapshot.seq)
                await connection.execute(_PUT, snapshot.seq, 0, header)
                for part, begin in enumerate(range(0, len(content), PART_BYTES), 1):
                    await connection.execute(_PUT, snapshot.seq, part, content[begin : begin + PART_BYTES])
        finally:
            await connection.close()

    async def _prune(self, newest_seq: int, kept_seq: int) -> None:
        connection = await self._connect()
        try:
            await connection.execute(_PRUNE, newest_seq, kept_seq)
        finally:
            await connection.close()

"""The two ways of keeping a journal, for tests that must hold for both; and SQL past the journal's back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from matching.journal.file import FileJournal
from matching.journal.interface import Covered, Journal, from_the_beginning
from matching.journal.loop import LoopThread
from matching.journal.postgres import open_postgres
from matching.journal.segments import segment_path
from matching.snapshots.file import FileSnapshots
from matching.snapshots.interface import Snapshots
from matching.snapshots.postgres import PostgresSnapshots

SEGMENT_BYTES = 64
"""So small that every batch has a segment of its own, as it has a row of its own."""


class Keeping(Protocol):
    """A place for one journal and its snapshots."""

    program: str
    """Statements that open the journal as `journal`; for a process of its own."""

    def open(self, covered: Covered = from_the_beginning) -> Journal:
        """Opens the journal."""

    def snapshots(self) -> Snapshots:
        """The snapshots."""

    def lose(self, first_seq: int) -> None:
        """Takes away a batch of a closed journal."""

    def change(self, first_seq: int) -> None:
        """Changes a bit in the payload of a batch."""

    def change_snapshot(self, seq: int) -> None:
        """Changes a bit in the content of a snapshot."""


class Files:
    """In a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = (
            "from pathlib import Path; from matching.journal.file import FileJournal\n"
            f"journal = FileJournal(Path({str(folder)!r}), {SEGMENT_BYTES})\n"
        )

    def open(self, covered: Covered = from_the_beginning) -> Journal:
        return FileJournal(self.folder, SEGMENT_BYTES, covered)

    def snapshots(self) -> Snapshots:
        return FileSnapshots(self.folder / "snapshots")

    def lose(self, first_seq: int) -> None:
        segment_path(self.folder, first_seq).unlink()

    def change(self, first_seq: int) -> None:
        _change_bit(segment_path(self.folder, first_seq), 64)

    def change_snapshot(self, seq: int) -> None:
        _change_bit(self.folder / "snapshots" / f"{seq:020d}.snapshot", 70)


class Database:
    """In PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.program = f"from matching.journal.postgres import open_postgres\njournal = open_postgres({url!r})\n"

    def open(self, covered: Covered = from_the_beginning) -> Journal:
        return open_postgres(self.url, covered)

    def snapshots(self) -> Snapshots:
        return PostgresSnapshots(self.url)

    def lose(self, first_seq: int) -> None:
        sql(self.url, "DELETE FROM ordergate_journal.batches WHERE first_seq = $1", first_seq)

    def change(self, first_seq: int) -> None:
        flipped = "set_bit(payload, 1, 1 - get_bit(payload, 1))"
        sql(self.url, f"UPDATE ordergate_journal.batches SET payload = {flipped} WHERE first_seq = $1", first_seq)

    def change_snapshot(self, seq: int) -> None:
        flipped = "set_bit(content, 1, 1 - get_bit(content, 1))"
        sql(self.url, f"UPDATE ordergate_journal.snapshots SET content = {flipped} WHERE seq = $1 AND part = 1", seq)


def sql(url: str, statement: str, *values: object) -> list[Any]:
    """The rows of a statement, on a connection of its own."""

    async def work() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            rows: list[Any] = await connection.fetch(statement, *values)
            return rows
        finally:
            await connection.close()

    with LoopThread("sql") as loop:
        return loop.run(work())


def becomes(is_so: Callable[[], object]) -> None:
    """Waits until another thread or process has made something so, of which we hear in no other way."""
    while not is_so():
        pass


def _change_bit(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)

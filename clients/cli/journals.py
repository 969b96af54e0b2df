"""Reads the journal of a matching server on this machine, with the server's own code.

That code is imported when a command needs it, not before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from ordergate.matching.v1 import events_pb2 as events

from runtime.settings import Settings

WHAT = ("orders", "positions", "cash", "limits")
"""What there is to be seen of the past."""


def folder_of(settings: Settings) -> Path:
    """The folder of the journal.

    Raises:
        ClickException: it is in PostgreSQL.
    """
    folder: Path | None = import_module("matching.storage").journal_folder(settings)
    if folder is None:
        raise click.ClickException("the journal is in PostgreSQL; give --journal for one in files")
    return folder


def verify(folder: Path, *, from_snapshot: bool) -> Any:
    """Derives every event again from the commands; gives `matching.recovery.Summary`.

    Raises:
        ClickException: there is no journal, it cannot be read, or an event came out differently.
    """
    _segments(folder)
    with _faults_are_told(folder):
        return import_module("matching.recovery").verify(folder, from_snapshot=from_snapshot)


def as_of(folder: Path, seq: int, what: str, account: str, symbol: str) -> tuple[int, list[dict[str, str]]]:
    """Some of what the venue was after an event: the seq of the last event of its command, and rows.

    Raises:
        ClickException: there is no journal, it cannot be read, or there was no such event, account or instrument.
    """
    _segments(folder)
    rows = import_module("matching.asof")
    with _faults_are_told(folder):
        engine = import_module("matching.recovery").as_of(folder, seq)
        scope = (account,) if what == "cash" else (account, symbol)
        found = getattr(rows, f"{what.removesuffix('s')}_rows")(engine, *scope)
    return engine.seq, found


def entries(folder: Path) -> Iterator[bytes]:
    """The bytes of every durable event, in order.

    Raises:
        ClickException: there is no journal, or a frame cannot be read.
    """
    segments = _segments(folder)
    with _faults_are_told(folder):
        for segment in import_module("matching.journal.segments").checked(segments):
            for frame in segment.frames:
                for entry in events.JournalBatch.FromString(frame.payload).entries:
                    yield from entry.events


@contextmanager
def _faults_are_told(folder: Path) -> Iterator[None]:
    errors, recovery = import_module("matching.journal.errors"), import_module("matching.recovery")
    faults = (errors.DamagedJournalError, errors.DamagedSnapshotError, recovery.ReplayMismatchError, ValueError)
    try:
        yield
    except faults as error:
        raise click.ClickException(f"{folder}: {error}") from None


def _segments(folder: Path) -> list[tuple[int, Path]]:
    with _faults_are_told(folder):
        segments: list[tuple[int, Path]] = import_module("matching.journal.segments").segments_of(folder)
    if not segments:
        raise click.ClickException(f"{folder}: no journal here")
    return segments

"""Reads the journal of a matching server on this machine, with the server's own code.

That code is imported when a command needs it, not before.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from ordergate.matching.v1 import events_pb2 as events


def verify(folder: Path) -> Any:
    """Derives every event again from the commands; gives `matching.recovery.Summary`.

    Raises:
        ClickException: there is no journal, a frame cannot be read, or an event came out differently.
    """
    recovery = import_module("matching.recovery")
    damaged = import_module("matching.journal.frames").DamagedJournalError
    _segments(folder)
    try:
        return recovery.verify(folder)
    except (recovery.ReplayMismatchError, damaged) as error:
        raise click.ClickException(f"{folder}: {error}") from None


def entries(folder: Path) -> Iterator[bytes]:
    """The bytes of every durable event, in order.

    Raises:
        ClickException: there is no journal, or a frame cannot be read.
    """
    damaged = import_module("matching.journal.frames").DamagedJournalError
    try:
        for segment in import_module("matching.journal.file").checked(_segments(folder)):
            for frame in segment.frames:
                for entry in events.JournalBatch.FromString(frame.payload).entries:
                    yield from entry.events
    except damaged as error:
        raise click.ClickException(f"{folder}: {error}") from None


def _segments(folder: Path) -> list[tuple[int, Path]]:
    segments: list[tuple[int, Path]] = import_module("matching.journal.file").segments_of(folder)
    if not segments:
        raise click.ClickException(f"{folder}: no journal here")
    return segments

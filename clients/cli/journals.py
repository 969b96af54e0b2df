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
        ClickException: an event came out differently, or a frame cannot be read.
    """
    recovery = import_module("matching.recovery")
    damaged = import_module("matching.journal.frames").DamagedJournalError
    try:
        return recovery.verify(folder)
    except (recovery.ReplayMismatchError, damaged) as error:
        raise click.ClickException(f"{folder}: {error}") from None


def entries(folder: Path) -> Iterator[bytes]:
    """The bytes of every durable event, in order.

    Raises:
        ClickException: a frame cannot be read.
    """
    frames = import_module("matching.journal.frames")
    file = import_module("matching.journal.file")
    try:
        for first_seq, path in file.segments_of(folder):
            data = path.read_bytes()
            frames.decode_segment_header(data, path.name)
            for frame in frames.frames_in(data, path.name, first_seq - 1):
                for entry in events.JournalBatch.FromString(frame.payload).entries:
                    yield from entry.events
    except frames.DamagedJournalError as error:
        raise click.ClickException(f"{folder}: {error}") from None

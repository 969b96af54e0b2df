"""Rebuilds the engine from a snapshot and the journal, and proves that it comes out the same.

A normal start, a standby and `ordergate replay --verify` are this one path:
every command is carried out again at its recorded time, and its events must be
the recorded bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import decode_command, encode_events
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.journal.errors import DamagedSnapshotError
from matching.journal.frames import Frame
from matching.journal.segments import Segment, checked, segments_of
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot
from matching.snapshots.interface import choose
from matching.state import UnreadableStateError, load, state_hash
from matching.storage import SNAPSHOTS


class ReplayMismatchError(RuntimeError):
    """A command gave other events than the journal has: the code or the journal is not what it was."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay saw."""

    commands: int
    """Carried out again; those before the snapshot are not among them."""
    events: int
    snapshot_seq: int
    """Where it began; 0 for the beginning."""
    last_seq: int
    epoch: int
    state_hash: str
    """SHA-256 of the state after the last command, hexadecimal."""


def engine_of(snapshot: Snapshot | None) -> Engine:
    """The engine that a snapshot holds; a new one without.

    Raises:
        DamagedSnapshotError: its content is not the state that it says it is.
    """
    if snapshot is None:
        return Engine()
    if hashlib.sha256(snapshot.content).hexdigest() != snapshot.state_hash:
        raise DamagedSnapshotError(f"snapshot of seq {snapshot.seq}: the content has another hash")
    try:
        engine = load(snapshot.content)
    except UnreadableStateError as error:
        raise DamagedSnapshotError(f"snapshot of seq {snapshot.seq}: {error}") from error
    if engine.seq != snapshot.seq:
        raise DamagedSnapshotError(f"snapshot of seq {snapshot.seq}: the state is that of seq {engine.seq}")
    return engine


def recover(engine: Engine, frames: Iterable[Frame], until_seq: int = 0) -> int:
    """Carries out the commands of the journal that come after the engine's state; gives their number.

    Args:
        engine: where it begins.
        frames: in order; events that the engine has are passed over.
        until_seq: stop after the command that holds this event; 0 for the end.

    Raises:
        ReplayMismatchError: an event came out differently.
    """
    commands = 0
    for frame in frames:
        if frame.last_seq <= engine.seq:
            continue
        next_seq = frame.first_seq
        for entry in _entries(frame):
            if until_seq and engine.seq >= until_seq:
                return commands
            if _first_seq(entry) != next_seq:
                raise ReplayMismatchError(f"the command at seq {next_seq} has the events of seq {_first_seq(entry)}")
            next_seq += len(entry.events)
            if next_seq - 1 > engine.seq:
                _redo(engine, entry)
                commands += 1
        if engine.seq != frame.last_seq:
            raise ReplayMismatchError(f"after seq {frame.last_seq} the engine is at {engine.seq}")
    return commands


class Rebuilt:
    """The engine as the storage's snapshot and batches say; see `matching.storage.Recovery`."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.commands = 0
        """Carried out again."""

    def begin(self, snapshot: Snapshot | None) -> None:
        """Begins with a snapshot, or with nothing."""
        self.engine = engine_of(snapshot)

    def redo(self, frames: Iterable[Frame]) -> None:
        """Carries out what comes after."""
        self.commands += recover(self.engine, frames)


def verify(journal_dir: Path, *, from_snapshot: bool = False) -> Summary:
    """Replays a journal that nobody writes, offline; from its beginning, or from the newest snapshot.

    A journal whose beginning was dropped is always replayed from a snapshot.

    Raises:
        ReplayMismatchError: an event came out differently.
        DamagedJournalError: a frame cannot be read.
        DamagedSnapshotError: a snapshot is needed, and none can be used.
        OSError: the folder cannot be read.
    """
    engine, began, commands, epoch = _replayed(journal_dir, 0, from_snapshot)
    return Summary(commands, engine.seq - began, began, engine.seq, epoch, state_hash(engine))


def as_of(journal_dir: Path, seq: int) -> Engine:
    """The engine after the command that holds event `seq`.

    Raises:
        ValueError: there is no such event, or not yet.
        ReplayMismatchError, DamagedJournalError, DamagedSnapshotError, OSError: as `verify`.
    """
    if seq < 1:
        raise ValueError("the first event is that of seq 1")
    engine, *_ = _replayed(journal_dir, seq, from_snapshot=True)
    if engine.seq < seq:
        raise ValueError(f"the journal ends at seq {engine.seq}")
    return engine


def _replayed(journal_dir: Path, until_seq: int, from_snapshot: bool) -> tuple[Engine, int, int, int]:
    """The engine, the seq that it began with, the commands carried out and the last epoch."""
    segments = segments_of(journal_dir)
    first_seq = segments[0][0] if segments else 1
    snapshot = None
    if from_snapshot or first_seq > 1:
        snapshot = _snapshot_for(journal_dir, first_seq, until_seq)
    engine = engine_of(snapshot)
    began = engine.seq
    commands = epoch = 0
    for segment in checked(segments, began):
        epoch = _last_epoch(segment, epoch)
        commands += recover(engine, segment.frames, until_seq)
        if until_seq and engine.seq >= until_seq:
            break
    return engine, began, commands, epoch


def _snapshot_for(journal_dir: Path, first_seq: int, until_seq: int) -> Snapshot | None:
    """The newest usable snapshot, not after `until_seq`."""
    snapshots = FileSnapshots(journal_dir / SNAPSHOTS)
    if not until_seq:
        return choose(snapshots, first_seq).snapshot
    for candidate in snapshots.load():
        found = candidate.snapshot
        if found is not None and first_seq <= found.seq + 1 and found.seq <= until_seq:
            return found
    if first_seq > 1:
        raise DamagedSnapshotError(
            f"the journal begins with seq {first_seq}, and no snapshot stands before {until_seq}"
        )
    return None


def _last_epoch(segment: Segment, before: int) -> int:
    return segment.frames[-1].epoch if segment.frames else before


def _entries(frame: Frame) -> Iterable[wire.JournalEntry]:
    try:
        return wire.JournalBatch.FromString(frame.payload).entries
    except DecodeError as error:
        raise ReplayMismatchError(f"the batch of seq {frame.first_seq} is none: {error}") from error


def _redo(engine: Engine, entry: wire.JournalEntry) -> None:
    """Carries out one command again."""
    before = engine.seq
    if entry.time_unix_ns <= engine.time_unix_ns:
        raise ReplayMismatchError(f"the command after seq {before} is not later than the one before")
    try:
        told = engine.execute(decode_command(entry.command), entry.time_unix_ns)
    except (DecodeError, KeyError) as error:
        raise ReplayMismatchError(f"the command after seq {before} is none that this version knows") from error
    if isinstance(told, Replay) or encode_events(told) != list(entry.events):
        raise ReplayMismatchError(f"the command after seq {before} gave other events than the journal has")


def _first_seq(entry: wire.JournalEntry) -> int:
    """The seq of a command's first event, which is laid out behind one byte; 0 when it has none."""
    return int.from_bytes(entry.events[0][1:9], "little") if entry.events else 0

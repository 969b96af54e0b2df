"""Recovery: the state that comes out of snapshot and journal is the one that went in, or the start is refused."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire

from matching.convert import decode_command
from matching.core.commands import Command
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.journal.errors import DamagedJournalError, DamagedSnapshotError
from matching.journal.file import FileJournal
from matching.recovery import Rebuilt, ReplayMismatchError, as_of, engine_of, recover, verify
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot
from matching.state import dump, state_hash
from matching.storage import SNAPSHOTS, open_files
from tests.simulation.matching_story import Story, encoded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


SEED = 5
COMMANDS = 900
SEGMENT_BYTES = 16_384
SNAPSHOTS_AFTER = (300, 600)


def append(journal: FileJournal, batch: Sequence[wire.JournalEntry]) -> None:
    """Writes entries as one batch."""
    events = sum(len(entry.events) for entry in batch)
    payload = wire.JournalBatch(entries=batch).SerializeToString()
    journal.append(journal.last_seq + 1, journal.last_seq + events, payload)


def snapshot_of(engine: Engine) -> Snapshot:
    """The snapshot of an engine."""
    content = dump(engine)
    return Snapshot(engine.seq, 1, hashlib.sha256(content).hexdigest(), content)


class Live:
    """A journal of several segments, two snapshots of it, and the engine that they tell of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = Engine()
        self.snapshots = FileSnapshots(folder / SNAPSHOTS)
        self.snapshot_seqs: list[int] = []
        self.hashes: dict[int, str] = {}
        """State hash after each batch, by its last seq."""
        with FileJournal(folder, SEGMENT_BYTES) as journal:
            self._write(journal)

    def _write(self, journal: FileJournal) -> None:
        batch: list[wire.JournalEntry] = []
        for number, entry in enumerate(Story(SEED, self.engine).entries(COMMANDS)):
            batch.append(entry)
            if len(batch) < 1 + len(entry.events) % 5:
                continue
            append(journal, batch)
            batch = []
            if number % 50 < 5:
                self.hashes[self.engine.seq] = state_hash(self.engine)
            if len(self.snapshot_seqs) < 2 and number > SNAPSHOTS_AFTER[len(self.snapshot_seqs)]:
                self.snapshots.publish(snapshot_of(self.engine))
                self.snapshot_seqs.append(self.engine.seq)
        if batch:
            append(journal, batch)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """A journal and its snapshots, never changed."""
    return Live(tmp_path_factory.mktemp("live"))


@pytest.fixture
def copy(live: Live, tmp_path: Path) -> Path:
    """A copy of the live folder, for this test to damage."""
    (tmp_path / SNAPSHOTS).mkdir()
    for path in live.folder.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(live.folder)).write_bytes(path.read_bytes())
    return tmp_path


def recovered(folder: Path) -> tuple[Rebuilt, int, tuple[str, ...]]:
    """What a normal start makes of a folder, where it began, and what it passed over."""
    rebuilt = Rebuilt()
    storage = open_files(folder, SEGMENT_BYTES, rebuilt)
    storage.journal.close()
    return rebuilt, storage.snapshot_seq, storage.refused


def drop_before(folder: Path, seq: int) -> int:
    """Lets the journal go of what is before `seq`; gives its first seq afterwards."""
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        journal.drop_before(seq)
        return journal.first_seq


def test_recovery_gives_the_live_state(live: Live) -> None:
    """From the first event of all, the state hash is that of the engine that wrote the journal (invariant I4)."""
    again = Engine()
    with FileJournal(live.folder, SEGMENT_BYTES) as journal:
        commands = recover(again, journal.read(0, journal.last_seq))
    assert state_hash(again) == state_hash(live.engine)
    assert (again.seq, again.time_unix_ns) == (live.engine.seq, live.engine.time_unix_ns)
    assert COMMANDS // 2 < commands < COMMANDS * 2


def test_a_start_begins_with_the_newest_snapshot(live: Live, copy: Path) -> None:
    """Only what came after it is carried out again, and the state is the live one (invariant I4)."""
    rebuilt, began, refused = recovered(copy)
    assert (began, refused) == (live.snapshot_seqs[1], ())
    assert state_hash(rebuilt.engine) == state_hash(live.engine)
    assert 0 < rebuilt.commands < COMMANDS // 2


@pytest.mark.parametrize("dropped", [False, True])
def test_a_damaged_snapshot_gives_way_to_the_one_before(live: Live, copy: Path, dropped: bool) -> None:
    """It is named, the older one serves, and after both the whole journal does, as long as it is all there."""
    if dropped:
        assert 1 < drop_before(copy, live.snapshot_seqs[0] + 1) <= live.snapshot_seqs[0] + 1
    paths = sorted((copy / SNAPSHOTS).glob("*.snapshot"))
    for broken, began in ((paths[1], live.snapshot_seqs[0]), (paths[0], 0)):
        broken.write_bytes(broken.read_bytes()[:-1])
        if dropped and not began:
            with pytest.raises(DamagedSnapshotError, match=paths[0].name):
                recovered(copy)
            return
        rebuilt, at, refused = recovered(copy)
        assert at == began
        assert broken.name in " ".join(refused)
        assert state_hash(rebuilt.engine) == state_hash(live.engine)


def test_a_recovered_venue_remembers_its_keys(live: Live, copy: Path) -> None:
    """What was asked before the restart is a repetition after it, of orders and of administration."""
    rebuilt, *_ = recovered(copy)
    again, asked = rebuilt.engine, 0
    for account in live.engine.venue.accounts.values():
        for outcome in account.keys.values():
            command = decode_command(encoded(Command(outcome.request, "somebody else", 1)))
            told = again.execute(command, again.time_unix_ns + 1)
            assert isinstance(told, Replay)
            assert told.original.seq == outcome.event.seq
            asked += 1
    for done in live.engine.venue.requests.values():
        assert isinstance(again.execute(Command(done.request), again.time_unix_ns + 1), Replay)
    assert asked > COMMANDS // 3
    assert state_hash(again) == state_hash(live.engine)


@pytest.mark.parametrize("from_snapshot", [False, True])
def test_verification_sums_up_what_it_saw(live: Live, from_snapshot: bool) -> None:
    """Offline, from the beginning or a snapshot: commands, events, where it began, last seq, epoch, state hash."""
    summary = verify(live.folder, from_snapshot=from_snapshot)
    began = live.snapshot_seqs[1] if from_snapshot else 0
    assert (summary.snapshot_seq, summary.events) == (began, live.engine.seq - began)
    assert (summary.last_seq, summary.state_hash) == (live.engine.seq, state_hash(live.engine))
    assert summary.epoch == 1
    assert 0 < summary.commands <= summary.events
    assert len(list(live.folder.glob("*.journal"))) > 5


def test_verification_without_the_beginning_begins_with_a_snapshot(live: Live, copy: Path) -> None:
    """Where the oldest segments were dropped nobody has to ask for it."""
    assert drop_before(copy, live.snapshot_seqs[1] + 1) > 1
    summary = verify(copy)
    assert (summary.snapshot_seq, summary.state_hash) == (live.snapshot_seqs[1], state_hash(live.engine))


def test_verification_finds_a_missing_segment(live: Live, copy: Path) -> None:
    """A hole in the middle is damage, not an end."""
    paths = sorted(copy.glob("*.journal"))
    paths[1].unlink()
    with pytest.raises(DamagedJournalError, match=paths[2].name):
        verify(copy)


def test_the_state_as_of_any_batch_is_what_it_was(live: Live) -> None:
    """Before, at and after the snapshots, whichever stands nearest before it."""
    assert len(live.hashes) > 15
    for seq, was in live.hashes.items():
        assert state_hash(as_of(live.folder, seq)) == was, seq


def test_as_of_an_event_in_a_command_is_after_the_command(live: Live) -> None:
    """A command has happened as a whole or not at all; the state belongs to its last event."""
    with FileJournal(live.folder, SEGMENT_BYTES) as journal:
        entries = [
            entry
            for frame in journal.read(0, live.engine.seq)
            for entry in wire.JournalBatch.FromString(frame.payload).entries
        ]
    longest = max(entries[: len(entries) // 2], key=lambda entry: len(entry.events))
    first_seq = wire.Event.FromString(longest.events[0]).seq
    assert as_of(live.folder, first_seq).seq == first_seq + len(longest.events) - 1 > first_seq


@pytest.mark.parametrize(("seq", "why"), [(0, "seq 1"), (-1, "seq 1"), (10**6, "the journal ends at seq")])
def test_as_of_what_never_happened_is_refused(live: Live, seq: int, why: str) -> None:
    """Not with the state of another moment."""
    with pytest.raises(ValueError, match=why):
        as_of(live.folder, seq)


def test_as_of_before_the_oldest_snapshot_needs_the_beginning(live: Live, copy: Path) -> None:
    """What the journal has dropped can only be asked for from a snapshot on."""
    drop_before(copy, live.snapshot_seqs[0] + 1)
    assert as_of(copy, live.snapshot_seqs[0]).seq == live.snapshot_seqs[0]
    with pytest.raises(DamagedSnapshotError, match="no snapshot stands before 100"):
        as_of(copy, 100)


CHANGES = ("event", "events", "no events", "time", "clock", "command", "nonsense", "unknown", "repetition", "order")


@pytest.mark.parametrize("changed", CHANGES)
def test_a_journal_that_tells_something_else_is_refused(tmp_path: Path, changed: str) -> None:
    """Whole frames with other events than their commands give: code or journal is not what it was."""
    made = list(Story(SEED).entries(60))
    first = made[30]
    last_seq = sum(len(entry.events) for entry in made)
    if changed == "event":
        first.events[0] = first.events[0][:-1] + bytes([first.events[0][-1] ^ 1])
    elif changed == "events":
        first.events.append(first.events[-1])
    elif changed == "no events":
        del first.events[:]
    elif changed == "time":
        first.time_unix_ns += 1
    elif changed == "clock":
        first.time_unix_ns = made[29].time_unix_ns
    elif changed == "command":
        first.command = made[31].command
    elif changed == "nonsense":
        first.command = b"\xff"
    elif changed == "unknown":
        first.command = wire_commands.Command(actor="x").SerializeToString()
    elif changed == "repetition":
        made.insert(31, first)
    else:
        made[30], made[31] = made[31], made[30]
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        journal.append(1, last_seq, wire.JournalBatch(entries=made).SerializeToString())
        with pytest.raises(ReplayMismatchError, match="seq"):
            recover(Engine(), journal.read(0, last_seq))


def test_a_frame_that_holds_no_batch_is_refused(tmp_path: Path) -> None:
    """Its checksum is right, and it is no batch."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        journal.append(1, 1, b"\xff")
        with pytest.raises(ReplayMismatchError, match="the batch of seq 1 is none"):
            recover(Engine(), journal.read(0, 1))


def test_the_sequences_of_a_frame_are_held_against_its_events(tmp_path: Path) -> None:
    """A frame whose last seq is not that of its last event is refused."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        batch = wire.JournalBatch(entries=list(Story(SEED).entries(3)))
        journal.append(1, 4, batch.SerializeToString())
        with pytest.raises(ReplayMismatchError, match="after seq 4 the engine is at 3"):
            recover(Engine(), journal.read(0, 4))


def test_a_snapshot_inside_a_command_is_refused(live: Live) -> None:
    """The rest of a command cannot be carried out without its beginning."""
    engine = as_of(live.folder, live.snapshot_seqs[0])
    engine.venue.seq -= 1
    with FileJournal(live.folder, SEGMENT_BYTES) as journal, pytest.raises(ReplayMismatchError):
        recover(engine, journal.read(0, live.engine.seq))


def test_a_snapshot_holds_its_engine(live: Live) -> None:
    """The engine of a snapshot is the one that made it; without a snapshot it is a new one."""
    assert dump(engine_of(snapshot_of(live.engine))) == dump(live.engine)
    assert engine_of(None).seq == 0


def test_every_changed_byte_of_a_snapshot_is_refused() -> None:
    """Wherever a bit of its content flips, even where nothing would notice: the state hash does."""
    engine = Engine()
    list(Story(SEED, engine).entries(12))
    whole = snapshot_of(engine)
    for place in range(len(whole.content)):
        content = bytearray(whole.content)
        content[place] ^= 1 << place % 8
        with pytest.raises(DamagedSnapshotError, match=f"snapshot of seq {engine.seq}: the content has another hash"):
            engine_of(Snapshot(whole.seq, whole.epoch, whole.state_hash, bytes(content)))


def test_a_snapshot_that_is_none_is_refused(live: Live) -> None:
    """Another version's, another seq's, another state's."""
    whole = snapshot_of(live.engine)
    other = bytearray(whole.content)
    other[1] += 1
    for snapshot, why in (
        (Snapshot(1, 1, whole.state_hash, whole.content), "the state is that of seq"),
        (Snapshot(whole.seq, 1, "0" * 64, whole.content), "another hash"),
        (Snapshot(whole.seq, 1, hashlib.sha256(other).hexdigest(), bytes(other)), "state of version 2"),
        (Snapshot(whole.seq, 1, hashlib.sha256(b"").hexdigest(), b""), "truncated"),
    ):
        with pytest.raises(DamagedSnapshotError, match=re.escape(why)):
            engine_of(snapshot)

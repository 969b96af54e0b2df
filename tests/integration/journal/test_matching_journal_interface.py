"""What holds for a journal and its snapshots, in files as in PostgreSQL: one set of rules, run against both."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from queue import Queue

import pytest

from matching.journal.errors import (
    DamagedJournalError,
    DamagedSnapshotError,
    JournalLockedError,
    NotKeptError,
)
from matching.journal.interface import Journal
from matching.snapshots.form import Snapshot
from matching.snapshots.interface import choose
from tests.integration.journal.keeping import Database, Files, Keeping

BATCHES = {1: b"first", 4: b"second batch", 5: b"", 9: b"a fourth one, somewhat longer", 10: b"x" * 70, 12: b"last"}
"""Payload of each batch by its last seq."""


@pytest.fixture(params=["files", "postgresql"])
def keeping(request: pytest.FixtureRequest, tmp_path: Path) -> Keeping:
    """A place for a new journal, of either kind."""
    if request.param == "files":
        return Files(tmp_path / "journal")
    return Database(request.getfixturevalue("journal_url"))


def write(keeping: Keeping) -> Journal:
    """A journal of six batches, still open."""
    journal = keeping.open()
    for last_seq, payload in BATCHES.items():
        journal.append(journal.last_seq + 1, last_seq, payload)
    return journal


def read(journal: Journal, after_seq: int = 0) -> list[int]:
    """The last seqs of the batches that are read up to the end."""
    return [frame.last_seq for frame in journal.read(after_seq, journal.last_seq)]


def test_what_was_appended_is_read_again(keeping: Keeping) -> None:
    """Batches come back with their sequences, epoch and payload, while the journal is open and afterwards."""
    with write(keeping) as journal:
        assert [(f.last_seq, f.epoch, f.payload) for f in journal.read(0, 12)] == [
            (last_seq, 1, payload) for last_seq, payload in BATCHES.items()
        ]
        assert (journal.first_seq, journal.last_seq, journal.storage_low) == (1, 12, False)
    with keeping.open() as journal:
        assert (journal.first_seq, journal.last_seq, read(journal)) == (1, 12, list(BATCHES))


def test_a_new_journal_is_empty(keeping: Keeping) -> None:
    """Nothing is kept, and the first event will be number 1."""
    with keeping.open() as journal:
        assert (journal.epoch, journal.first_seq, journal.last_seq, read(journal)) == (1, 1, 0, [])
        with pytest.raises(DamagedJournalError, match="seq 1 cannot be read"):
            list(journal.read(0, 1))
        journal.append(1, 2, b"one")
        assert (journal.first_seq, journal.last_seq) == (1, 2)


def test_reading_begins_after_any_seq_and_ends_with_any(keeping: Keeping) -> None:
    """Exactly the batches that hold events after `after_seq`, up to the one that holds `until_seq`."""
    before = {last_seq: max((n for n in BATCHES if n < last_seq), default=0) for last_seq in BATCHES}
    with write(keeping) as journal:
        for after_seq in range(13):
            for until_seq in range(13):
                wanted = [n for n in BATCHES if n > after_seq and before[n] < until_seq and after_seq < until_seq]
                found = [frame.last_seq for frame in journal.read(after_seq, until_seq)]
                assert found == wanted, (after_seq, until_seq)


def test_reading_what_was_never_written_is_an_error(keeping: Keeping) -> None:
    """A reader is never told that a seq does not exist by silence."""
    with write(keeping) as journal, pytest.raises(DamagedJournalError, match="seq 13"):
        list(journal.read(0, 13))


def test_a_large_batch_comes_back(keeping: Keeping) -> None:
    """No batch is too large, and a reader gets it whole."""
    large = bytes(range(256)) * 40_000
    with keeping.open() as journal:
        for seq in range(1, 4):
            journal.append(seq, seq, large)
        assert [frame.payload == large for frame in journal.read(0, 3)] == [True] * 3


def test_a_gap_is_a_bug(keeping: Keeping) -> None:
    """The journal refuses a batch that does not follow the last one, or holds nothing."""
    with write(keeping) as journal:
        for first_seq, last_seq in ((14, 14), (12, 13), (13, 12)):
            with pytest.raises(AssertionError):
                journal.append(first_seq, last_seq, b"")
        journal.append(13, 13, b"goes on")


def test_the_epoch_grows_with_every_opening(keeping: Keeping) -> None:
    """Also when nothing was written, so that an old writer is always told from a new one (invariant I3)."""
    epochs = []
    for _ in range(3):
        with keeping.open() as journal:
            epochs.append(journal.epoch)
            journal.check()
    assert epochs == [1, 2, 3]


def test_a_second_writer_is_refused(keeping: Keeping) -> None:
    """Within the process and from another one; the first goes on, and at its end the next may (invariant I8)."""
    with write(keeping) as journal:
        with pytest.raises(JournalLockedError, match="written by another process"):
            keeping.open()
        told = subprocess.run([sys.executable, "-c", keeping.program], capture_output=True, text=True, check=False)
        assert "JournalLockedError" in told.stderr
        journal.append(13, 13, b"still mine")
        journal.close()
        journal.close()
    with keeping.open() as journal:
        assert (journal.last_seq, journal.epoch) == (13, 2)


def test_a_killed_writer_leaves_everything_and_the_lock(keeping: Keeping) -> None:
    """What it has acknowledged is there for the next, at once (invariant I1)."""
    work = "for seq in range(1, 2000000):\n    journal.append(seq, seq, b'%d' % seq)\n    print(seq, flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", keeping.program + work], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(next(process.stdout)) for _ in range(50)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    journal = _opened_when_free(keeping)
    with journal:
        last_seq = acknowledged[-1]
        assert journal.last_seq in (last_seq, last_seq + 1)
        assert [f.payload for f in journal.read(0, last_seq)] == [b"%d" % seq for seq in range(1, last_seq + 1)]
        assert journal.epoch == 2


def _opened_when_free(keeping: Keeping) -> Journal:
    """A database hears of a killed client a moment later."""
    while True:
        try:
            return keeping.open()
        except JournalLockedError:
            continue


def test_old_batches_are_dropped_but_never_the_newest(keeping: Keeping) -> None:
    """Those whose events are all before the seq; the journal tells what is left."""
    with write(keeping) as journal:
        for seq, first_seq in ((0, 1), (1, 1), (2, 2), (4, 2), (5, 5), (11, 11), (99, 11)):
            journal.drop_before(seq)
            assert journal.first_seq == first_seq, seq
        assert (journal.last_seq, read(journal, 10)) == (12, [12])
        with pytest.raises(NotKeptError, match="seq 10 is not kept"):
            list(journal.read(9, 12))
        journal.append(13, 13, b"goes on")
        assert read(journal, 10) == [12, 13]


def test_a_snapshot_must_stand_for_what_was_dropped(keeping: Keeping) -> None:
    """Opening asks for it, under the lock; an event that neither has is damage, and named."""
    with write(keeping) as journal:
        journal.drop_before(10)
    with pytest.raises(DamagedJournalError, match="the journal begins here, and seq 1 is missing"):
        keeping.open()
    with pytest.raises(DamagedJournalError, match="the journal begins here, and seq 9 is missing"):
        keeping.open(lambda first_seq: first_seq - 2)
    with keeping.open(lambda first_seq: first_seq - 1) as journal:
        assert (journal.first_seq, read(journal, 9)) == (10, [10, 12])
    with pytest.raises(DamagedJournalError, match="ends with seq 12, but a snapshot is of seq 13"):
        keeping.open(lambda _: 13)
    with keeping.open(lambda _: 12) as journal:
        assert read(journal, 12) == []


@pytest.mark.parametrize("first_seq", [1, 2, 5, 6, 10, 11])
def test_a_batch_that_is_missing_is_damage(keeping: Keeping, first_seq: int) -> None:
    """The first, one in between, and the last: nothing is passed over."""
    write(keeping).close()
    keeping.lose(first_seq)
    with pytest.raises(DamagedJournalError), keeping.open():
        pass


@pytest.mark.parametrize("first_seq", [1, 6])
def test_a_batch_that_has_changed_is_damage(keeping: Keeping, first_seq: int) -> None:
    """Before recovery has it: when the journal is opened, or at the latest when it is read."""
    write(keeping).close()
    keeping.change(first_seq)
    with pytest.raises(DamagedJournalError), keeping.open() as journal:
        read(journal)


def test_readers_work_beside_the_writer(keeping: Keeping) -> None:
    """Threads that follow the journal while it grows get every batch once, in order."""

    def follow(journal: Journal, news: Queue[int]) -> list[bytes]:
        seen: list[bytes] = []
        while len(seen) < 200:
            seen += [frame.payload for frame in journal.read(len(seen), news.get())]
        return seen

    queues: list[Queue[int]] = [Queue() for _ in range(3)]
    with keeping.open() as journal, ThreadPoolExecutor(3) as threads:
        following = [threads.submit(follow, journal, news) for news in queues]
        for seq in range(1, 201):
            journal.append(seq, seq, b"%d" % seq)
            for news in queues:
                news.put(seq)
        for one in following:
            assert one.result() == [b"%d" % seq for seq in range(1, 201)]


def snapshot(seq: int, content: bytes = b"the whole state") -> Snapshot:
    """A snapshot of that content."""
    return Snapshot(seq, 3, sha256(content).hexdigest(), content)


def test_a_published_snapshot_is_loaded(keeping: Keeping) -> None:
    """The newest first, each as it was published."""
    store = keeping.snapshots()
    assert list(store.load()) == []
    assert store.publish(snapshot(5)) == 0
    assert store.publish(snapshot(9, b"")) == 5
    assert [one.snapshot for one in keeping.snapshots().load()] == [snapshot(9, b""), snapshot(5)]


def test_the_newest_two_snapshots_are_kept(keeping: Keeping) -> None:
    """Publishing tells from where the journal is needed still; the same seq again replaces its own."""
    store = keeping.snapshots()
    assert [store.publish(snapshot(seq)) for seq in (5, 9, 20)] == [0, 5, 9]
    assert store.publish(snapshot(20, b"again")) == 9
    assert [one.snapshot for one in store.load()] == [snapshot(20, b"again"), snapshot(9)]


def test_a_damaged_snapshot_is_named_and_the_one_before_serves(keeping: Keeping) -> None:
    """As long as the journal goes on from there; otherwise there is no silent start from anything else."""
    store = keeping.snapshots()
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    keeping.change_snapshot(9)
    newest, older = store.load()
    assert newest.snapshot is None
    assert newest.damage.startswith(f"{newest.name}: offset ")
    assert older.snapshot == snapshot(5)
    choice = choose(store, 6)
    assert (choice.seq, list(choice.refused)) == (5, [newest.damage])
    with pytest.raises(DamagedSnapshotError, match="no snapshot helps"):
        choose(store, 7)


def test_the_snapshot_before_is_one_that_can_be_read(keeping: Keeping) -> None:
    """A damaged one goes when the next is published, the readable one before it stays."""
    store = keeping.snapshots()
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    keeping.change_snapshot(9)
    assert store.publish(snapshot(20)) == 5
    assert [one.snapshot for one in store.load()] == [snapshot(20), snapshot(5)]


def test_a_snapshot_that_goes_meanwhile_is_passed_over(keeping: Keeping) -> None:
    """Its publisher has removed it, because a newer one is there."""
    store = keeping.snapshots()
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    found = store.load()
    assert next(found).snapshot == snapshot(9)
    store.publish(snapshot(12))
    assert list(found) == []

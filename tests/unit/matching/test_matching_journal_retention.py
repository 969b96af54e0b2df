"""Old segments go when a snapshot stands for them, and nothing else ever does."""

import shutil
from pathlib import Path

import pytest

from matching.journal.errors import DamagedJournalError, NotKeptError
from matching.journal.file import FileJournal
from matching.journal.frames import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES
from matching.journal.segments import checked, segments_of

SEGMENT_BYTES = 256
FRAME_BYTES = FRAME_HEADER_BYTES + 60
FIRSTS = [1, 3, 5, 7, 9]
"""Each segment holds two batches of one event, but the last holds one."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of nine events in five segments, closed."""
    with FileJournal(tmp_path / "journal", SEGMENT_BYTES) as journal:
        for seq in range(1, 10):
            journal.append(seq, seq, b"%d" % seq * 60)
    assert firsts(tmp_path / "journal") == FIRSTS
    return tmp_path / "journal"


def firsts(folder: Path) -> list[int]:
    """First seq of each segment there is."""
    return [first for first, _ in segments_of(folder)]


def read(journal: FileJournal, after_seq: int) -> list[int]:
    """The seqs that are read up to the last."""
    return [frame.last_seq for frame in journal.read(after_seq, journal.last_seq)]


@pytest.mark.parametrize("seq", range(12))
def test_only_segments_wholly_before_a_seq_are_dropped(folder: Path, seq: int) -> None:
    """A segment goes when the next one begins at or before the seq; the newest stays in any case."""
    kept = [first for first, until in zip(FIRSTS, [*FIRSTS[1:], 99], strict=True) if until > seq]
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        journal.drop_before(seq)
        assert firsts(folder) == kept
        assert (journal.first_seq, journal.last_seq) == (kept[0], 9)
        assert read(journal, kept[0] - 1) == list(range(kept[0], 10))
        journal.append(10, 10, b"goes on")
        assert read(journal, 9) == [10]


def test_an_empty_journal_keeps_nothing_and_drops_nothing(tmp_path: Path) -> None:
    """Its first seq is the one that comes next."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        assert (journal.first_seq, journal.last_seq) == (1, 0)
        journal.drop_before(5)
        assert read(journal, 0) == []
        with pytest.raises(DamagedJournalError, match=r"^no segment: seq 1 cannot be read$"):
            list(journal.read(0, 1))


@pytest.mark.parametrize("after_seq", range(4))
def test_reading_what_was_dropped_is_told_at_once(folder: Path, after_seq: int) -> None:
    """It is no damage: whoever asks takes a snapshot instead."""
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        journal.drop_before(5)
        with pytest.raises(NotKeptError, match=f"seq {after_seq + 1} is not kept any more; the journal begins with 5"):
            journal.read(after_seq, 9)
        assert read(journal, 4) == [5, 6, 7, 8, 9]


def test_a_reader_that_is_overtaken_is_told(folder: Path) -> None:
    """A segment that goes while somebody reads towards it is no damage either."""
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        frames = journal.read(0, 9)
        assert [next(frames).last_seq for _ in range(2)] == [1, 2]
        journal.drop_before(7)
        with pytest.raises(NotKeptError, match="dropped"):
            next(frames)


@pytest.mark.parametrize("covered", range(10))
def test_a_snapshot_stands_for_what_was_dropped(folder: Path, covered: int) -> None:
    """The journal opens where the snapshot reaches its first event; otherwise it says which one is missing."""
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        journal.drop_before(5)
    asked: list[int] = []

    def told(first_seq: int) -> int:
        asked.append(first_seq)
        return covered

    if covered >= 4:
        with FileJournal(folder, SEGMENT_BYTES, told) as journal:
            assert (journal.first_seq, journal.last_seq) == (5, 9)
            assert read(journal, covered) == list(range(covered + 1, 10))
    else:
        missing = f"^{5:020d}.journal: offset 0: the journal begins here, and seq {covered + 1} is missing$"
        with pytest.raises(DamagedJournalError, match=missing):
            FileJournal(folder, SEGMENT_BYTES, told)
    assert asked == [5]


def test_a_snapshot_beyond_the_end_means_that_the_end_is_lost(folder: Path, tmp_path: Path) -> None:
    """A snapshot is made of durable events only: a journal that ends before it has lost some."""
    with pytest.raises(
        DamagedJournalError, match=r"9\.journal: offset \d+: the journal ends with seq 9, but a snapshot"
    ):
        FileJournal(folder, SEGMENT_BYTES, lambda _: 10)
    with pytest.raises(
        DamagedJournalError, match="no segment: the journal ends with seq 0, but a snapshot is of seq 10"
    ):
        FileJournal(tmp_path / "new", SEGMENT_BYTES, lambda _: 10)


def test_of_what_is_covered_only_headers_are_checked(folder: Path, tmp_path: Path) -> None:
    """Opening takes the time of the tail. What was not checked then is checked by whoever reads it."""
    for offset in range(SEGMENT_BYTES):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        path = copy / f"{3:020d}.journal"
        data = bytearray(path.read_bytes())
        data[offset] ^= 1 << offset % 8
        path.write_bytes(data)
        if offset < SEGMENT_HEADER_BYTES:
            with pytest.raises(DamagedJournalError, match=f"^{path.name}: offset 0: not a journal segment$"):
                FileJournal(copy, SEGMENT_BYTES, lambda _: 4)
        else:
            with FileJournal(copy, SEGMENT_BYTES, lambda _: 4) as journal:
                assert read(journal, 4) == [5, 6, 7, 8, 9]
                # Readers do not look at what is behind the last frame.
                assert is_unreadable(journal) or offset >= SEGMENT_HEADER_BYTES + 2 * FRAME_BYTES
        with pytest.raises(DamagedJournalError, match=path.name):
            list(checked(segments_of(copy)))
        shutil.rmtree(copy)


def is_unreadable(journal: FileJournal) -> bool:
    """Whether reading everything ends at damage rather than at the end."""
    try:
        assert read(journal, 0) == list(range(1, 10))
    except DamagedJournalError:
        return True
    return False


def test_a_covered_segment_must_be_what_its_name_says(folder: Path) -> None:
    """Its header is read."""
    (folder / f"{3:020d}.journal").rename(folder / f"{2:020d}.journal")
    with pytest.raises(DamagedJournalError, match=r"2\.journal: offset 0: expected the segment of seq 2$"):
        FileJournal(folder, SEGMENT_BYTES, lambda _: 8)


def test_a_reader_notices_a_segment_that_is_missing(folder: Path) -> None:
    """Also among those that were not checked: nothing is passed over."""
    (folder / f"{3:020d}.journal").unlink()
    with FileJournal(folder, SEGMENT_BYTES, lambda _: 8) as journal:
        with pytest.raises(DamagedJournalError, match=r"1\.journal: offset \d+: seq 3 cannot be read$"):
            read(journal, 0)
        assert read(journal, 6) == [7, 8, 9]


def test_checking_an_open_journal_that_works_says_nothing(folder: Path) -> None:
    """Nobody can take a folder away from the process that holds its lock."""
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        journal.check()

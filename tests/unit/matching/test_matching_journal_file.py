"""The journal in files: what is acknowledged stays, and nothing else is ever taken for it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from matching.journal import segments as journal_segments
from matching.journal.errors import DamagedJournalError, JournalLockedError
from matching.journal.file import FileJournal
from matching.journal.frames import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES
from matching.journal.segments import checked, segments_of

SEGMENT_BYTES = 256
PAYLOADS = {1: b"first", 4: b"second batch", 5: b"", 9: b"a fourth one, somewhat longer", 10: b"x" * 70, 12: b"last"}
"""Payload of each batch by its last seq; the fifth does not fit into the first segment."""


def write(folder: Path) -> FileJournal:
    """A journal of six batches in two segments, still open."""
    journal = FileJournal(folder, SEGMENT_BYTES)
    for last_seq, payload in PAYLOADS.items():
        journal.append(journal.last_seq + 1, last_seq, payload)
    return journal


def read(journal: FileJournal, after_seq: int = 0, until_seq: int | None = None) -> list[int]:
    """The last seqs of the frames that are read."""
    until = journal.last_seq if until_seq is None else until_seq
    return [frame.last_seq for frame in journal.read(after_seq, until)]


@dataclass
class Place:
    """A segment of the six batches: its file and where its frames begin and end, by last seq."""

    name: str
    frames: dict[int, tuple[int, int]]


FIRST, LAST = "00000000000000000001.journal", "00000000000000000010.journal"


def places() -> list[Place]:
    """Where everything stands, counted from the payloads."""
    made = []
    for name, lasts in ((FIRST, (1, 4, 5, 9)), (LAST, (10, 12))):
        begin, frames = SEGMENT_HEADER_BYTES, {}
        for last_seq in lasts:
            end = begin + FRAME_HEADER_BYTES + len(PAYLOADS[last_seq])
            frames[last_seq] = (begin, end)
            begin = end
        made.append(Place(name, frames))
    return made


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The folder of the six batches, closed."""
    with write(tmp_path / "journal"):
        pass
    return tmp_path / "journal"


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The folder of the six batches, as a killed writer leaves it: it has not noted how far it came."""
    with write(tmp_path / "written") as journal:
        shutil.copytree(tmp_path / "written", tmp_path / "killed")
        assert journal.last_seq == 12
    (tmp_path / "killed" / "spare").unlink(missing_ok=True)
    return tmp_path / "killed"


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    """Frames come back with their sequences, epoch and payload, while the journal is open and afterwards."""
    with write(tmp_path) as journal:
        assert [(f.last_seq, f.epoch, f.payload) for f in journal.read(0, 12)] == [
            (last_seq, 1, payload) for last_seq, payload in PAYLOADS.items()
        ]
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        assert (journal.last_seq, read(journal)) == (12, list(PAYLOADS))


def test_segments_are_named_after_their_first_seq_and_preallocated(closed: Path) -> None:
    """A batch that does not fit begins a new segment; each is as long as it was made, zeros at the end."""
    assert [(first, path.name) for first, path in segments_of(closed)] == [(1, FIRST), (10, LAST)]
    assert [path.stat().st_size for _, path in segments_of(closed)] == [SEGMENT_BYTES, SEGMENT_BYTES]
    for place in places():
        data = (closed / place.name).read_bytes()
        assert not data[max(end for _, end in place.frames.values()) :].strip(b"\0")


@pytest.mark.parametrize("after_seq", range(13))
@pytest.mark.parametrize("until_seq", [4, 9, 10, 12])
def test_reading_begins_after_any_seq(closed: Path, after_seq: int, until_seq: int) -> None:
    """Exactly the frames that hold events after `after_seq`, up to the one that holds `until_seq`."""
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        found = read(journal, after_seq, until_seq)
    before = {last_seq: max((n for n in PAYLOADS if n < last_seq), default=0) for last_seq in PAYLOADS}
    wanted = [n for n in PAYLOADS if n > after_seq and before[n] < until_seq and after_seq < until_seq]
    assert found == wanted


def test_reading_what_was_never_written_is_an_error(closed: Path) -> None:
    """A reader is never told that a seq does not exist by silence."""
    with FileJournal(closed, SEGMENT_BYTES) as journal, pytest.raises(DamagedJournalError, match="seq 13"):
        list(journal.read(0, 13))


def test_reading_goes_across_the_pieces_of_a_large_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that begin in one piece and end in a later one are whole."""
    monkeypatch.setattr(journal_segments, "READ_BYTES", 16)
    with write(tmp_path) as journal:
        frames = list(journal.read(0, 12))
    assert [frame.payload for frame in frames] == list(PAYLOADS.values())
    placed = {last_seq: at for place in places() for last_seq, at in place.frames.items()}
    assert {frame.last_seq: (frame.offset, frame.end) for frame in frames} == placed


def test_a_batch_larger_than_a_segment_gets_one_of_its_size(tmp_path: Path) -> None:
    """No batch is too large; what comes after it begins a segment of the ordinary size."""
    large = b"y" * (3 * SEGMENT_BYTES)
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        journal.append(1, 1, b"small")
        journal.append(2, 5, large)
        journal.append(6, 6, b"small")
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        assert [frame.payload for frame in journal.read(0, 6)] == [b"small", large, b"small"]
    assert [first for first, _ in segments_of(tmp_path)] == [1, 2, 6]


def test_another_segment_size_applies_to_new_segments(closed: Path) -> None:
    """Changing the setting needs no migration: the open segment stays as it is."""
    with FileJournal(closed, 4 * SEGMENT_BYTES) as journal:
        journal.append(13, 13, b"z" * 100)
        journal.append(14, 14, b"z" * 100)
    assert [path.stat().st_size for _, path in segments_of(closed)] == [256, 256, 1024]
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        assert journal.last_seq == 14


def test_the_epoch_grows_with_every_opening(tmp_path: Path) -> None:
    """Also when nothing was written, so that an old writer is always told from a new one."""
    epochs = []
    for _ in range(3):
        with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
            epochs.append(journal.epoch)
    assert epochs == [1, 2, 3]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """The lock holds within a process and between processes, and is given back at the end (invariant I8)."""
    program = (
        "import sys; from pathlib import Path; from matching.journal.file import FileJournal\n"
        "from matching.journal.errors import JournalLockedError\n"
        "try:\n    FileJournal(Path(sys.argv[1]), 256)\n"
        "except JournalLockedError as error:\n    print(error)\n"
    )
    with write(tmp_path) as journal:
        with pytest.raises(JournalLockedError, match="written by another process"):
            FileJournal(tmp_path, SEGMENT_BYTES)
        told = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert "written by another process" in told.stdout
        journal.append(13, 13, b"still mine")
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        assert (journal.last_seq, journal.epoch) == (13, 2)


def test_a_gap_is_a_bug(tmp_path: Path) -> None:
    """The journal refuses a batch that does not follow the last one."""
    with write(tmp_path) as journal:
        with pytest.raises(AssertionError, match="no gaps"):
            journal.append(14, 14, b"")
        with pytest.raises(AssertionError, match="has events"):
            journal.append(13, 12, b"")


def damaged(folder: Path) -> tuple[str, int]:
    """The segment and the offset that the refusal to open names."""
    with pytest.raises(DamagedJournalError) as refused:
        FileJournal(folder, SEGMENT_BYTES)
    named = re.match(r"(\S+): offset (\d+): ", str(refused.value))
    assert named, refused.value
    return named[1], int(named[2])


def flipped(folder: Path, name: str, offset: int) -> None:
    """Changes one bit of a segment."""
    with (folder / name).open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << offset % 8]))


def unchanged(folder: Path, before: dict[str, bytes]) -> bool:
    """Whether a refused opening has left the segments alone."""
    return all((folder / name).read_bytes() == data for name, data in before.items())


@pytest.mark.parametrize("place", places(), ids=lambda place: place.name)
def test_no_changed_bit_is_accepted_silently(killed: Path, tmp_path: Path, place: Place) -> None:
    """Every byte of both segments, one after the other, after the writer was killed.

    The last batch of all is taken for a torn one and cut, as are zeros behind
    it that are none; a change anywhere else refuses to start, names where the
    unreadable frame begins, and touches nothing.
    """
    for offset in range(SEGMENT_BYTES):
        folder = tmp_path / "copy"
        shutil.copytree(killed, folder)
        flipped(folder, place.name, offset)
        before = {path.name: path.read_bytes() for _, path in segments_of(folder)}
        hit = [last_seq for last_seq, (begin, end) in place.frames.items() if begin <= offset < end]
        in_tail = offset >= max(end for _, end in place.frames.values())
        if place.name == LAST and (in_tail or hit == [12]):
            with FileJournal(folder, SEGMENT_BYTES) as journal:
                assert read(journal) == [n for n in PAYLOADS if n not in hit], offset
        else:
            begin = place.frames[hit[0]][0] if hit else 0
            begin = max(end for _, end in place.frames.values()) if in_tail else begin
            assert damaged(folder) == (place.name, begin), offset
            assert unchanged(folder, before), offset
        shutil.rmtree(folder)


def test_after_an_orderly_end_the_last_batch_is_no_torn_one(closed: Path, tmp_path: Path) -> None:
    """Whoever closed the journal has noted how far it came: every byte of the last batch is damage when it changes."""
    begin, end = places()[1].frames[12]
    for offset in range(begin, end):
        folder = tmp_path / "copy"
        shutil.copytree(closed, folder)
        flipped(folder, LAST, offset)
        with pytest.raises(DamagedJournalError, match=f"^{LAST}: offset {begin}: unreadable, but seq 12 was durable$"):
            FileJournal(folder, SEGMENT_BYTES)
        shutil.rmtree(folder)


def test_what_was_found_at_an_opening_is_no_torn_batch_afterwards(killed: Path) -> None:
    """The opening notes how far it came, too: what it has accepted cannot be taken back."""
    journal = FileJournal(killed, SEGMENT_BYTES)
    epoch = (killed / "epoch").read_bytes()
    journal.close()
    (killed / "epoch").write_bytes(epoch)
    flipped(killed, LAST, places()[1].frames[12][0])
    assert damaged(killed) == (LAST, places()[1].frames[12][0])


@pytest.mark.parametrize("name", [FIRST, LAST])
def test_no_shortened_segment_is_accepted_silently(closed: Path, tmp_path: Path, name: str) -> None:
    """At every length: segments are preallocated, so a shorter file has lost something, and its end is named."""
    for length in range(SEGMENT_BYTES):
        folder = tmp_path / "copy"
        shutil.copytree(closed, folder)
        os.truncate(folder / name, length)
        assert damaged(folder) == (name, length)
        shutil.rmtree(folder)


@pytest.mark.parametrize("kept", ["beginning", "end"])
def test_a_torn_batch_is_cut_and_the_next_takes_its_place(killed: Path, tmp_path: Path, kept: str) -> None:
    """Whatever part of the last write reached the disk: the batches before stand, and writing goes on there."""
    begin, end = places()[1].frames[12]
    for cut in range(begin + (kept == "end"), end):
        folder = tmp_path / "copy"
        shutil.copytree(killed, folder)
        data = bytearray((folder / LAST).read_bytes())
        lost = slice(cut, end) if kept == "beginning" else slice(begin, cut)
        data[lost] = bytes(lost.stop - lost.start)
        (folder / LAST).write_bytes(data)
        with FileJournal(folder, SEGMENT_BYTES) as journal:
            assert (journal.last_seq, read(journal)) == (10, [1, 4, 5, 9, 10]), cut
            journal.append(11, 11, b"z")
        with FileJournal(folder, SEGMENT_BYTES) as journal:
            assert [(f.last_seq, f.epoch) for f in journal.read(10, 11)] == [(11, 2)], cut
        new_end = begin + FRAME_HEADER_BYTES + 1
        assert not (folder / LAST).read_bytes()[new_end:].strip(b"\0"), cut
        shutil.rmtree(folder)


def test_a_missing_segment_is_damage(closed: Path) -> None:
    """The segment that is there tells which seq is missing."""
    (closed / FIRST).unlink()
    assert damaged(closed) == (LAST, 0)


def test_a_missing_newest_segment_is_damage(killed: Path) -> None:
    """Whoever began it has noted that: nothing else would tell that it is gone, with all its batches."""
    (killed / LAST).unlink()
    assert damaged(killed) == (LAST, 0)


def test_a_journal_without_any_of_its_segments_is_damage(closed: Path) -> None:
    """It is not taken for a new one."""
    for name in (FIRST, LAST):
        (closed / name).unlink()
    assert damaged(closed) == (LAST, 0)


def test_a_file_that_only_looks_like_a_segment_is_damage(closed: Path) -> None:
    """What somebody copied there is not guessed at."""
    (closed / "1 (copy).journal").write_bytes((closed / FIRST).read_bytes())
    with pytest.raises(DamagedJournalError, match=r"^1 \(copy\)\.journal: offset 0: not the name of a segment$"):
        FileJournal(closed, SEGMENT_BYTES)


def test_a_renamed_segment_is_damage(closed: Path) -> None:
    """The name must be what the header says."""
    (closed / LAST).rename(closed / "00000000000000000013.journal")
    assert damaged(closed) == ("00000000000000000013.journal", 0)


def test_a_segment_of_zeros_is_damage(closed: Path) -> None:
    """A segment has its name only when its header is durable."""
    (closed / LAST).write_bytes(bytes(SEGMENT_BYTES))
    assert damaged(closed) == (LAST, 0)


def test_offline_every_segment_is_checked(closed: Path) -> None:
    """Verification needs no lock, changes nothing, and names the same damage."""
    assert [s.last_seq for s in checked(segments_of(closed))] == [9, 12]
    flipped(closed, FIRST, places()[0].frames[4][0])
    with pytest.raises(DamagedJournalError, match=f"^{FIRST}: offset {places()[0].frames[4][0]}: "):
        list(checked(segments_of(closed)))


@pytest.mark.parametrize("last_seq", [1, 4, 5])
def test_a_reader_never_skips_what_it_cannot_read(closed: Path, last_seq: int) -> None:
    """A batch that turns to zeros while the journal is open is named by whoever reads it, not passed over."""
    begin, end = places()[0].frames[last_seq]
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        with (closed / FIRST).open("r+b") as file:
            file.seek(begin)
            file.write(bytes(end - begin))
        found: list[int] = []
        with pytest.raises(DamagedJournalError, match=f"^{FIRST}: offset {begin}: "):
            found.extend(frame.last_seq for frame in journal.read(0, 12))
        assert list(journal.read(9, 12))


def test_a_reader_notices_batches_that_do_not_follow_each_other(closed: Path) -> None:
    """Whole frames in the wrong place are damage to a reader, too."""
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        begin, end = places()[0].frames[4]
        other = places()[0].frames[5][0]
        data = bytearray((closed / FIRST).read_bytes())
        data[other : other + end - begin] = data[begin:end]
        (closed / FIRST).write_bytes(data)
        with pytest.raises(DamagedJournalError, match=f"^{FIRST}: offset {other}: expected seq 5, got 2$"):
            list(journal.read(0, 12))


def test_a_lost_header_does_not_empty_a_segment(closed: Path) -> None:
    """Zeros where the header was, with batches behind: that was acknowledged, so it is damage and stays as it is."""
    data = bytes(SEGMENT_HEADER_BYTES) + (closed / LAST).read_bytes()[SEGMENT_HEADER_BYTES:]
    (closed / LAST).write_bytes(data)
    assert damaged(closed) == (LAST, 0)
    assert (closed / LAST).read_bytes() == data


def test_a_refused_journal_is_not_locked(closed: Path) -> None:
    """After a refusal the folder can be opened again, once it is mended."""
    data = (closed / FIRST).read_bytes()
    flipped(closed, FIRST, 0)
    damaged(closed)
    (closed / FIRST).write_bytes(data)
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        assert journal.last_seq == 12


def test_a_batch_is_on_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One barrier for each batch, after its last byte was written and before `append` returns."""
    seen: list[bytes] = []
    barrier = os.fdatasync

    def watched(fd: int) -> None:
        seen.append(os.pread(fd, SEGMENT_BYTES, 0))
        barrier(fd)

    monkeypatch.setattr(os, "fdatasync", watched)
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        for number in range(1, 4):
            journal.append(number, number, b"batch-%d" % number)
            assert len(seen) == number
            assert seen[-1].rstrip(b"\0").endswith(b"batch-%d" % number)

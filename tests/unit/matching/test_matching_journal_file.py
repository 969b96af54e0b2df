"""The journal in files: what is acknowledged stays, and nothing else is ever taken for it."""

import errno
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from matching.journal import file as journal_file
from matching.journal.file import FileJournal, JournalLockedError, segments_of
from matching.journal.frames import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, DamagedJournalError

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
    monkeypatch.setattr(journal_file, "READ_BYTES", 16)
    with write(tmp_path) as journal:
        assert [frame.payload for frame in journal.read(0, 12)] == list(PAYLOADS.values())


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


def test_the_epoch_grows_beyond_the_frames_when_its_file_is_lost(closed: Path) -> None:
    """The frames carry the epoch too: it cannot fall behind what has been written."""
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        journal.append(13, 13, b"")
    (closed / "epoch").unlink()
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        assert journal.epoch == 3


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """The lock holds within a process and between processes, and is given back at the end (invariant I8)."""
    program = (
        "import sys; from pathlib import Path; from matching.journal.file import FileJournal, JournalLockedError\n"
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
    with write(tmp_path) as journal, pytest.raises(AssertionError, match="no gaps"):
        journal.append(14, 14, b"")


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
def test_no_changed_bit_is_accepted_silently(closed: Path, tmp_path: Path, place: Place) -> None:
    """Every byte of both segments, one after the other.

    The last batch of all is taken for a torn one and cut, as are zeros behind
    it that are none; a change anywhere else refuses to start, names where the
    unreadable frame begins, and touches nothing.
    """
    for offset in range(SEGMENT_BYTES):
        folder = tmp_path / "copy"
        shutil.copytree(closed, folder)
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
def test_a_torn_batch_is_cut_and_the_next_takes_its_place(closed: Path, tmp_path: Path, kept: str) -> None:
    """Whatever part of the last write reached the disk: the batches before stand, and writing goes on there."""
    begin, end = places()[1].frames[12]
    for cut in range(begin + (kept == "end"), end):
        folder = tmp_path / "copy"
        shutil.copytree(closed, folder)
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


def test_a_segment_in_the_making_holds_nothing(closed: Path) -> None:
    """After a crash between the naming of a segment and its header, the journal goes on in it."""
    (closed / LAST).write_bytes(bytes(SEGMENT_BYTES))
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        assert (journal.last_seq, read(journal)) == (9, [1, 4, 5, 9])
        journal.append(10, 11, b"again")
    with FileJournal(closed, SEGMENT_BYTES) as journal:
        assert (journal.last_seq, read(journal)) == (11, [1, 4, 5, 9, 11])


def test_a_segment_in_the_making_must_be_the_next(closed: Path) -> None:
    """Its name tells which seq it is for: another one means that a segment is missing."""
    (closed / LAST).rename(closed / "00000000000000000013.journal")
    (closed / "00000000000000000013.journal").write_bytes(bytes(SEGMENT_BYTES))
    assert damaged(closed) == ("00000000000000000013.journal", 0)


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


def test_nothing_is_acknowledged_when_the_disk_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the barrier comes out of `append`, and the batch does not count as written."""

    def fails(fd: int) -> None:
        raise OSError(errno.EIO, "barrier")

    with write(tmp_path) as journal:
        monkeypatch.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="barrier"):
            journal.append(13, 13, b"lost")
        assert journal.last_seq == 12


def test_a_full_disk_is_an_error_of_the_append_that_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spare segment could not be written: the batch that needs it fails, those before it stand."""
    real = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        if len(data) == SEGMENT_BYTES:
            raise OSError(errno.ENOSPC, "no room")
        return real(fd, data, offset)

    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        journal.append(1, 1, b"a" * 100)
    monkeypatch.setattr(os, "pwrite", full)
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        with pytest.raises(OSError, match="no room"):
            journal.append(2, 2, b"b" * 100)
        assert (journal.last_seq, read(journal)) == (1, [1])

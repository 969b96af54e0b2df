"""The line in `epoch`: no byte of it can change unnoticed, and it is there whenever a segment is."""

from pathlib import Path

import pytest

from matching.journal.errors import DamagedJournalError
from matching.journal.file import FileJournal
from matching.journal.memory import Memory, decode, encode

LINE = encode(Memory(7, 1204, 1000))


def test_the_line_has_the_documented_form() -> None:
    """Epoch, least seq and newest segment, and the CRC32C of the three."""
    numbers, _, crc = LINE.decode().rpartition(" ")
    assert numbers == "7 1204 1000"
    assert len(crc) == len("00000000\n")
    assert decode(LINE) == Memory(7, 1204, 1000)


@pytest.mark.parametrize("offset", range(len(LINE)))
@pytest.mark.parametrize("bit", range(8))
def test_no_changed_bit_is_accepted(offset: int, bit: int) -> None:
    """Nor one that leaves the numbers as they are, such as another kind of space."""
    changed = bytearray(LINE)
    changed[offset] ^= 1 << bit
    with pytest.raises(DamagedJournalError, match=r"^epoch: offset 0: not what was written$"):
        decode(bytes(changed))


@pytest.mark.parametrize("length", range(len(LINE)))
def test_no_shortened_line_is_accepted(length: int) -> None:
    """At every length, none at all among them."""
    with pytest.raises(DamagedJournalError, match="epoch"):
        decode(LINE[:length])


def test_the_folder_remembers_how_far_the_journal_came(tmp_path: Path) -> None:
    """Written down when it is opened, when a segment begins, and when it is closed."""

    def noted() -> Memory:
        return decode((tmp_path / "epoch").read_bytes())

    with FileJournal(tmp_path, 256) as journal:
        assert noted() == Memory(1, 0, 0)
        journal.append(1, 3, b"a" * 100)
        assert noted() == Memory(1, 0, 1)
        journal.append(4, 5, b"b" * 100)
        assert noted() == Memory(1, 3, 4)
    assert noted() == Memory(1, 5, 4)
    with FileJournal(tmp_path, 256):
        assert noted() == Memory(2, 5, 4)


def test_a_journal_that_has_lost_its_memory_is_damaged(tmp_path: Path) -> None:
    """Without it nobody knows which epochs there were, nor what is missing."""
    with FileJournal(tmp_path, 256) as journal:
        journal.append(1, 1, b"a")
    (tmp_path / "epoch").unlink()
    with pytest.raises(DamagedJournalError, match=r"^epoch: offset 0: missing beside 1 segments$"):
        FileJournal(tmp_path, 256)


def test_an_epoch_in_the_frames_counts(tmp_path: Path) -> None:
    """Where an older copy of the line was put back, the epoch still grows beyond every frame."""
    with FileJournal(tmp_path, 256) as journal:
        journal.append(1, 1, b"a")
    older = (tmp_path / "epoch").read_bytes()
    for _ in range(3):
        with FileJournal(tmp_path, 256) as journal:
            journal.append(journal.last_seq + 1, journal.last_seq + 1, b"b")
    (tmp_path / "epoch").write_bytes(older)
    with FileJournal(tmp_path, 256) as journal:
        assert journal.epoch == 5

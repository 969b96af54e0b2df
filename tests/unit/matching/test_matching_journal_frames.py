"""The form of the journal on disk, byte by byte."""

import re

import pytest

from matching.journal.errors import DamagedJournalError
from matching.journal.frames import (
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    SEGMENT_HEADER_BYTES,
    decode_segment_header,
    encode_frame,
    encode_segment_header,
    frame_at,
    frame_crc32c,
    frames_in,
)

FIRST = encode_frame(1, 3, 1, b"one")
SECOND = encode_frame(4, 4, 1, b"")
THIRD = encode_frame(5, 9, 2, b"three")
BYTES = 512


def segment(*frames: bytes, first_seq: int = 1, size: int = BYTES) -> bytes:
    """A segment with these frames and zeros after them."""
    return (encode_segment_header(first_seq, size) + b"".join(frames)).ljust(size, b"\0")


def seqs(data: bytes, after_seq: int = 0) -> list[tuple[int, int, int, bytes]]:
    """What the frames of a segment say."""
    return [(f.first_seq, f.last_seq, f.epoch, f.payload) for f in frames_in(data, "seg", after_seq)]


def test_a_frame_has_the_documented_form() -> None:
    """Magic, length, CRC32C over length, sequences and payload, then sequences, epoch and payload, little-endian."""
    assert FRAME_HEADER_BYTES == 36
    numbers = [(3).to_bytes(4, "little"), FIRST[8:12], *(n.to_bytes(8, "little") for n in (1, 3, 1))]
    assert b"".join((b"OGF1", *numbers, b"one")) == FIRST


def test_the_checksum_is_crc32c() -> None:
    """RFC 3720's polynomial, not zlib's: the well-known value of "123456789" is e3069283."""
    frame = encode_frame(1, 1, 1, b"x")
    covered = frame[4:8] + frame[12:]
    assert int.from_bytes(frame[8:12], "little") == crc32c(covered) == frame_crc32c(1, 1, 1, b"x")
    assert crc32c(b"123456789") == 0xE3069283


def crc32c(data: bytes) -> int:
    """CRC32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_frames_are_read_in_order_up_to_the_zeros() -> None:
    """Every whole frame comes out with its sequences, epoch and payload; an empty payload is one too."""
    data = segment(FIRST, SECOND, THIRD)
    assert seqs(data) == [(1, 3, 1, b"one"), (4, 4, 1, b""), (5, 9, 2, b"three")]
    last = list(frames_in(data, "seg", 0))[-1]
    assert (last.offset, last.end) == (
        SEGMENT_HEADER_BYTES + len(FIRST) + len(SECOND),
        SEGMENT_HEADER_BYTES + len(FIRST) + len(SECOND) + len(THIRD),
    )
    assert frame_at(data[last.offset :], 0, last.offset) == last


@pytest.mark.parametrize("cut", range(len(THIRD)))
def test_a_frame_whose_end_was_not_written_is_a_torn_tail(cut: int) -> None:
    """Whatever prefix of the last frame reached the disk, the frames before it stand and it does not."""
    assert seqs(segment(FIRST, SECOND, THIRD[:cut])) == [(1, 3, 1, b"one"), (4, 4, 1, b"")]


@pytest.mark.parametrize("cut", range(1, len(THIRD)))
def test_a_frame_whose_beginning_was_not_written_is_a_torn_tail(cut: int) -> None:
    """Disks write sectors in any order: a frame of which only the end arrived is torn as well."""
    assert seqs(segment(FIRST, SECOND, bytes(cut) + THIRD[cut:])) == [(1, 3, 1, b"one"), (4, 4, 1, b"")]


@pytest.mark.parametrize("offset", range(len(FIRST) + len(SECOND)))
def test_a_changed_byte_before_a_whole_frame_is_damage(offset: int) -> None:
    """A frame that cannot be read with a whole one behind it was acknowledged: the error names its offset."""
    frames = bytearray(FIRST + SECOND)
    frames[offset] ^= 1 << offset % 8
    begin = SEGMENT_HEADER_BYTES + (0 if offset < len(FIRST) else len(FIRST))
    with pytest.raises(DamagedJournalError, match=f"^seg: offset {begin}: "):
        seqs(segment(bytes(frames), THIRD))


def test_a_frame_that_was_zeroed_is_damage() -> None:
    """Zeros do not end the segment when a whole frame follows them."""
    with pytest.raises(DamagedJournalError, match=f"a whole frame follows at {SEGMENT_HEADER_BYTES + len(FIRST)}"):
        seqs(segment(bytes(len(FIRST)), SECOND))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ((FIRST, THIRD), "expected seq 4, got 5"),
        ((FIRST, FIRST), "expected seq 4, got 1"),
        ((encode_frame(1, 0, 1, b""),), "expected seq 1, got 1"),
        ((encode_frame(2, 2, 1, b""),), "expected seq 1, got 2"),
        ((encode_frame(1, 1, 2, b""), encode_frame(2, 2, 1, b"")), "epoch 1 after epoch 2"),
    ],
)
def test_whole_frames_in_the_wrong_place_are_damage(frames: tuple[bytes, ...], message: str) -> None:
    """Sequences have no gap and do not go back, nor does the epoch (invariant I3)."""
    with pytest.raises(DamagedJournalError, match=message):
        seqs(segment(*frames))


def test_an_epoch_may_not_go_back_between_segments() -> None:
    """The last epoch of the segment before counts too."""
    data = segment(THIRD, first_seq=5)
    assert [frame.epoch for frame in frames_in(data, "seg", 4, 2)] == [2]
    with pytest.raises(DamagedJournalError, match="epoch 2 after epoch 3"):
        list(frames_in(data, "seg", 4, 3))


def test_the_magic_inside_a_payload_is_no_frame() -> None:
    """Looking for frames behind a torn tail is not fooled by the four bytes alone."""
    torn = encode_frame(4, 4, 1, FRAME_MAGIC * 20)[:-1]
    assert seqs(segment(FIRST, torn)) == [(1, 3, 1, b"one")]


def test_a_segment_header_round_trips() -> None:
    """The header tells the first sequence, and the length of the file is what it says."""
    data = segment(first_seq=77)
    assert decode_segment_header(data, len(data), "seg") == 77
    assert decode_segment_header(data[:SEGMENT_HEADER_BYTES], len(data), "seg") == 77


@pytest.mark.parametrize("offset", range(SEGMENT_HEADER_BYTES))
def test_a_changed_byte_in_a_segment_header_is_damage(offset: int) -> None:
    """No byte of it can change unnoticed."""
    data = bytearray(segment())
    data[offset] ^= 1 << offset % 8
    with pytest.raises(DamagedJournalError, match=re.escape("seg: offset 0: not a journal segment")):
        decode_segment_header(bytes(data), BYTES, "seg")


@pytest.mark.parametrize("length", [0, 1, SEGMENT_HEADER_BYTES - 1, SEGMENT_HEADER_BYTES, BYTES - 1, BYTES + 1])
def test_a_segment_of_another_length_is_damage(length: int) -> None:
    """A file that was cut, or grew, is named with the offset at which it ends."""
    data = segment(FIRST).ljust(BYTES + 1, b"\0")[:length]
    with pytest.raises(DamagedJournalError, match=f"^seg: offset {length}: "):
        decode_segment_header(data, length, "seg")


def test_a_frame_that_claims_more_than_there_is_is_none() -> None:
    """A length beyond the end of the data gives no frame instead of reading further."""
    assert frame_at(FIRST[:-1], 0) is None
    assert frame_at(FIRST, 1) is None

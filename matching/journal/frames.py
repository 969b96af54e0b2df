"""The form of the journal on disk, and the judgement of what is found there. Pure.

A segment is a header and then frames; after the last frame come zeros, because
segments are preallocated: the header says how long the file was made. A frame
is one batch that one barrier made durable:

    magic 8 | first seq 8 | segment bytes 8 | CRC32C 4
    magic 4 | payload length 4 | CRC32C 4 | first seq 8 | last seq 8 | epoch 8 | payload

all little-endian; the CRC of a header covers what is before it, that of a frame
everything after itself and the length. A frame that is not whole, with nothing
valid behind it, is a torn tail: it was never acknowledged. Anything else that
is not whole, a file of another length among it, is damage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from matching.journal.errors import DamagedJournalError

SEGMENT_MAGIC = b"OGSEGM02"
FRAME_MAGIC = b"OGF1"
_SEGMENT = struct.Struct("<8sQQ")
_CRC = struct.Struct("<I")
_FRAME = struct.Struct("<4sII")
_SEQS = struct.Struct("<QQQ")
SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
FRAME_HEADER_BYTES = _FRAME.size + _SEQS.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One durable batch."""

    first_seq: int
    last_seq: int
    epoch: int
    payload: bytes
    offset: int = 0
    """Where the frame begins in its segment."""

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + FRAME_HEADER_BYTES + len(self.payload)


def encode_segment_header(first_seq: int, segment_bytes: int) -> bytes:
    """The first bytes of the segment whose first event is `first_seq` and whose file has `segment_bytes`."""
    head = _SEGMENT.pack(SEGMENT_MAGIC, first_seq, segment_bytes)
    return head + _CRC.pack(google_crc32c.value(head))


def decode_segment_header(data: bytes, file_bytes: int, name: str) -> int:
    """The first sequence of a segment.

    Args:
        data: the segment, its header at least.
        file_bytes: length of the file.
        name: how errors call it.

    Raises:
        DamagedJournalError: this is not a segment, or not all of it.
    """
    if file_bytes < SEGMENT_HEADER_BYTES:
        raise DamagedJournalError(f"{name}: offset {file_bytes}: the segment ends within its header")
    magic, first_seq, segment_bytes = _SEGMENT.unpack_from(data)
    if magic != SEGMENT_MAGIC or _CRC.unpack_from(data, _SEGMENT.size)[0] != google_crc32c.value(data[: _SEGMENT.size]):
        raise DamagedJournalError(f"{name}: offset 0: not a journal segment")
    if file_bytes != segment_bytes:
        raise DamagedJournalError(f"{name}: offset {file_bytes}: the segment was made with {segment_bytes} bytes")
    return int(first_seq)


def frame_crc32c(first_seq: int, last_seq: int, epoch: int, payload: bytes) -> int:
    """The checksum of a batch: over its length, sequences, epoch and payload."""
    head = len(payload).to_bytes(4, "little") + _SEQS.pack(first_seq, last_seq, epoch)
    return int(google_crc32c.extend(google_crc32c.value(head), payload))


def encode_frame(first_seq: int, last_seq: int, epoch: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    length = len(payload).to_bytes(4, "little")
    seqs = _SEQS.pack(first_seq, last_seq, epoch)
    crc = google_crc32c.extend(google_crc32c.value(length + seqs), payload)
    return b"".join((FRAME_MAGIC, length, crc.to_bytes(4, "little"), seqs, payload))


def frame_at(data: bytes, offset: int, data_begin: int = 0) -> Frame | None:
    """The whole frame at `offset` of `data`, which begins at `data_begin` of its segment, or None."""
    if data[offset : offset + 4] != FRAME_MAGIC or offset + FRAME_HEADER_BYTES > len(data):
        return None
    _, length, crc = _FRAME.unpack_from(data, offset)
    begin = offset + FRAME_HEADER_BYTES
    if begin + length > len(data):
        return None
    payload = data[begin : begin + length]
    seqs = data[offset + _FRAME.size : begin]
    if google_crc32c.extend(google_crc32c.value(data[offset + 4 : offset + 8] + seqs), payload) != crc:
        return None
    first_seq, last_seq, epoch = _SEQS.unpack(seqs)
    return Frame(first_seq, last_seq, epoch, payload, data_begin + offset)


def frames_in(data: bytes, name: str, after_seq: int, epoch: int = 0) -> Iterator[Frame]:
    """The frames of a segment, in order; stops at its end or at a torn tail.

    Args:
        data: the whole segment.
        name: how errors call it.
        after_seq: the last sequence before this segment; a gap is damage.
        epoch: the last epoch before this segment; a smaller one is damage.

    Raises:
        DamagedJournalError: with the offset of what cannot be read.
    """
    offset = SEGMENT_HEADER_BYTES
    while (frame := frame_at(data, offset)) is not None:
        if frame.first_seq != after_seq + 1 or frame.last_seq < frame.first_seq:
            raise DamagedJournalError(f"{name}: offset {offset}: expected seq {after_seq + 1}, got {frame.first_seq}")
        if frame.epoch < epoch:
            raise DamagedJournalError(f"{name}: offset {offset}: epoch {frame.epoch} after epoch {epoch}")
        yield frame
        after_seq, epoch, offset = frame.last_seq, frame.epoch, frame.end
    behind = _valid_frame_after(data, offset)
    if behind is not None:
        raise DamagedJournalError(f"{name}: offset {offset}: unreadable, but a whole frame follows at {behind}")


def _valid_frame_after(data: bytes, offset: int) -> int | None:
    """The offset of a whole frame somewhere behind `offset`."""
    found = data.find(FRAME_MAGIC, offset + 1)
    while found >= 0:
        if frame_at(data, found) is not None:
            return found
        found = data.find(FRAME_MAGIC, found + 1)
    return None

"""The form of a snapshot, and the judgement of what is found in its place. Pure.

    magic 8 | CRC32C 4 | seq 8 | epoch 8 | state hash 32 | content length 8 | content

all little-endian; the CRC covers everything after itself. What the content
means is the business of whoever made it, who also compares the state hash once
the content is a state again.
"""

import struct
from dataclasses import dataclass

import google_crc32c

from matching.journal.errors import DamagedSnapshotError

MAGIC = b"OGSNAP01"
_PREFIX = struct.Struct("<8sI")
_HEADER = struct.Struct("<QQ32sQ")
HEADER_BYTES = _PREFIX.size + _HEADER.size


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the venue after an event that was the last of its batch, and is durable."""

    seq: int
    epoch: int
    """Of the process that made it."""
    state_hash: str
    """SHA-256 of the state, hexadecimal."""
    content: bytes


def encode_header(snapshot: Snapshot) -> bytes:
    """What stands before the content.

    Raises:
        ValueError: the state hash is none.
    """
    state_hash = bytes.fromhex(snapshot.state_hash)
    if len(state_hash) != 32:
        raise ValueError("a state hash has 64 hexadecimal digits")
    header = _HEADER.pack(snapshot.seq, snapshot.epoch, state_hash, len(snapshot.content))
    crc = google_crc32c.extend(google_crc32c.value(header), snapshot.content)
    return _PREFIX.pack(MAGIC, crc) + header


def decode(data: bytes, name: str, seq: int) -> Snapshot:
    """The snapshot that was published.

    Args:
        data: everything that was found.
        name: how errors call it.
        seq: the sequence that it was found under.

    Raises:
        DamagedSnapshotError: it is another one, or not all of it, or changed; names the offset where that shows.
    """
    if len(data) < HEADER_BYTES:
        raise DamagedSnapshotError(f"{name}: offset {len(data)}: the snapshot ends within its header")
    magic, crc = _PREFIX.unpack_from(data)
    header = data[_PREFIX.size : HEADER_BYTES]
    content = data[HEADER_BYTES:]
    found_seq, epoch, state_hash, content_bytes = _HEADER.unpack(header)
    if magic != MAGIC:
        raise DamagedSnapshotError(f"{name}: offset 0: not a snapshot")
    if len(content) != content_bytes:
        raise DamagedSnapshotError(f"{name}: offset {len(data)}: its content has {content_bytes} bytes")
    if google_crc32c.extend(google_crc32c.value(header), content) != crc:
        raise DamagedSnapshotError(f"{name}: offset {_PREFIX.size}: not what was published")
    if found_seq != seq:
        raise DamagedSnapshotError(f"{name}: offset {_PREFIX.size}: the snapshot of seq {found_seq}")
    return Snapshot(found_seq, epoch, state_hash.hex(), content)

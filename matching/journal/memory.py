"""What a journal folder remembers outside its segments: one line in the file `epoch`.

    epoch | least seq | newest segment | CRC32C, hexadecimal

A torn tail and a damaged last batch look alike, and a segment that is gone
leaves no trace in the others. So whenever the journal is opened, begins a
segment or is closed, it writes down how far it has come: what is missing
before that is damage.
"""

from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from matching.journal.disk import Disk, read_whole, write_new
from matching.journal.errors import DamagedJournalError

NAME = "epoch"


@dataclass(frozen=True, slots=True)
class Memory:
    """How far a journal has come."""

    epoch: int = 0
    """Of the last one who opened it."""
    least_seq: int = 0
    """Events up to here are durable, maybe more."""
    newest_seq: int = 0
    """First seq of the newest segment; 0 when there is none."""


def encode(memory: Memory) -> bytes:
    """The line."""
    text = f"{memory.epoch} {memory.least_seq} {memory.newest_seq}".encode()
    return b"%s %08x\n" % (text, google_crc32c.value(text))


def decode(data: bytes) -> Memory:
    """What a line says.

    Raises:
        DamagedJournalError: it is not as it was written.
    """
    try:
        memory = Memory(*map(int, data.split()[:3]))
    except ValueError:
        memory = Memory()
    if encode(memory) != data:
        raise DamagedJournalError(f"{NAME}: offset 0: not what was written")
    return memory


def recall(disk: Disk, folder: Path) -> Memory | None:
    """What the folder remembers, None when nothing was ever written down.

    Raises:
        DamagedJournalError: it cannot be read.
    """
    path = folder / NAME
    return decode(read_whole(disk, path)) if disk.exists(path) else None


def prepare(disk: Disk, folder: Path, memory: Memory) -> None:
    """Writes a memory beside the present one, so that `remember` needs no more room.

    Raises:
        StorageFullError: no room; the present one stands.
        OSError: it could not be written.
    """
    write_new(disk, folder / f"{NAME}.new", encode(memory))


def remember(disk: Disk, folder: Path) -> None:
    """Puts what was prepared in the place of the present memory, durably."""
    disk.rename(folder / f"{NAME}.new", folder / NAME)
    disk.fsync_folder(folder)

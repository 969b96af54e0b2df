"""The journal in files: one writer, preallocated segments, one barrier for a batch.

The folder holds `lock`, `epoch`, `spare` and the segments, each named after its
first sequence; a segment has its name only when its header is durable. Whoever
opens the journal holds the lock and has an epoch of its own, larger than all
before it. An error of a write or a barrier is final: after a failed fsync
nobody knows what is on disk, so the process must end and recover.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from matching.journal import memory
from matching.journal.disk import FULL, SYSTEM_DISK, Disk, full_is_named, make_folder, write_at, write_zeros
from matching.journal.errors import DamagedJournalError, JournalLockedError, StorageFullError
from matching.journal.frames import (
    SEGMENT_HEADER_BYTES,
    Frame,
    encode_frame,
)
from matching.journal.interface import Covered, from_the_beginning
from matching.journal.memory import Memory
from matching.journal.segments import Segment, checked, read, segment_path, segments_of
from matching.journal.spare import Spare

__all__ = ["FileJournal", "checked", "segments_of"]


class FileJournal:
    """A journal folder, opened for writing; see `Journal`."""

    def __init__(
        self,
        folder: Path,
        segment_bytes: int,
        covered: Covered = from_the_beginning,
        *,
        disk: Disk = SYSTEM_DISK,
        spare_beside: bool = True,
    ) -> None:
        """Opens the journal, cuts off a torn tail, and raises the epoch.

        Every frame after what is covered is checked; of segments before it
        only the headers are, and the frames when they are read.

        Args:
            folder: made when it does not exist.
            segment_bytes: size of new segments.
            covered: tells up to which seq a snapshot stands for the journal.
            disk: where the folder is.
            spare_beside: whether a thread makes the next segment in advance.

        Raises:
            JournalLockedError: another process has it open.
            DamagedJournalError: something that was acknowledged cannot be read.
            StorageFullError: no room to write the new epoch down.
            OSError: the folder cannot be used.
        """
        make_folder(disk, folder)
        self._disk = disk
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = _locked(disk, folder)
        self._dropping = Lock()
        self._segments: list[tuple[int, Path]] = []
        self._fd = -1
        self._offset = 0
        self._size = 0
        self._failed: OSError | None = None
        self._spare: Spare | None = None
        self.last_seq = 0
        self.epoch = 0
        try:
            epoch = self._find_end(covered) + 1
            self._spare = Spare(disk, folder / "spare", segment_bytes, beside=spare_beside)
            self._note(epoch)
        except BaseException:
            self.close()
            raise
        self.epoch = epoch
        self._spare.prepare()

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    @property
    def first_seq(self) -> int:
        """The oldest event that is kept; `last_seq + 1` when there is none."""
        return self._segments[0][0] if self._segments else self.last_seq + 1

    @property
    def storage_low(self) -> bool:
        """Whether there was no room for the next segment: what is left of the present one is all there is."""
        return self._spare is not None and self._spare.is_missing

    def append(self, first_seq: int, last_seq: int, payload: bytes) -> None:
        """Makes a batch durable: when this returns, it is on disk.

        Raises:
            StorageFullError: there was no room for a new segment; nothing happened.
            OSError: the write or the barrier failed; the journal must not be used any more.
        """
        assert first_seq == self.last_seq + 1, "the journal has no gaps"
        assert last_seq >= first_seq, "a batch has events"
        if self._failed is not None:
            raise self._failed
        frame = encode_frame(first_seq, last_seq, self.epoch, payload)
        try:
            if self._offset + len(frame) > self._size:
                self._rotate(first_seq, len(frame))
            self._write(frame)
            self._disk.fdatasync(self._fd)
        except OSError as error:
            self._failed = error
            raise
        self._offset += len(frame)
        self.last_seq = last_seq

    def read(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """The frames that hold events after `after_seq`, up to the one that holds `until_seq`.

        Safe beside `append` and `drop_before` as long as `until_seq` is durable.

        Raises:
            NotKeptError: the event after `after_seq` has been dropped.
            DamagedJournalError: a frame cannot be read.
        """
        return read(self._segments, after_seq, until_seq, self._disk)

    def drop_before(self, seq: int) -> None:
        """Removes the segments whose events are all before `seq`, but never the newest.

        The oldest goes first and durably, so that a crash leaves no gap.

        Raises:
            OSError: a segment could not be removed; it and those after it are kept.
        """
        with self._dropping:
            while len(self._segments) > 1 and self._segments[1][0] <= seq:
                self._disk.unlink(self._segments[0][1])
                self._segments = self._segments[1:]
                self._disk.fsync_folder(self._folder)

    def check(self) -> None:
        """Nobody can take a folder from a process that holds its lock.

        Raises:
            OSError: an append has failed before.
        """
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Notes how far the journal has come, closes the files and gives the lock back."""
        if self._spare is not None:
            self._spare.close()
        if self.epoch and self._failed is None and self._lock >= 0:
            # It sharpens the next opening's eye for damage; without it nothing is lost.
            with suppress(OSError, StorageFullError):
                self._note(self.epoch)
        for fd in (self._fd, self._lock):
            if fd >= 0:
                self._disk.close(fd)
        self._fd = self._lock = -1

    def _find_end(self, covered: Covered) -> int:
        """Checks what is there, and makes it durable; gives the last epoch."""
        self._segments = segments_of(self._folder, self._disk)
        remembered = memory.recall(self._disk, self._folder)
        if remembered is None and self._segments:
            raise DamagedJournalError(f"{memory.NAME}: offset 0: missing beside {len(self._segments)} segments")
        remembered = remembered or Memory()
        epoch, newest = remembered.epoch, None
        for newest in checked(self._segments, covered(self.first_seq), self._disk):
            epoch = max(epoch, newest.frames[-1].epoch if newest.frames else 0)
        if newest is None or newest.first_seq < remembered.newest_seq:
            if remembered.newest_seq:
                name = segment_path(self._folder, remembered.newest_seq).name
                raise DamagedJournalError(f"{name}: offset 0: missing")
            return epoch
        if newest.last_seq < remembered.least_seq:
            where = f"{newest.path.name}: offset {newest.end}"
            raise DamagedJournalError(f"{where}: unreadable, but seq {remembered.least_seq} was durable")
        self._settle(newest)
        return epoch

    def _settle(self, newest: Segment) -> None:
        """Makes durable what was found in the newest segment, and puts zeros where a batch was torn.

        The process before may have ended before its last barrier, or because
        of it; and a page that could not be written looks as if it had been. So
        the last frame is written once more. The folder comes before the new
        epoch's line, which says that the segment is there.
        """
        fd = self._fd = self._disk.open(newest.path, os.O_RDWR)
        self._size = self._disk.size(fd)
        self._offset = newest.end
        self.last_seq = newest.last_seq
        for frame in newest.frames[-1:]:
            data = encode_frame(frame.first_seq, frame.last_seq, frame.epoch, frame.payload)
            write_at(self._disk, fd, data, frame.offset)
        write_zeros(self._disk, fd, newest.end, newest.used_bytes)
        self._disk.fsync(fd)
        self._disk.fsync_folder(self._folder)

    def _write(self, frame: bytes) -> None:
        """Writes a frame. A file system that copies on write may find no room even here."""
        written = 0
        try:
            while written < len(frame):
                written += self._disk.pwrite(self._fd, frame[written:], self._offset + written)
        except OSError as error:
            if error.errno not in FULL:
                raise
            write_zeros(self._disk, self._fd, self._offset, self._offset + written)
            raise StorageFullError(f"{self._folder}: {error.strerror}") from error

    def _rotate(self, first_seq: int, frame_bytes: int) -> None:
        """Begins a new segment, large enough for the frame at hand; whatever needs room comes before its name."""
        assert self._spare is not None, "open"
        path = segment_path(self._folder, first_seq)
        fd = self._spare.take(first_seq, SEGMENT_HEADER_BYTES + frame_bytes)
        memory.prepare(self._disk, self._folder, Memory(self.epoch, self.last_seq, first_seq))
        with full_is_named(path):
            self._disk.rename(self._spare.path, path)
        if self._fd >= 0:
            self._disk.close(self._fd)
        self._fd, self._size, self._offset = fd, self._spare.made_bytes, SEGMENT_HEADER_BYTES
        self._spare.given()
        self._disk.fsync_folder(self._folder)
        memory.remember(self._disk, self._folder)
        with self._dropping:
            self._segments = [*self._segments, (first_seq, path)]
        self._spare.prepare()

    def _note(self, epoch: int) -> None:
        """Writes down how far the journal has come."""
        newest_seq = self._segments[-1][0] if self._segments else 0
        memory.prepare(self._disk, self._folder, Memory(epoch, self.last_seq, newest_seq))
        memory.remember(self._disk, self._folder)


def _locked(disk: Disk, folder: Path) -> int:
    try:
        return disk.lock(folder / "lock")
    except BlockingIOError:
        raise JournalLockedError(f"{folder} is written by another process") from None

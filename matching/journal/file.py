"""The journal in files: one writer, preallocated segments, one barrier for a batch.

The folder holds `lock`, `epoch` and the segments, each named after its first
sequence. Whoever opens the journal holds the lock and has an epoch of its own,
larger than all before it. An error of a write or a barrier is final: after a
failed fsync nobody knows what is on disk, so the process must end and recover.
"""

import fcntl
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

from matching.journal.frames import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    DamagedJournalError,
    Frame,
    decode_segment_header,
    encode_frame,
    encode_segment_header,
    frame_at,
    frames_in,
    tail_is_clean,
)

SUFFIX = ".journal"
READ_BYTES = 1024 * 1024


class JournalLockedError(RuntimeError):
    """Another process writes this journal."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that has been checked."""

    path: Path
    first_seq: int
    frames: list[Frame]
    end: int
    """Offset after the last frame; 0 while not even the header has been written."""
    clean: bool
    """Whether only zeros follow; if not, a torn tail does."""


class FileJournal:
    """A journal folder, opened for writing."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        """Opens the journal, cuts off a torn tail, and raises the epoch.

        Args:
            folder: made when it does not exist.
            segment_bytes: size of new segments.

        Raises:
            JournalLockedError: another process has it open.
            DamagedJournalError: something that was acknowledged cannot be read.
            OSError: the folder cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = _locked(folder / "lock")
        self._segments = segments_of(folder)
        self._firsts = [first for first, _ in self._segments]
        self.last_seq = 0
        self._fd = -1
        self._offset = 0
        self._size = 0
        self._spare = _Spare(folder / "spare", segment_bytes)
        try:
            last_epoch = self._check()
            self.epoch = _raise_epoch(folder, last_epoch)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def append(self, first_seq: int, last_seq: int, payload: bytes) -> None:
        """Makes a batch durable: when this returns, it is on disk.

        Raises:
            OSError: the write or the barrier failed; the journal must not be used any more.
        """
        assert first_seq == self.last_seq + 1, "the journal has no gaps"
        frame = encode_frame(first_seq, last_seq, self.epoch, payload)
        if self._fd < 0 or self._offset + len(frame) > self._size:
            self._rotate(first_seq, len(frame))
        written = 0
        while written < len(frame):
            written += os.pwrite(self._fd, frame[written:], self._offset + written)
        os.fdatasync(self._fd)
        self._offset += len(frame)
        self.last_seq = last_seq

    def read(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """The frames that hold events after `after_seq`, up to the one that holds `until_seq`.

        Safe beside `append` as long as `until_seq` is durable.

        Raises:
            DamagedJournalError: a frame cannot be read.
        """
        return read(self._segments, self._firsts, after_seq, until_seq)

    def close(self) -> None:
        """Closes the files and gives the lock back."""
        self._spare.join()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check(self) -> int:
        """Reads every frame, finds the end, mends a torn tail; gives the last epoch."""
        epoch = 0
        segment = None
        for segment in checked(self._segments):
            for frame in segment.frames:
                self.last_seq, epoch = frame.last_seq, frame.epoch
        if segment is not None:
            self._continue(segment)
        return epoch

    def _continue(self, segment: Segment) -> None:
        self._fd = os.open(segment.path, os.O_RDWR)
        self._size = os.fstat(self._fd).st_size
        self._offset = segment.end
        if not segment.end:
            self._begin(segment.first_seq, self._size)
        elif not segment.clean:
            _write_zeros(self._fd, segment.end, self._size)
            os.fsync(self._fd)
        self._spare.prepare()

    def _rotate(self, first_seq: int, frame_bytes: int) -> None:
        """Begins a new segment, large enough for the frame at hand."""
        path = self._folder / f"{first_seq:020d}{SUFFIX}"
        self._spare.take().rename(path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = os.open(path, os.O_RDWR)
        self._begin(first_seq, SEGMENT_HEADER_BYTES + frame_bytes)
        _sync_folder(self._folder)
        self._segments.append((first_seq, path))
        self._firsts.append(first_seq)
        self._spare.prepare()

    def _begin(self, first_seq: int, bytes_min: int) -> None:
        """Writes the header of the open segment. It tells the file's size, so that must be durable before it."""
        self._size = max(self._segment_bytes, bytes_min)
        made_bytes = os.fstat(self._fd).st_size
        if made_bytes < self._size:
            _write_zeros(self._fd, made_bytes, self._size)
            os.fsync(self._fd)
        os.pwrite(self._fd, encode_segment_header(first_seq, self._size), 0)
        os.fsync(self._fd)
        self._offset = SEGMENT_HEADER_BYTES


class _Spare:
    """The next segment, written full of zeros before it is needed.

    Blocks that have been written make the barrier about a third shorter than
    blocks that are only allocated, and filling 64 MiB takes too long to do it
    while orders wait.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._maker: Thread | None = None
        self._error: OSError | None = None

    def prepare(self) -> None:
        """Begins to write it, beside everything else."""
        self._maker = Thread(target=self._make, name="journal-spare", daemon=True)
        self._maker.start()

    def take(self) -> Path:
        """The finished file; writes it now when nobody has prepared it.

        Raises:
            OSError: it could not be written.
        """
        if self._maker is None:
            self._make()
        self.join()
        if self._error is not None:
            raise self._error
        return self._path

    def join(self) -> None:
        """Waits for the writing to end."""
        if self._maker is not None:
            self._maker.join()
            self._maker = None

    def _make(self) -> None:
        self._error = None
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write_zeros(fd, 0, self._size)
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self._error = error


def _write_zeros(fd: int, begin: int, end: int) -> None:
    zeros = bytes(READ_BYTES)
    while begin < end:
        begin += os.pwrite(fd, zeros[: end - begin], begin)


def segments_of(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a journal folder with their first sequences, in order."""
    return sorted((int(path.stem), path) for path in folder.glob(f"*{SUFFIX}"))


def checked(segments: list[tuple[int, Path]]) -> Iterator[Segment]:
    """Every segment of a journal with all its frames, in order.

    Raises:
        DamagedJournalError: something that was acknowledged cannot be read; names the segment and the offset.
    """
    last_seq = epoch = 0
    for number, (first_seq, path) in enumerate(segments):
        data = path.read_bytes()
        is_last = number == len(segments) - 1
        # The machine may stop before the header is written: nothing is in it then. The file is
        # not empty, because a spare is on disk in full before it gets its name.
        is_bare = is_last and bool(data) and tail_is_clean(data, 0)
        if first_seq != last_seq + 1 or not (is_bare or decode_segment_header(data, path.name) == first_seq):
            raise DamagedJournalError(f"{path.name}: offset 0: expected the segment of seq {last_seq + 1}")
        if is_bare:
            yield Segment(path, first_seq, [], 0, clean=True)
            return
        frames = list(frames_in(data, path.name, last_seq, epoch))
        end = frames[-1].end if frames else SEGMENT_HEADER_BYTES
        segment = Segment(path, first_seq, frames, end, clean=tail_is_clean(data, end))
        if not is_last and not segment.clean:
            raise DamagedJournalError(f"{path.name}: offset {end}: unreadable, and a later segment exists")
        last_seq, epoch = (frames[-1].last_seq, frames[-1].epoch) if frames else (last_seq, epoch)
        yield segment


def read(segments: list[tuple[int, Path]], firsts: list[int], after_seq: int, until_seq: int) -> Iterator[Frame]:
    """The frames of segments that hold events after `after_seq`, up to `until_seq`.

    Raises:
        DamagedJournalError: a frame cannot be read.
    """
    number = max(0, bisect_right(firsts, after_seq + 1) - 1)
    while after_seq < until_seq and number < len(segments):
        _, path = segments[number]
        for frame in _frames_of(path):
            if frame.last_seq > after_seq:
                yield frame
                after_seq = frame.last_seq
            if after_seq >= until_seq:
                return
        number += 1
    if after_seq < until_seq:
        raise DamagedJournalError(f"seq {after_seq + 1} cannot be read")


def _frames_of(path: Path) -> Iterator[Frame]:
    """The whole frames of a segment, read piece by piece."""
    with path.open("rb") as file:
        file.seek(SEGMENT_HEADER_BYTES)
        data, offset = b"", 0
        while True:
            frame = frame_at(data, offset)
            if frame is None:
                more = file.read(READ_BYTES)
                if not more:
                    return
                if _is_end(data, offset):
                    return
                data, offset = data[offset:] + more, 0
                continue
            yield frame
            offset = frame.end


def _is_end(data: bytes, offset: int) -> bool:
    """Whether the frames end here: a whole header's worth of zeros."""
    head = data[offset : offset + FRAME_HEADER_BYTES]
    return len(head) == FRAME_HEADER_BYTES and not head.strip(b"\0")


def _locked(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise JournalLockedError(f"{path.parent} is written by another process") from None
    return fd


def _raise_epoch(folder: Path, epoch_in_frames: int) -> int:
    """Writes and gives an epoch above every one before it."""
    path = folder / "epoch"
    before = int(path.read_text()) if path.exists() else 0
    epoch = max(before, epoch_in_frames) + 1
    temporary = folder / "epoch.new"
    with temporary.open("w") as file:
        file.write(f"{epoch}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    _sync_folder(folder)
    return epoch


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

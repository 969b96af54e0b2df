"""The segments of a journal folder: which there are, whether they are whole, and what is in them.

Nothing here writes. Opening a journal, reading it beside its writer, and
verifying it offline go through these functions.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matching.journal.disk import SYSTEM_DISK, Disk, read_whole
from matching.journal.errors import DamagedJournalError, NotKeptError
from matching.journal.frames import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Frame,
    decode_segment_header,
    frame_at,
    frames_in,
)

SUFFIX = ".journal"
READ_BYTES = 1024 * 1024
NAMED = re.compile(rf"\d{{20}}{re.escape(SUFFIX)}")
Segments = Sequence[tuple[int, Path]]
"""First sequence and file of each segment, in order."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that has been checked."""

    path: Path
    first_seq: int
    frames: list[Frame]
    used_bytes: int
    """Nothing but zeros comes after that."""

    @property
    def end(self) -> int:
        """Offset after the last frame."""
        return self.frames[-1].end if self.frames else SEGMENT_HEADER_BYTES

    @property
    def last_seq(self) -> int:
        """Last sequence in it; the one before the first when it holds nothing."""
        return self.frames[-1].last_seq if self.frames else self.first_seq - 1

    @property
    def clean(self) -> bool:
        """Whether only zeros follow the last frame; if not, a torn tail does."""
        return self.used_bytes <= self.end


def segment_path(folder: Path, first_seq: int) -> Path:
    """Where the segment that begins with `first_seq` is."""
    return folder / f"{first_seq:020d}{SUFFIX}"


def segments_of(folder: Path, disk: Disk = SYSTEM_DISK) -> list[tuple[int, Path]]:
    """The segments of a journal folder with their first sequences, in order.

    Raises:
        DamagedJournalError: a file has the name of none.
    """
    names = sorted(name for name in disk.listdir(folder) if name.endswith(SUFFIX))
    for name in names:
        if NAMED.fullmatch(name) is None:
            raise DamagedJournalError(f"{name}: offset 0: not the name of a segment")
    return [(int(name.removesuffix(SUFFIX)), folder / name) for name in names]


def checked(segments: Segments, after_seq: int = 0, disk: Disk = SYSTEM_DISK) -> Iterator[Segment]:
    """The segments with events after `after_seq`, with all their frames, in order; of those before only the headers.

    Raises:
        DamagedJournalError: something that was acknowledged cannot be read; names the segment and the offset.
    """
    begin = _segment_with(segments, after_seq + 1)
    if segments and segments[begin][0] > after_seq + 1:
        raise _damaged(segments[begin][1], 0, f"the journal begins here, and seq {after_seq + 1} is missing")
    for first_seq, path in segments[:begin]:
        _check_header(disk, first_seq, path)
    last_seq, epoch = (segments[begin][0] - 1 if segments else 0), 0
    end = f"{segments[-1][1].name}: offset 0" if segments else "no segment"
    for number, (first_seq, path) in enumerate(segments[begin:], begin + 1):
        segment = _checked(disk, path, first_seq, last_seq, epoch)
        if number < len(segments) and not segment.clean:
            raise _damaged(path, segment.end, "unreadable, and a later segment exists")
        last_seq, epoch = segment.last_seq, segment.frames[-1].epoch if segment.frames else epoch
        end = f"{path.name}: offset {segment.end}"
        yield segment
    if last_seq < after_seq:
        raise DamagedJournalError(f"{end}: the journal ends with seq {last_seq}, but a snapshot is of seq {after_seq}")


def read(segments: Segments, after_seq: int, until_seq: int, disk: Disk = SYSTEM_DISK) -> Iterator[Frame]:
    """The frames of segments that hold events after `after_seq`, up to `until_seq`.

    Raises:
        NotKeptError: the event after `after_seq` has been dropped, perhaps meanwhile.
        DamagedJournalError: a frame cannot be read or is missing; names the segment and the offset.
    """
    if after_seq >= until_seq:
        return iter(())
    if segments and after_seq + 1 < segments[0][0]:
        raise NotKeptError(f"seq {after_seq + 1} is not kept any more; the journal begins with {segments[0][0]}")
    return _read(segments[_segment_with(segments, after_seq + 1) :], after_seq, until_seq, disk)


def _read(segments: Segments, after_seq: int, until_seq: int, disk: Disk) -> Iterator[Frame]:
    last_seq = segments[0][0] - 1 if segments else 0
    end = "no segment"
    for first_seq, path in segments:
        if first_seq != last_seq + 1:
            break
        offset = SEGMENT_HEADER_BYTES
        for frame in _frames_of(disk, path):
            if frame.first_seq != last_seq + 1:
                raise _damaged(path, frame.offset, f"expected seq {last_seq + 1}, got {frame.first_seq}")
            last_seq, offset = frame.last_seq, frame.end
            if last_seq > after_seq:
                yield frame
            if last_seq >= until_seq:
                return
        end = f"{path.name}: offset {offset}"
    raise DamagedJournalError(f"{end}: seq {last_seq + 1} cannot be read")


def _segment_with(segments: Segments, seq: int) -> int:
    """The number of the last segment that does not begin after `seq`; 0 when all do."""
    return max(0, bisect_right(segments, seq, key=lambda segment: segment[0]) - 1)


def _checked(disk: Disk, path: Path, first_seq: int, last_seq: int, epoch: int) -> Segment:
    data = read_whole(disk, path)
    if decode_segment_header(data, len(data), path.name) != first_seq or first_seq != last_seq + 1:
        raise _damaged(path, 0, f"expected the segment of seq {last_seq + 1}")
    frames = list(frames_in(data, path.name, last_seq, epoch))
    return Segment(path, first_seq, frames, len(data.rstrip(b"\0")))


def _check_header(disk: Disk, first_seq: int, path: Path) -> None:
    fd = disk.open(path, os.O_RDONLY)
    try:
        head, file_bytes = disk.pread(fd, SEGMENT_HEADER_BYTES, 0), disk.size(fd)
    finally:
        disk.close(fd)
    if decode_segment_header(head, file_bytes, path.name) != first_seq:
        raise _damaged(path, 0, f"expected the segment of seq {first_seq}")


def _frames_of(disk: Disk, path: Path) -> Iterator[Frame]:
    """The whole frames of a segment, read piece by piece."""
    try:
        fd = disk.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise NotKeptError(f"{path.name} has been dropped") from None
    try:
        data, offset, begin = b"", 0, SEGMENT_HEADER_BYTES
        while True:
            frame = frame_at(data, offset, begin)
            if frame is not None:
                yield frame
                offset = frame.end - begin
                continue
            more = disk.pread(fd, READ_BYTES, begin + len(data))
            if not more or _is_end(data, offset):
                return
            data, offset, begin = data[offset:] + more, 0, begin + offset
    finally:
        disk.close(fd)


def _is_end(data: bytes, offset: int) -> bool:
    """Whether the frames end here: a whole header's worth of zeros."""
    head = data[offset : offset + FRAME_HEADER_BYTES]
    return len(head) == FRAME_HEADER_BYTES and not head.strip(b"\0")


def _damaged(path: Path, offset: int, text: str) -> DamagedJournalError:
    return DamagedJournalError(f"{path.name}: offset {offset}: {text}")

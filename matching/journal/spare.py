"""The next segment, written full of zeros before it is needed.

Blocks that have been written make the barrier about a third shorter than
blocks that are only allocated, and filling 64 MiB takes too long to do it
while orders wait. Here is also where a full disk shows: before anything of a
batch is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread

from matching.journal.disk import NEW, Disk, full_is_named, write_at, write_zeros
from matching.journal.errors import StorageFullError
from matching.journal.frames import encode_segment_header

RETRY_S = 1.0
"""Pause before the next try when the disk was full."""


class Spare:
    """A file in the making, by a thread of its own; `take` gives it, `given` lets go of it."""

    def __init__(self, disk: Disk, path: Path, size: int, *, beside: bool) -> None:
        """Removes what an earlier process has left.

        Args:
            disk: where.
            path: what the file is called until it is given.
            size: bytes of an ordinary segment.
            beside: whether it is made by a thread in advance, or when it is needed.
        """
        self.path = path
        self.is_missing = False
        """Whether the last try found the disk full."""
        self._disk = disk
        self._size = size
        self._beside = beside
        self._fd = -1
        self._made_bytes = 0
        self._error: OSError | None = None
        self._wanted = False
        self._closed = False
        self._changed = Condition()
        self._maker: Thread | None = None
        if disk.exists(path):
            disk.unlink(path)

    def prepare(self) -> None:
        """Begins to write it, beside everything else."""
        if not self._beside:
            return
        with self._changed:
            self._wanted = True
            self._changed.notify()
        if self._maker is None:
            self._maker = Thread(target=self._work, name="journal-spare", daemon=True)
            self._maker.start()

    def take(self, first_seq: int, size: int) -> int:
        """The finished file with the header of a segment, durable but for its name; gives its descriptor.

        Args:
            first_seq: the segment's.
            size: bytes that it needs; it has at least the ordinary size.

        Raises:
            StorageFullError: no room; another try may succeed.
            OSError: it could not be written.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            with self._or_nothing():
                self._make(max(size, self._size))
                write_at(self._disk, self._fd, encode_segment_header(first_seq, self._made_bytes), 0)
                self._disk.fsync(self._fd)
            return self._fd

    @property
    def made_bytes(self) -> int:
        """Length of the file that `take` gave."""
        return self._made_bytes

    def given(self) -> None:
        """The file has another name and owner now."""
        with self._changed:
            self._fd = -1
            self._wanted = False

    def close(self) -> None:
        """Ends the thread, and closes the file; it stays where it is."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._maker is not None:
            self._maker.join()
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1

    def _work(self) -> None:
        with self._changed:
            while not self._closed:
                if self._fd >= 0 or not self._wanted:
                    self._changed.wait()
                    continue
                try:
                    with self._or_nothing():
                        self._make(self._size)
                except StorageFullError:
                    self._changed.wait(RETRY_S)
                except OSError as error:
                    self._error = error
                    self._wanted = False

    def _make(self, size: int) -> None:
        """Opens it, if it is not open, and makes it as long as that, if it is not."""
        if self._fd < 0:
            self._made_bytes = 0
            self._fd = self._disk.open(self.path, NEW)
        if self._made_bytes < size:
            write_zeros(self._disk, self._fd, self._made_bytes, size)
            self._disk.fsync(self._fd)
            self._made_bytes = size
        self.is_missing = False

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """What cannot be made is removed: others need the room, and after a failed fsync nobody knows what it holds."""
        try:
            with full_is_named(self.path):
                yield
        except (OSError, StorageFullError):
            self.is_missing = True
            if self._fd >= 0:
                self._disk.close(self._fd)
                self._fd = -1
                with suppress(OSError):
                    self._disk.unlink(self.path)
            self._changed.notify()
            raise

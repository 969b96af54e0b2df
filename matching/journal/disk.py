"""The few calls through which journal and snapshots reach a file system.

The names are those of `os`. Behind the same calls the tests put a disk that
loses what was not made durable; everything about durability is decided above
this line.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from matching.journal.errors import StorageFullError

FULL = (errno.ENOSPC, errno.EDQUOT)
ZEROS = bytes(1024 * 1024)
NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Disk(Protocol):
    """What is asked of a file system; errors are those of `os`."""

    def exists(self, path: Path) -> bool:
        """Whether there is such a file or folder."""

    def mkdir(self, path: Path) -> None:
        """Makes a folder."""

    def listdir(self, folder: Path) -> list[str]:
        """The names in a folder."""

    def lock(self, path: Path) -> int:
        """Opens a file and locks it, until it is closed or the process ends; BlockingIOError when somebody has it."""

    def open(self, path: Path, flags: int) -> int:
        """Opens a file; gives its descriptor."""

    def close(self, fd: int) -> None:
        """Closes it."""

    def size(self, fd: int) -> int:
        """Its length in bytes."""

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """Up to `length` bytes at `offset`; none at the end."""

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes at `offset`, perhaps not everything; gives the number of bytes."""

    def fsync(self, fd: int) -> None:
        """Makes a file durable."""

    def fdatasync(self, fd: int) -> None:
        """Makes the content of a file durable."""

    def fsync_folder(self, folder: Path) -> None:
        """Makes the names in a folder durable."""

    def rename(self, path: Path, target: Path) -> None:
        """Gives a file another name, that of another file perhaps."""

    def unlink(self, path: Path) -> None:
        """Removes a file."""


class SystemDisk:
    """The operating system's."""

    def exists(self, path: Path) -> bool:
        """See `Disk`; likewise below."""
        return path.exists()

    def mkdir(self, path: Path) -> None:
        """Only for this user: what is in it is money."""
        path.mkdir(mode=0o700, exist_ok=True)

    def listdir(self, folder: Path) -> list[str]:
        """In no order."""
        return os.listdir(folder)

    def lock(self, path: Path) -> int:
        """By flock(2), so that the kernel lets go when the process dies."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise
        return fd

    def open(self, path: Path, flags: int) -> int:
        """New files are only for this user."""
        return os.open(path, flags, 0o600)

    def close(self, fd: int) -> None:
        """close(2)."""
        os.close(fd)

    def size(self, fd: int) -> int:
        """fstat(2)."""
        return os.fstat(fd).st_size

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        """pread(2)."""
        return os.pread(fd, length, offset)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """pwrite(2)."""
        return os.pwrite(fd, data, offset)

    def fsync(self, fd: int) -> None:
        """fsync(2)."""
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        """fdatasync(2)."""
        os.fdatasync(fd)

    def fsync_folder(self, folder: Path) -> None:
        """fsync(2) of the folder."""
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, path: Path, target: Path) -> None:
        """rename(2)."""
        path.rename(target)

    def unlink(self, path: Path) -> None:
        """unlink(2)."""
        path.unlink()


SYSTEM_DISK = SystemDisk()


@contextmanager
def full_is_named(path: Path) -> Iterator[None]:
    """Turns the system's words for a full disk into `StorageFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageFullError(f"{path}: {error.strerror}") from error


def make_folder(disk: Disk, folder: Path) -> None:
    """Makes a folder with all above it, durably.

    What is there already may have been made by a process that ended before
    its barrier, so its name is made durable, too; but a folder that others
    have made may not allow that.
    """
    if folder == folder.parent:
        return
    make_folder(disk, folder.parent)
    if disk.exists(folder):
        with suppress(OSError):
            disk.fsync_folder(folder.parent)
    else:
        disk.mkdir(folder)
        disk.fsync_folder(folder.parent)


def write_at(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    """Writes all of it."""
    written = 0
    while written < len(data):
        written += disk.pwrite(fd, data[written:], offset + written)


def write_zeros(disk: Disk, fd: int, begin: int, end: int) -> None:
    """Writes zeros from `begin` up to `end`."""
    while begin < end:
        begin += disk.pwrite(fd, ZEROS[: end - begin], begin)


def read_whole(disk: Disk, path: Path) -> bytes:
    """All bytes of a file."""
    fd = disk.open(path, os.O_RDONLY)
    try:
        pieces, offset = [], 0
        while piece := disk.pread(fd, disk.size(fd) - offset, offset):
            pieces.append(piece)
            offset += len(piece)
    finally:
        disk.close(fd)
    return b"".join(pieces)


def write_new(disk: Disk, path: Path, data: bytes) -> None:
    """Writes a file and makes its content durable; its name is not yet. On an error nothing is left.

    Raises:
        StorageFullError: no room.
        OSError: it could not be written.
    """
    with full_is_named(path):
        fd = disk.open(path, NEW)
        try:
            write_at(disk, fd, data, 0)
            disk.fsync(fd)
        except OSError:
            with suppress(OSError):
                disk.unlink(path)
            raise
        finally:
            disk.close(fd)

"""A disk that loses whatever no barrier has made durable, and tears it.

It stands behind the same calls as the system's (`matching.journal.disk.Disk`).
Each file has what a reader sees, what would survive a loss of power, and the
writes in between; each folder likewise its names. `after_power_loss` gives the
disk as a machine could find it again: of the writes since a file's last barrier
any 512-byte sectors, of the changes to a folder since its last barrier any of
them. `after_kill` gives it as the next process finds it: everything that was
written is seen, but not durable.

A barrier that fails forgets what it should have written: readers still see it,
no later barrier writes it.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path, PurePath
from random import Random
from typing import Union

SECTOR_BYTES = 512


@dataclass
class File:
    """A file; its contents are never changed in place, so that copies may share them."""

    name: str
    seen: bytes = b""
    durable: bytes = b""
    unsynced: list[tuple[int, bytes] | None] = field(default_factory=list)
    """Writes since the last barrier, offset and bytes; None where the file was emptied."""


Node = Union[File, "Folder"]
Names = dict[str, Node]
Change = dict[str, Node | None]


@dataclass
class Folder:
    """A folder."""

    seen: Names = field(default_factory=dict)
    durable: Names = field(default_factory=dict)
    unsynced: list[Change] = field(default_factory=list)
    """Changes since the last barrier, each of which happens as a whole; None where a name went away."""

    def change(self, names: Change) -> None:
        """Gives and takes names."""
        self.unsynced.append(names)
        _apply(self.seen, names)


@dataclass(frozen=True)
class Tear:
    """What becomes of what was not durable when the power goes; drawn from a seed unless all or nothing of it stays."""

    random: Random
    keeps: float | None = None
    """Chance of each sector and each name; drawn, too, when None."""

    def folder(self, folder: Folder) -> Names:
        """The names that are found again."""
        chance = self._chance()
        names = dict(folder.durable)
        for change in folder.unsynced:
            if self.random.random() < chance:
                _apply(names, change)
        return names

    def file(self, file: File) -> bytes:
        """The content that is found again."""
        chance = self._chance()
        found = file.durable
        for write in file.unsynced:
            if write is None:
                found = b"" if self.random.random() < chance else found
                continue
            offset, data = write
            for begin, end in _sectors(offset, len(data)):
                if self.random.random() < chance:
                    found = _written(found, begin, data[begin - offset : end - offset])
        if len(found) < len(file.seen) and self.random.random() < chance:
            # The length of a file and its content are not written together.
            found = found.ljust(self.random.randint(len(found), len(file.seen)), b"\0")
        return found

    def _chance(self) -> float:
        return self.random.choice((0.0, 0.3, 0.7, 1.0)) if self.keeps is None else self.keeps


NOTHING_STAYS = Tear(Random(0), 0.0)


class SimulatedDisk:
    """See above; implements `matching.journal.disk.Disk`."""

    def __init__(self, room_bytes: int | None = None) -> None:
        self.root = Folder()
        self.room_bytes = room_bytes
        """What is free; endless when None."""
        self.write_bytes_max: int | None = None
        """A write takes no more than that at once."""
        self.before: Callable[[str, str], None] = lambda call, name: None
        """Hears of every change and barrier before it happens, with the file's name; what it raises, the call does."""
        self.ignored: tuple[str, str] | None = None
        """A barrier that does nothing: the call, and a pattern of names; shared with all copies."""
        self._open: dict[int, File] = {}
        self._locked: dict[int, File] = {}
        self._next_fd = 3

    def after_power_loss(self, tear: Tear) -> "SimulatedDisk":
        """The disk when the machine starts again."""
        return self._copied(tear)

    def after_kill(self) -> "SimulatedDisk":
        """The disk when another process opens it, the machine having never stopped."""
        return self._copied(None)

    def kill(self) -> None:
        """The process ends: what it has open is closed, and its locks are free."""
        self._open.clear()
        self._locked.clear()

    def exists(self, path: Path) -> bool:
        """See `Disk`; likewise below."""
        return self._find(path) is not None

    def mkdir(self, path: Path) -> None:
        self.before("mkdir", path.name)
        if not self.exists(path):
            self._folder(path.parent).change({path.name: Folder()})

    def listdir(self, folder: Path) -> list[str]:
        return list(self._folder(folder).seen)

    def lock(self, path: Path) -> int:
        fd = self.open(path, os.O_RDWR | os.O_CREAT)
        file = self._open[fd]
        if any(file is locked for locked in self._locked.values()):
            self.close(fd)
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        self._locked[fd] = file
        return fd

    def open(self, path: Path, flags: int) -> int:
        file = self._find(path)
        if file is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            self.before("create", path.name)
            file = File(path.name)
            self._folder(path.parent).change({path.name: file})
        assert isinstance(file, File)
        if flags & os.O_TRUNC and file.seen:
            self.before("truncate", path.name)
            self._take_room(-len(file.seen))
            file.seen = b""
            file.unsynced.append(None)
        fd, self._next_fd = self._next_fd, self._next_fd + 1
        self._open[fd] = file
        return fd

    def close(self, fd: int) -> None:
        del self._open[fd]
        self._locked.pop(fd, None)

    def size(self, fd: int) -> int:
        return len(self._open[fd].seen)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return self._open[fd].seen[offset : offset + length]

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        file = self._open[fd]
        self.before("pwrite", file.name)
        data = data[: self.write_bytes_max]
        more = max(0, offset + len(data) - len(file.seen))
        if self.room_bytes is not None and more > self.room_bytes:
            data = data[: len(data) - (more - self.room_bytes)]
            if not data:
                raise OSError(errno.ENOSPC, "no room left", file.name)
        self._take_room(max(0, offset + len(data) - len(file.seen)))
        file.seen = _written(file.seen, offset, data)
        file.unsynced.append((offset, bytes(data)))
        return len(data)

    def fsync(self, fd: int) -> None:
        self._barrier("fsync", fd)

    def fdatasync(self, fd: int) -> None:
        self._barrier("fdatasync", fd)

    def fsync_folder(self, folder: Path) -> None:
        self.before("fsync_folder", folder.name)
        if self._is_ignored("fsync_folder", folder.name):
            return
        found = self._folder(folder)
        found.durable = dict(found.seen)
        found.unsynced.clear()

    def rename(self, path: Path, target: Path) -> None:
        self.before("rename", target.name)
        assert path.parent == target.parent, "within a folder"
        folder = self._folder(path.parent)
        self._free(folder.seen.get(target.name))
        node = folder.seen[path.name]
        folder.change({path.name: None, target.name: node})
        if isinstance(node, File):
            node.name = target.name

    def unlink(self, path: Path) -> None:
        self.before("unlink", path.name)
        folder = self._folder(path.parent)
        self._free(folder.seen[path.name])
        folder.change({path.name: None})

    def content(self, path: Path) -> bytes:
        """What a reader sees of a file."""
        file = self._find(path)
        assert isinstance(file, File)
        return file.seen

    def put(self, path: Path, data: bytes) -> None:
        """Gives a file this content, durably and past every rule: for damage."""
        file = self._find(path)
        assert isinstance(file, File)
        file.seen = file.durable = data
        file.unsynced.clear()

    def remove(self, path: Path) -> None:
        """Takes a file away, durably and past every rule: for damage."""
        folder = self._folder(path.parent)
        del folder.seen[path.name]
        folder.durable.pop(path.name, None)

    def _barrier(self, call: str, fd: int) -> None:
        file = self._open[fd]
        try:
            self.before(call, file.name)
        except OSError:
            file.unsynced.clear()
            raise
        if self._is_ignored(call, file.name):
            return
        for write in file.unsynced:
            file.durable = b"" if write is None else _written(file.durable, *write)
        file.unsynced.clear()

    def _is_ignored(self, call: str, name: str) -> bool:
        return self.ignored is not None and call == self.ignored[0] and fnmatchcase(name, self.ignored[1])

    def _take_room(self, more: int) -> None:
        if self.room_bytes is not None:
            self.room_bytes -= more

    def _free(self, node: Node | None) -> None:
        if isinstance(node, File):
            self._take_room(-len(node.seen))

    def _find(self, path: PurePath) -> Node | None:
        found: Node | None = self.root
        for name in path.parts[1:]:
            if not isinstance(found, Folder):
                return None
            found = found.seen.get(name)
        return found

    def _folder(self, path: PurePath) -> Folder:
        found = self._find(path)
        if not isinstance(found, Folder):
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(path))
        return found

    def _copied(self, tear: Tear | None) -> "SimulatedDisk":
        copy = SimulatedDisk(self.room_bytes)
        root = _Copier(tear).copied(self.root)
        assert isinstance(root, Folder)
        copy.root = root
        copy.ignored = self.ignored
        return copy


class _Copier:
    """Copies files and folders, each once, whatever names it has; as they are, or as a loss of power leaves them."""

    def __init__(self, tear: Tear | None) -> None:
        self._tear = tear
        self._copies: dict[int, Node] = {}

    def copied(self, node: Node) -> Node:
        """The copy of a file or folder."""
        if id(node) not in self._copies:
            self._copies[id(node)] = self._file(node) if isinstance(node, File) else self._folder(node)
        return self._copies[id(node)]

    def _file(self, file: File) -> File:
        if self._tear is None:
            return File(file.name, file.seen, file.durable, list(file.unsynced))
        found = self._tear.file(file)
        return File(file.name, found, found)

    def _folder(self, folder: Folder) -> Folder:
        if self._tear is None:
            return Folder(self._names(folder.seen), self._names(folder.durable), [*map(self._change, folder.unsynced)])
        found = self._names(self._tear.folder(folder))
        return Folder(found, dict(found))

    def _names(self, names: Names) -> Names:
        return {name: self.copied(node) for name, node in names.items()}

    def _change(self, change: Change) -> Change:
        return {name: None if node is None else self.copied(node) for name, node in change.items()}


def _apply(names: Names, change: Change) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _written(content: bytes, offset: int, data: bytes) -> bytes:
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]


def _sectors(offset: int, length: int) -> list[tuple[int, int]]:
    """Beginning and end of the pieces of a write that reach the disk together."""
    end = offset + length
    cuts = [offset, *range((offset // SECTOR_BYTES + 1) * SECTOR_BYTES, end, SECTOR_BYTES), end]
    return list(pairwise(cuts))

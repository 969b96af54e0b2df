"""Snapshots in files, each named after its sequence.

A snapshot is written under another name, made durable, renamed, and the folder
made durable: under its own name it is there as a whole or not at all. The other
name is the process's own: one that has been left behind by its parent cannot
spoil what its successor writes.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from matching.journal.disk import NEW, SYSTEM_DISK, Disk, full_is_named, make_folder, read_whole, write_at
from matching.journal.errors import DamagedSnapshotError
from matching.snapshots.form import Snapshot, decode, encode_header
from matching.snapshots.interface import Candidate, first_readable

SUFFIX = ".snapshot"
UNFINISHED = ".unfinished"
NAMED = re.compile(rf"\d{{20}}{re.escape(SUFFIX)}")


class FileSnapshots:
    """A folder of snapshots; see `Snapshots`."""

    def __init__(self, folder: Path, disk: Disk = SYSTEM_DISK) -> None:
        """Changes nothing.

        Args:
            folder: made when something is published.
            disk: where it is.
        """
        self._folder = folder
        self._disk = disk

    def publish(self, snapshot: Snapshot) -> int:
        """See `Snapshots`."""
        make_folder(self._disk, self._folder)
        target = self._path(snapshot.seq)
        temporary = self._folder / f"{os.getpid()}{UNFINISHED}"
        self._write(temporary, snapshot)
        with full_is_named(target):
            self._disk.rename(temporary, target)
        self._disk.fsync_folder(self._folder)
        older = [seq for seq in self._seqs() if seq < snapshot.seq]
        kept_seq = first_readable(self._found(older))
        for seq in older:
            if seq != kept_seq:
                self._disk.unlink(self._path(seq))
        self._disk.fsync_folder(self._folder)
        return kept_seq

    def load(self) -> Iterator[Candidate]:
        """See `Snapshots`."""
        return self._found(self._seqs())

    def clean(self) -> None:
        """Removes what a crash has left of snapshots in the making; only for who holds the journal."""
        for name in self._names():
            if name.endswith(UNFINISHED):
                self._disk.unlink(self._folder / name)

    def _found(self, seqs: list[int]) -> Iterator[Candidate]:
        for seq in seqs:
            path = self._path(seq)
            try:
                yield Candidate(path.name, decode(read_whole(self._disk, path), path.name, seq))
            except FileNotFoundError:
                continue  # Its publisher has just removed it.
            except (DamagedSnapshotError, OSError) as error:
                yield Candidate(path.name, None, str(error))

    def _write(self, path: Path, snapshot: Snapshot) -> None:
        header = encode_header(snapshot)
        with full_is_named(path):
            fd = self._disk.open(path, NEW)
            try:
                write_at(self._disk, fd, header, 0)
                write_at(self._disk, fd, snapshot.content, len(header))
                self._disk.fsync(fd)
            except OSError:
                with suppress(OSError):
                    self._disk.unlink(path)
                raise
            finally:
                self._disk.close(fd)

    def _seqs(self) -> list[int]:
        """The newest first."""
        names = (name for name in self._names() if NAMED.fullmatch(name))
        return sorted((int(name.removesuffix(SUFFIX)) for name in names), reverse=True)

    def _names(self) -> list[str]:
        return self._disk.listdir(self._folder) if self._disk.exists(self._folder) else []

    def _path(self, seq: int) -> Path:
        return self._folder / f"{seq:020d}{SUFFIX}"

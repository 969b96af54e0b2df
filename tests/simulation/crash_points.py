"""The points at which a matching server is killed: it does it itself, with SIGKILL, at the n-th passage.

`arm` runs inside the server's process before anything else and puts itself
between the server and its disk; the server's own code knows nothing of it.
Points of a snapshot are passed by the child, which then kills its parent, as
the kernel would any process at any time, and lives on for as long as it may.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from matching import recovery
from matching.journal.disk import SystemDisk
from matching.journal.frames import FRAME_MAGIC
from matching.snapshots.file import UNFINISHED

BEFORE, WITHIN, AFTER = "before", "within", "after"
Seen = Callable[[Path, bytes], bool]


class Point(NamedTuple):
    """A call of the disk, and on which side of it the process ends."""

    call: str
    side: str
    sees: Seen
    """Whether a call with this file and these bytes is a passage."""
    while_opening: bool = False
    """Whether it counts until the journal is open, or from then on."""
    kills_parent: bool = False
    passages_max: int = 8
    """A run is long enough for so many passages."""


def _frame(path: Path, data: bytes) -> bool:
    return path.suffix == ".journal" and data[:4] == FRAME_MAGIC


def _segment(path: Path, _: bytes) -> bool:
    return path.suffix == ".journal"


def _memory(path: Path, _: bytes) -> bool:
    return path.name == "epoch"


def _spare(path: Path, _: bytes) -> bool:
    return path.name == "spare"


def _snapshot(path: Path, _: bytes) -> bool:
    return path.suffix == ".snapshot"


def _new_snapshot(path: Path, _: bytes) -> bool:
    return path.suffix == UNFINISHED


POINTS = {
    "before the write": Point("pwrite", BEFORE, _frame),
    "in the write": Point("pwrite", WITHIN, _frame),
    "after the write, before the barrier": Point("fdatasync", BEFORE, _segment),
    "after the barrier, before the release": Point("fdatasync", AFTER, _segment),
    "before a segment has its name": Point("rename", BEFORE, _segment, passages_max=5),
    "after a segment has its name": Point("rename", AFTER, _segment, passages_max=5),
    "before a segment is remembered": Point("rename", BEFORE, _memory, passages_max=5),
    "after a segment is remembered": Point("rename", AFTER, _memory, passages_max=5),
    "in the spare": Point("pwrite", WITHIN, _spare, passages_max=5),
    "after the spare": Point("fsync", AFTER, _spare, passages_max=5),
    "in a snapshot": Point("pwrite", WITHIN, _new_snapshot, kills_parent=True, passages_max=3),
    "before a snapshot has its name": Point("rename", BEFORE, _snapshot, kills_parent=True, passages_max=2),
    "after a snapshot has its name": Point("rename", AFTER, _snapshot, kills_parent=True, passages_max=2),
    "before an old snapshot goes": Point("unlink", BEFORE, _snapshot, kills_parent=True, passages_max=1),
    "before a segment goes": Point("unlink", BEFORE, _segment, passages_max=4),
    "after a segment has gone": Point("unlink", AFTER, _segment, passages_max=4),
    "before the end is settled": Point("fsync", BEFORE, _segment, while_opening=True, passages_max=1),
    "before the epoch rises": Point("rename", BEFORE, _memory, while_opening=True, passages_max=1),
    "after the epoch has risen": Point("rename", AFTER, _memory, while_opening=True, passages_max=1),
}
FORKED = "beside a snapshot"
"""In the parent, when the fork has just returned."""
REPLAYING = "in the replay"
NAMES = (*POINTS, FORKED, REPLAYING)
CHILD_ONLY = "in a snapshot, the child alone"
"""The server goes on."""


class Trap:
    """Kills at the n-th passage."""

    def __init__(self, passage: int) -> None:
        self._left = passage

    def passed(self, victim: int) -> bool:
        """Counts a passage; the last one ends the victim, and with it, if it is this process, everything here."""
        self._left -= 1
        if self._left:
            return False
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return True

    @property
    def is_next(self) -> bool:
        """Whether the next passage is the last."""
        return self._left == 1


def arm(name: str, passage: int) -> None:
    """Sets the trap.

    Args:
        name: of the point.
        passage: at which it closes, from 1.
    """
    trap = Trap(passage)
    if name in POINTS:
        _surround(POINTS[name], trap)
    elif name == CHILD_ONLY:
        _surround(POINTS["in a snapshot"]._replace(kills_parent=False), trap)
    elif name == FORKED:
        _after_fork(trap)
    else:
        assert name == REPLAYING, name
        _before_each_command(trap)


def keep_segments(archive: str) -> None:
    """Gives the archive every segment that the journal lets go of."""
    unlink = SystemDisk.unlink

    def call(disk: SystemDisk, path: Path) -> None:
        if path.suffix == ".journal":
            with suppress(FileExistsError):
                os.link(path, Path(archive) / path.name)
        unlink(disk, path)

    SystemDisk.unlink = call  # type: ignore[method-assign, assignment]


def _surround(point: Point, trap: Trap) -> None:
    opened = _watch_opening()
    original = getattr(SystemDisk, point.call)

    def call(disk: SystemDisk, *args: Any) -> Any:
        if bool(opened) is point.while_opening or not point.sees(_file(point.call, args), _data(args)):
            return original(disk, *args)
        victim = os.getppid() if point.kills_parent else os.getpid()
        if point.side == WITHIN and trap.is_next:
            fd, data, offset = args
            original(disk, fd, data[: len(data) // 2], offset)
        if point.side != AFTER:
            trap.passed(victim)
        result = original(disk, *args)
        if point.side == AFTER:
            trap.passed(victim)
        return result

    setattr(SystemDisk, point.call, call)


def _watch_opening() -> list[bool]:
    """Not empty as soon as the journal has raised its epoch."""
    opened: list[bool] = []
    rename = SystemDisk.rename

    def call(disk: SystemDisk, path: Path, target: Path) -> None:
        rename(disk, path, target)
        if target.name == "epoch":
            opened.append(True)

    SystemDisk.rename = call  # type: ignore[method-assign, assignment]
    return opened


def _file(call: str, args: tuple[Any, ...]) -> Path:
    """The file that a call is about: that of its descriptor, or the last of its paths."""
    if call in ("pwrite", "fsync", "fdatasync"):
        return Path(os.readlink(f"/proc/self/fd/{args[0]}"))
    return Path(args[-1])


def _data(args: tuple[Any, ...]) -> bytes:
    return bytes(args[1][:4]) if len(args) > 1 and isinstance(args[1], bytes) else b""


def _after_fork(trap: Trap) -> None:
    fork = os.fork

    def call() -> int:
        child = fork()
        if child:
            trap.passed(os.getpid())
        return child

    os.fork = call


def _before_each_command(trap: Trap) -> None:
    redo = recovery._redo

    def call(*args: Any) -> None:
        trap.passed(os.getpid())
        redo(*args)

    recovery._redo = call  # type: ignore[assignment]

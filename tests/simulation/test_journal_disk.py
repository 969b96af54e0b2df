"""The simulated disk is a disk: to its users like the system's, and to a loss of power as far as the barriers say."""

import os
from pathlib import Path
from random import Random

import pytest

from matching.journal.disk import NEW, SYSTEM_DISK, Disk, make_folder, read_whole, write_at
from tests.simulation.disk import NOTHING_STAYS, SECTOR_BYTES, SimulatedDisk, Tear

FILE = Path("/folder/file")
EVERYTHING_STAYS = Tear(Random(0), 1.0)


def files(disk: Disk, folder: Path) -> dict[str, bytes]:
    """The content of every file."""
    return {name: read_whole(disk, folder / name) for name in sorted(disk.listdir(folder))}


def do_anything(disk: Disk, folder: Path, seed: int) -> list[object]:
    """Calls drawn from a seed, and what they gave."""
    random, given, opened = Random(seed), list[object](), dict[str, int]()
    make_folder(disk, folder)
    for _ in range(300):
        name = random.choice("abcd")
        path = folder / name
        match random.choice(("open", "open", "write", "write", "write", "read", "rename", "unlink", "sync", "lock")):
            case "open" if name not in opened:
                opened[name] = disk.open(path, random.choice((NEW, os.O_RDWR | os.O_CREAT)))
            case "write" if name in opened:
                data = random.randbytes(random.randrange(2_000))
                given.append(disk.pwrite(opened[name], data, random.randrange(3_000)))
            case "read" if name in opened:
                given.append(disk.pread(opened[name], random.randrange(2_000), random.randrange(3_000)))
                given.append(disk.size(opened[name]))
            case "rename" if disk.exists(path):
                other = random.choice("abcd")
                for both in {name, other} & opened.keys():
                    disk.close(opened.pop(both))
                disk.rename(path, folder / other)
            case "unlink" if disk.exists(path):
                if name in opened:
                    disk.close(opened.pop(name))
                disk.unlink(path)
            case "sync" if name in opened:
                disk.fsync(opened[name])
                disk.fdatasync(opened[name])
                disk.fsync_folder(folder)
            case "lock":
                fd = disk.lock(folder / "lock")
                with pytest.raises(BlockingIOError):
                    disk.lock(folder / "lock")
                disk.close(fd)
    given.append(files(disk, folder))
    for fd in opened.values():
        disk.close(fd)
    return given


@pytest.mark.parametrize("seed", range(5))
def test_to_its_users_it_is_like_the_system(tmp_path: Path, seed: int) -> None:
    """The same calls give the same bytes, lengths and names."""
    assert do_anything(SimulatedDisk(), Path("/folder"), seed) == do_anything(SYSTEM_DISK, tmp_path / "folder", seed)


def test_what_is_not_there_cannot_be_opened(tmp_path: Path) -> None:
    """Neither a file, nor one in a folder that is none."""
    for disk, folder in ((SimulatedDisk(), Path("/")), (SYSTEM_DISK, tmp_path)):
        for path in (folder / "none", folder / "none" / "file"):
            with pytest.raises(FileNotFoundError):
                disk.open(path, os.O_RDONLY)
        with pytest.raises(FileNotFoundError):
            disk.open(folder / "none" / "file", NEW)


def written(disk: SimulatedDisk, data: bytes, *, synced: bool = False, named: bool = True) -> int:
    """A new file of that content."""
    if not disk.exists(FILE.parent):
        make_folder(disk, FILE.parent)
    fd = disk.open(FILE, NEW)
    write_at(disk, fd, data, 0)
    if synced:
        disk.fsync(fd)
    if named:
        disk.fsync_folder(FILE.parent)
    return fd


def found(disk: SimulatedDisk) -> bytes | None:
    """The file's content, None when it is not there."""
    return disk.content(FILE) if disk.exists(FILE) else None


def test_without_a_barrier_nothing_need_stay() -> None:
    """Neither the content nor the name; and both may stay."""
    disk = SimulatedDisk()
    written(disk, b"data", named=False)
    assert (found(disk.after_power_loss(NOTHING_STAYS)), found(disk.after_power_loss(EVERYTHING_STAYS))) == (
        None,
        b"data",
    )
    written(disk, b"data")
    assert (found(disk.after_power_loss(NOTHING_STAYS)), found(disk.after_power_loss(EVERYTHING_STAYS))) == (
        b"",
        b"data",
    )


def test_what_a_barrier_has_covered_stays() -> None:
    """Whatever is lost of what came later."""
    for seed in range(50):
        disk = SimulatedDisk()
        fd = written(disk, b"durable", synced=True)
        disk.pwrite(fd, b"later", 1_000)
        disk.rename(FILE, FILE.with_name("other"))
        after = disk.after_power_loss(Tear(Random(seed)))
        (content,) = files(after, FILE.parent).values()
        assert content.startswith(b"durable")


def test_writes_are_torn_at_sectors() -> None:
    """Any of them may be missing, and a file may be longer than what was written of it."""
    seen = set()
    data = b"".join(bytes([number]) * SECTOR_BYTES for number in (1, 2, 3))
    for seed in range(300):
        disk = SimulatedDisk()
        written(disk, data)
        content = found(disk.after_power_loss(Tear(Random(seed)))) or b""
        content = content.ljust(len(data), b"\0")
        sectors = [content[begin : begin + SECTOR_BYTES] for begin in range(0, len(data), SECTOR_BYTES)]
        for number, sector in enumerate(sectors, 1):
            assert sector in (bytes(SECTOR_BYTES), bytes([number]) * SECTOR_BYTES)
        seen.add(tuple(sector[0] for sector in sectors))
    assert len(seen) == 8, "every subset"


def test_a_rename_happens_as_a_whole() -> None:
    """The file is found under one of its names."""
    seen = set()
    for seed in range(50):
        disk = SimulatedDisk()
        written(disk, b"data", synced=True)
        disk.rename(FILE, FILE.with_name("other"))
        names = tuple(disk.after_power_loss(Tear(Random(seed))).listdir(FILE.parent))
        assert len(names) == 1
        seen.add(names)
    assert seen == {("file",), ("other",)}


def test_a_barrier_that_fails_forgets() -> None:
    """Readers see what was written, and no later barrier makes it durable."""
    disk = SimulatedDisk()
    fd = written(disk, b"durable", synced=True)
    disk.pwrite(fd, b"forgot!", 0)

    def before(call: str, name: str) -> None:
        raise OSError("no")

    disk.before = before
    with pytest.raises(OSError, match="no"):
        disk.fdatasync(fd)
    disk.before = lambda call, name: None
    disk.fdatasync(fd)
    assert (found(disk), found(disk.after_kill())) == (b"forgot!", b"forgot!")
    assert found(disk.after_power_loss(EVERYTHING_STAYS)) == b"durable"
    disk.pwrite(fd, b"forgot!", 0)
    disk.fdatasync(fd)
    assert found(disk.after_power_loss(NOTHING_STAYS)) == b"forgot!"


def test_a_kill_loses_nothing_but_makes_nothing_durable() -> None:
    """The next process sees everything, and a loss of power afterwards takes it."""
    disk = SimulatedDisk()
    written(disk, b"data")
    killed = disk.after_kill()
    assert found(killed) == b"data"
    assert found(killed.after_power_loss(NOTHING_STAYS)) == b""


def test_room_ends_within_a_write() -> None:
    """What fits is written, the rest is refused; what goes away gives its room back."""
    disk = SimulatedDisk(10)
    make_folder(disk, FILE.parent)
    fd = disk.open(FILE, NEW)
    assert (disk.pwrite(fd, b"12345678", 0), disk.pwrite(fd, b"abcd", 8), disk.room_bytes) == (8, 2, 0)
    with pytest.raises(OSError, match="no room left"):
        disk.pwrite(fd, b"e", 10)
    assert disk.pwrite(fd, b"over", 0) == 4
    disk.unlink(FILE)
    assert disk.room_bytes == 10

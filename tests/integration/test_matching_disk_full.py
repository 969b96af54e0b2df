"""A disk that is really full: new orders are turned away, cancels go through, and nothing acknowledged is lost."""

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.operations.v1 import health_pb2 as operations
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.types.v1 import types_pb2 as types

from matching import storage
from matching.journal.disk import SystemDisk
from matching.recovery import as_of, verify
from runtime.channels import client_channel
from tests.integration.gateway.venue import Venue, cancel, details, refused, replace, session, submit
from tests.simulation.gateway_link import connected, linked

SEGMENT_BYTES = 65_536
ROOM_BYTES = 2 * SEGMENT_BYTES + 32_768
"""Two segments, and what else is in the folder; not a third."""
MORE_BYTES = 6 * SEGMENT_BYTES
HEALTH = "ordergate.matching.v1.MatchingService"


class Room(Protocol):
    """What bounds the journal's folder."""

    def free(self) -> None:
        """Makes room for more."""


class LimitedDisk(SystemDisk):
    """The system's disk, as if it had only so much room below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._room_bytes = ROOM_BYTES

    def free(self) -> None:
        """Makes room for more."""
        self._room_bytes += MORE_BYTES

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        """Writes as much as there is room for, and fails when there is none."""
        more = offset + len(data) - os.fstat(fd).st_size
        left = self._room_bytes - self._used_bytes()
        if more > left:
            data = data[: len(data) - (more - max(0, left))]
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().pwrite(fd, data, offset)

    def _used_bytes(self) -> int:
        used = 0
        for path in self._folder.rglob("*"):
            try:
                used += path.stat().st_size
            except FileNotFoundError:
                continue
        return used


class Tmpfs:
    """A file system of its own, of a size; only root can have one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._mount(f"size={ROOM_BYTES}")

    def free(self) -> None:
        """Makes room for more."""
        self._mount(f"remount,size={ROOM_BYTES + MORE_BYTES}")

    def close(self) -> None:
        """Takes it away again."""
        subprocess.run(["umount", self._folder], check=True)

    def _mount(self, options: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self._folder], check=True)


@contextmanager
def limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A disk whose writes are counted."""
    disk = LimitedDisk(folder)
    monkeypatch.setattr(storage, "open_files", partial(storage.open_files, disk=disk))
    yield disk


@contextmanager
def mounted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A real file system that is too small."""
    del monkeypatch
    tmpfs = Tmpfs(folder)
    try:
        yield tmpfs
    finally:
        tmpfs.close()


def may_mount() -> bool:
    """Whether this process may have a file system of its own: that of a container's root may not."""
    if os.geteuid() != 0:
        return False
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return tried.returncode == 0


WAYS = {"counted": limited} | ({"tmpfs": mounted} if may_mount() else {})


@pytest.fixture(params=WAYS)
def small(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Venue, Room]]:
    """A venue that has not begun, whose journal has little room."""
    venue = Venue(tmp_path, journal_segment_bytes=SEGMENT_BYTES)
    with WAYS[request.param](venue.settings.journal_dir, monkeypatch) as room:
        yield venue, room


@pytest_asyncio.fixture
async def full(small: tuple[Venue, Room]) -> AsyncIterator[tuple[Venue, Room, list[str]]]:
    """A venue whose disk is full, and the orders that it had taken until then."""
    venue, room = small
    await venue.start_matching()
    await venue.start_gateway()
    try:
        await venue.becomes(serving=True)
        taken = await fill(venue)
        await matching_becomes(venue, health_pb2.HealthCheckResponse.NOT_SERVING)
        yield venue, room, taken
    finally:
        await venue.stop()


async def fill(venue: Venue) -> list[str]:
    """Places orders until the first is turned away for want of room; gives the keys of those that were taken."""
    taken: list[str] = []
    while True:
        try:
            taken.append((await venue.submit()).cl_ord_id)
        except grpc.aio.AioRpcError as error:
            if details(error)[0].reason == "STORAGE_FULL":
                return taken
            raise


async def matching_becomes(venue: Venue, status: int) -> None:
    """Waits until matching's health is that."""
    async with client_channel(f"127.0.0.1:{venue.settings.matching_port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=HEALTH))
        async for state in watch:
            if state.status == status:
                watch.cancel()
                return


def hopeless(key: str) -> bytes:
    """A cancel of an order that does not exist: it is always taken, and its refusal has to be written down."""
    ending = commands.CancelOrder(account="DEMO", cl_ord_id=key, orig_cl_ord_id="nothing")
    return commands.Command(actor="tester", cancel_order=ending).SerializeToString()


Full = tuple[Venue, Room, list[str]]


async def test_new_orders_are_turned_away_and_cancels_are_not(full: Full) -> None:
    """By call and on a session: STORAGE_FULL for what would need room, which may come again; cancels happen."""
    venue, _, taken = full
    assert len(taken) > 50
    code, _ = await refused(venue.submit())
    assert code == grpc.StatusCode.UNAVAILABLE
    changing = entry.ReplaceOrderRequest(account="DEMO", orig_cl_ord_id=taken[0], cl_ord_id="R", qty="4")
    code, info = await refused(venue.orders.ReplaceOrder(changing, metadata=venue.as_role()))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_FULL")
    ending = entry.CancelOrderRequest(account="DEMO", orig_cl_ord_id=taken[0], cl_ord_id="C")
    canceled = await venue.orders.CancelOrder(ending, metadata=venue.as_role())
    assert canceled.report.exec_type == types.EXEC_TYPE_CANCELED
    async with session(venue, accounts=["DEMO"]) as client:
        await client.commands(
            submit(1),
            cancel(2, account="DEMO", orig_cl_ord_id=taken[1], cl_ord_id="C2"),
            replace(3, account="DEMO", orig_cl_ord_id=taken[2], cl_ord_id="R2", qty="4"),
            submit(4),
        )
        told = await client.frames(reports=1, replies=3)
    assert [(reply.correlation_id, reply.refused.code) for reply in told.replies] == [
        (number, types.REASON_STORAGE_FULL) for number in (1, 3, 4)
    ]
    assert [(report.cl_ord_id, report.exec_type) for report in told.reports] == [("C2", types.EXEC_TYPE_CANCELED)]
    assert (await venue.order(cl_ord_id=taken[2])).ord_status == types.ORD_STATUS_NEW


async def test_the_system_is_not_ready_until_there_is_room(full: Full) -> None:
    """Whoever asks the gateway whether orders are taken hears that they are not, and which part is to blame."""
    venue, room, _ = full
    code, info = await refused(venue.operations.GetReadiness(operations.GetReadinessRequest()))
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "MATCHING_UNAVAILABLE")
    assert info.metadata["matching"] == "COMPONENT_STATUS_DOWN"
    assert info.metadata["gateway"] == "COMPONENT_STATUS_UP"
    room.free()
    await matching_becomes(venue, health_pb2.HealthCheckResponse.SERVING)
    ready = await venue.operations.GetReadiness(operations.GetReadinessRequest())
    assert {one.name: one.status for one in ready.components}["matching"] == operations.COMPONENT_STATUS_UP


async def test_a_refusal_says_when_to_come_again(full: Full) -> None:
    """It carries RetryInfo, and the key that it had is as new as before."""
    venue, room, _ = full
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await venue.submit(cl_ord_id="again")
    packed = [one for one in details(error.value)[1].details if one.Is(error_details_pb2.RetryInfo.DESCRIPTOR)]
    assert len(packed) == 1
    room.free()
    await matching_becomes(venue, health_pb2.HealthCheckResponse.SERVING)
    report = await venue.submit(cl_ord_id="again")
    assert (report.ord_status, report.poss_dup) == (types.ORD_STATUS_NEW, False)


async def test_health_says_so_until_there_is_room(full: Full) -> None:
    """Matching does not serve as long as orders are turned away; then all goes on, and nothing is missing."""
    venue, room, taken = full
    room.free()
    await matching_becomes(venue, health_pb2.HealthCheckResponse.SERVING)
    later = [(await venue.submit()).cl_ord_id for _ in range(100)]
    assert verify(venue.settings.journal_dir).last_seq > len(taken) + len(later)
    await venue.stop_matching()
    await venue.start_matching()
    await venue.becomes(serving=True)
    for key in (*taken, *later):
        assert (await venue.order(cl_ord_id=key)).ord_status == types.ORD_STATUS_NEW


async def test_what_does_not_even_fit_waits_for_room(full: Full) -> None:
    """When even cancels have used up the last segment, they wait: no answer, no loss, and all answers afterwards."""
    venue, room, taken = full
    settings = venue.settings
    async with (
        connected(settings, settings.matching_port) as stub,
        linked(settings, stub) as link,
    ):
        segment = max(settings.journal_dir.glob("*.journal"))
        sent = [hopeless(f"H{number}") for number in range(SEGMENT_BYTES // len(hopeless("H")))]
        for begin in range(0, len(sent), 8):
            await link.send(*sent[begin : begin + 8])
        # Between two heartbeats there is a second without a batch.
        beats = len(link.heartbeats)
        await link.until(lambda: len(link.heartbeats) >= beats + 2)
        answered = len(link.results)
        assert 0 < answered < len(sent)
        assert max(settings.journal_dir.glob("*.journal")) == segment
        room.free()
        results = await link.results_of(range(1, len(sent) + 1))
        seqs = [result.seq for result in results]
        assert seqs == sorted(set(seqs))
    engine = as_of(settings.journal_dir, seqs[-1])
    assert all(engine.lookup("DEMO", 0, key) is not None for key in (*taken, "H0", f"H{len(sent) - 1}"))

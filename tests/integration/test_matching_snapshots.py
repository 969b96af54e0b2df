"""Snapshots of a real matching server: made beside its work, begun with at the next start, and never in the way."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.recovery import verify
from runtime.settings import Settings
from tests.simulation.gateway_link import (
    Link,
    Stub,
    connected,
    day_closed,
    feed,
    last_seq,
    linked,
    order,
    settings_in,
    streamed,
)
from tests.simulation.matching_process import Server, started

BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
INTERVAL_EVENTS = 150
HOLD = """
from matching.journal.disk import SystemDisk
rename = SystemDisk.rename
def held(disk, path, target):
    if target.suffix == ".snapshot":
        open({gate!r}).read()
    rename(disk, path, target)
SystemDisk.rename = held
"""
"""Put before the server: a snapshot gets its name when somebody writes to the gate."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A venue that makes a snapshot every few orders and keeps no event longer than it must."""
    return settings_in(
        tmp_path,
        journal_segment_bytes=16_384,
        journal_keep_events=0,
        snapshot_interval_events=INTERVAL_EVENTS,
    )


@asynccontextmanager
async def reached(settings: Settings, before: str = "") -> AsyncIterator[tuple[Server, Stub]]:
    """A process that listens, and a way to it."""
    async with started(settings, before) as server:
        await server.listening()
        async with connected(settings, server.port) as stub:
            yield server, stub


def seqs(settings: Settings) -> list[int]:
    """The snapshots that there are."""
    return sorted(int(path.stem) for path in (settings.journal_dir / "snapshots").glob("*.snapshot"))


def first_kept(settings: Settings) -> int:
    """The oldest event of the journal."""
    return min(int(path.stem) for path in settings.journal_dir.glob("*.journal"))


async def trade(link: Link, prefix: str, orders: int) -> None:
    """Orders that rest and orders that meet them."""
    for number in range(0, orders, 10):
        bids = [order("DEMO", BUY, 2, 100 + n % 3, f"{prefix}-{number + n}") for n in range(5)]
        asks = [order("MM", SELL, 1, 101, f"{prefix}-{number + n}") for n in range(5)]
        await link.carry_out(*bids, *asks)


async def state(stub: Stub) -> list[Any]:
    """Everything that the server says of the two accounts, but for its own epoch."""
    said: list[Any] = []
    for name in ("DEMO", "MM"):
        account = await stub.GetAccount(wire.GetAccountRequest(account=name))
        account.ClearField("epoch")
        said += (account, await stub.ScanOrders(wire.ScanOrdersRequest(account=name, limit=1_000)))
    return said


async def until_dropped(settings: Settings, server: Server, link: Link) -> None:
    """Trades until the journal has let go of its beginning."""
    numbers = count(1)
    for generation in (1, 2, 3):
        while await last_seq(link.stub) < generation * INTERVAL_EVENTS + 10:
            await trade(link, f"{generation}.{next(numbers)}", 10)
        await server.logged("snapshot", generation)
    while first_kept(settings) == 1:
        await trade(link, f"more.{next(numbers)}", 10)


async def test_orders_go_on_beside_a_snapshot(settings: Settings, tmp_path: Path) -> None:
    """While a snapshot stands still in its process, the venue answers as ever; the snapshot is of before."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with reached(settings, HOLD.format(gate=str(gate))) as (server, stub):
        await day_closed(stub)
        async with linked(settings, stub) as link:
            while not psutil.Process(server.process.pid).children():
                await trade(link, f"a{link.sent}", 10)
            forked_at = await last_seq(stub)
            await trade(link, "beside", 400)
            assert seqs(settings) == []
            assert await last_seq(stub) > forked_at + 400
            gate.write_bytes(b"go")
            (told,) = await server.logged("snapshot")
            assert seqs(settings) == [told["seq"]]
            assert INTERVAL_EVENTS <= int(str(told["seq"])) <= forked_at
            assert (await last_seq(stub)) == verify(settings.journal_dir, from_snapshot=True).last_seq


async def test_a_start_begins_with_the_newest_snapshot(settings: Settings) -> None:
    """Two generations, a journal whose beginning is gone, and after a restart the same venue."""
    async with reached(settings) as (server, stub):
        await day_closed(stub)
        async with linked(settings, stub) as link:
            await until_dropped(settings, server, link)
            same = order("DEMO", BUY, 1, 90, "once")
            (made,) = await link.carry_out(same)
        before, end = await state(stub), await last_seq(stub)
        server.process.terminate()
        assert await server.ended() == 0
    kept = seqs(settings)
    assert len(kept) == 2
    assert 1 < first_kept(settings) <= kept[0] + 1
    async with reached(settings) as (server, stub):
        (recovered,) = await server.logged("recovered")
        assert (recovered["snapshot_seq"], recovered["last_seq"]) == (kept[1], end)
        assert int(str(recovered["commands"])) <= end - kept[1]
        assert await state(stub) == before
        assert len(await feed(stub, end - 10)) == 10
        async with linked(settings, stub) as link:
            (again,) = await link.carry_out(same)
            assert again.repeated is not None
            assert again.repeated.seq == made.seq
            assert link.epoch == 2


async def test_a_follower_of_what_was_dropped_is_told(settings: Settings) -> None:
    """SNAPSHOT_REQUIRED, before anything is sent; whoever asks for what is kept gets it without a gap."""
    async with reached(settings) as (server, stub):
        await day_closed(stub)
        async with linked(settings, stub) as link:
            await until_dropped(settings, server, link)
        server.process.terminate()
        await server.ended()
    async with reached(settings) as (_, stub):
        first, end = first_kept(settings), await last_seq(stub)
        for after in (0, first - 2):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await streamed(stub, after, end)
            assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE
            status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]  # it has what a call has
            info = error_details_pb2.ErrorInfo()
            assert status is not None
            assert status.details[0].Unpack(info)
            assert info.reason == "SNAPSHOT_REQUIRED"
        responses = await streamed(stub, first - 1, end)
        assert sum(len(response.events) for response in responses) == end - first + 1


async def test_a_folder_that_takes_no_snapshot_disturbs_nobody(settings: Settings) -> None:
    """It is logged each time, the journal keeps everything, and the venue goes on."""
    async with reached(settings) as (server, stub):
        (settings.journal_dir / "snapshots").write_bytes(b"not a folder")
        await day_closed(stub)
        async with linked(settings, stub) as link:
            for number in count(1):
                await trade(link, f"a{number}", 50)
                if len([line for line in server.log if line.get("event") == "snapshot failed"]) >= 2:
                    break
            failed = await server.logged("snapshot failed", 2)
            assert {line["status"] for line in failed} == {1}
            assert len(await feed(stub)) == await last_seq(stub)
        (settings.journal_dir / "snapshots").unlink()
        server.process.terminate()
        assert await server.ended() == 0
    assert verify(settings.journal_dir).snapshot_seq == 0


async def test_the_child_of_a_snapshot_is_alone(settings: Settings) -> None:
    """Fork after fork succeeds, and nothing but our own log is heard: no thread of gRPC begins again in a child."""
    often = settings.model_copy(update={"snapshot_interval_events": 30})
    async with reached(often) as (server, stub):
        await day_closed(stub)
        async with linked(often, stub) as link:
            while len([line for line in server.log if line.get("event") == "snapshot"]) < 12:
                await trade(link, f"a{link.sent}", 10)
                assert "snapshot failed" not in server.said
        server.process.terminate()
        assert await server.ended() == 0
    assert [line for line in server.log if "text" in line] == []


async def test_an_orderly_end_waits_for_the_snapshot(settings: Settings, tmp_path: Path) -> None:
    """SIGTERM while a snapshot is in the making: it is finished, then the process ends with 0."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with reached(settings, HOLD.format(gate=str(gate))) as (server, stub):
        await day_closed(stub)
        async with linked(settings, stub) as link:
            while not psutil.Process(server.process.pid).children():
                await trade(link, f"a{link.sent}", 10)
        server.process.terminate()
        await server.logged("draining")
        assert seqs(settings) == []
        gate.write_bytes(b"go")
        assert await server.ended() == 0
    assert len(seqs(settings)) == 1

"""Recorded order flow through the whole system, to the last event and to the audit log.

The file is made here, in LOBSTER's format, of a cycle of events whose outcome
is known exactly. Whatever is killed on the way, the outcome must be the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from clients.flow.lobster import FlowAccounts, Mapping, parse
from clients.flow.run import FlowOptions, FlowResult, run_flow
from clients.sdk.calls import Patience
from clients.sdk.client import Client
from clients.sdk.tokens import DevKeyTokens

if TYPE_CHECKING:
    from runtime.stack.system import Stack
    from tests.integration.conftest import Ordergate

ACCOUNTS = FlowAccounts("FLOW-BID", "FLOW-ASK", "FLOW-TAKER")
# One cycle: rest on both sides, lower one, trade with the other, miss, leave nothing behind.
CYCLE = (
    "1,{a},100,2230000,1",
    "1,{b},100,2231000,-1",
    "2,{a},40,2230000,1",
    "4,{b},30,2231000,-1",
    "5,0,10,2230550,-1",
    "5,0,10,2230500,-1",
    "3,{b},70,2231000,-1",
    "3,{a},60,2230000,1",
    "3,{unknown},5,2230000,1",
    "7,0,0,-1,-1",
)
COMMANDS_A_CYCLE = 8
CYCLE_S = 0.01
HURRIED = Patience(call_s=5.0, retry_s=30.0, reconnect_s=60.0)


def lines(cycles: int) -> list[str]:
    """The events of so many cycles."""
    made: list[str] = []
    for cycle in range(cycles):
        time = f"{34_200 + cycle * CYCLE_S:.9f}"
        ids = {"a": 10 * cycle + 1, "b": 10 * cycle + 2, "unknown": 10 * cycle + 3}
        made.extend(f"{time},{event.format(**ids)}" for event in CYCLE)
    return made


def expected(cycles: int) -> dict[str, Any]:
    """What so many cycles come to."""
    each = {
        "events": 10,
        "submits": 2,
        "replaces": 1,
        "cancels": 2,
        "executions": 3,
        "not_in_book": 1,
        "halts": 1,
        "commands": COMMANDS_A_CYCLE,
        "orders": 4,
        "fills": 1,
        "filled_qty": 30,
        "orders_replaced": 1,
        "orders_canceled": 2,
        "rests_canceled": 1,
    }
    return {
        **{name: count * cycles for name, count in each.items()},
        "rejects": {"PRICE_OFF_TICK": cycles},
        "unanswered": 0,
        "repeats": 0,
        "self_trades_prevented": 0,
    }


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    """A LOBSTER message file of 300 cycles with a header line."""
    path = tmp_path / "AMZN_2012-06-21_message_1.csv"
    path.write_text("\n".join(("Time,Type,OrderId,Size,Price,Direction", *lines(300))) + "\n")
    return path


@pytest_asyncio.fixture
async def client(system: Stack) -> AsyncIterator[Client]:
    """A client that may trade for the accounts of the flow."""
    tokens = DevKeyTokens.from_settings(system.settings, subject="flow", roles=["trader"], accounts=list(ACCOUNTS))
    async with Client(system.settings.gateway_address, token=tokens, patience=HURRIED) as connected:
        yield connected


async def amzn(client: Client, account: str) -> int:
    """Shares of AMZN that an account holds."""
    (position,) = (await client.positions(account, symbol="AMZN")).positions
    assert position.held_qty == "0"
    return int(position.qty)


async def test_every_event_is_accounted_for(ordergate: Ordergate, flow_file: Path, client: Client) -> None:
    """The summary is what the file's construction says, positions moved by the fills, and the audit log is verified."""
    before = [await amzn(client, account) for account in ACCOUNTS]
    finished = await ordergate("flow", flow_file, "--json", "--frame-size", 64, "--window", 256)
    assert finished.err == ""
    (summary,) = finished.objects
    assert {name: summary[name] for name in expected(300)} == expected(300)
    assert summary["reconnects"] == summary["resent"] == 0
    latency = list(summary["ack_latency_us"].values())
    assert list(summary["ack_latency_us"]) == ["p50", "p90", "p99", "p99.9", "max"]
    assert latency[0] > 0
    assert latency == sorted(latency)
    assert summary["audit"]["ok"]
    assert summary["audit"]["tree_size"] >= summary["last_seq"]
    after = [await amzn(client, account) for account in ACCOUNTS]
    assert [then - now for then, now in zip(after, before, strict=True)] == [0, -9000, 9000]


async def test_the_tape_shows_every_fill(system: Stack, ordergate: Ordergate, flow_file: Path, client: Client) -> None:
    """The trades that market data replays are the fills of the run, in order, at the price of the resting order."""
    start_seq = (await client.portfolio(ACCOUNTS.asks)).as_of_seq
    (summary,) = (await ordergate("flow", flow_file, "--json", "--no-audit", "--limit", 500)).objects
    tokens = DevKeyTokens.from_settings(system.settings, subject="reader", roles=["auditor"])
    trades = []
    async with (
        asyncio.timeout(30),
        Client(system.settings.marketdata_address, token=tokens) as reader,
        aclosing(reader.trades("AMZN", resume_after=start_seq)) as tape,
    ):
        async for trade in tape:
            trades.append(trade)
            if len(trades) == summary["fills"]:
                break
    assert len(trades) == 50
    assert {(one.trade.px, one.trade.qty) for one in trades} == {("223.10", "30")}
    seqs = [one.journal_seq for one in trades]
    assert seqs == sorted(set(seqs))
    assert start_seq < seqs[0] < seqs[-1] <= summary["last_seq"]


async def test_a_run_that_is_repeated_trades_nothing(ordergate: Ordergate, flow_file: Path, client: Client) -> None:
    """Under the same run id every request is answered with its original result."""
    arguments = (
        "flow",
        flow_file,
        "--json",
        "--no-audit",
        "--limit",
        100,
        "--run-id",
        f"again{flow_file.stat().st_ino}",
    )
    (first,) = (await ordergate(*arguments)).objects
    held = await amzn(client, ACCOUNTS.asks)
    (second,) = (await ordergate(*arguments)).objects
    assert first["repeats"] == 0
    assert (second["orders"], second["fills"], second["unanswered"]) == (0, 0, 0)
    assert second["repeats"] == second["commands"] - second["rejects"]["PRICE_OFF_TICK"]
    assert await amzn(client, ACCOUNTS.asks) == held


async def test_people_get_a_summary(ordergate: Ordergate, flow_file: Path) -> None:
    """Without --json the run ends with tables: counts, latency, and the audit log."""
    finished = await ordergate("flow", flow_file, "--limit", 50)
    assert finished.code == 0
    for word in ("not in the book", "PRICE_OFF_TICK 5", "p99.9", "entries are as signed"):
        assert word in finished.out


async def test_a_speed_keeps_the_recorded_distances(client: Client, flow_file: Path) -> None:
    """At ten times the speed, a second of events takes a tenth of a second at least."""
    result = await run_flow(client, mapping(flow_file), parse(lines(101)), FlowOptions(ACCOUNTS, speed=10.0))
    assert result.elapsed_s >= 100 * CYCLE_S / 10
    assert result.commands == 101 * COMMANDS_A_CYCLE
    assert result.unanswered == 0


@pytest.mark.parametrize("victims", [("gateway",), ("matching",), ("gateway", "matching")])
async def test_a_killed_server_changes_nothing(
    system: Stack, client: Client, tmp_path: Path, victims: tuple[str, ...]
) -> None:
    """kill -9 in the middle of the flow: every command is carried out exactly once, and every answer arrives."""
    cycles = 400
    before = await amzn(client, ACCOUNTS.asks)
    killing: list[asyncio.Task[None]] = []
    marks = {cycles * 10 * number // (len(victims) + 1): victim for number, victim in enumerate(victims, 1)}

    async def kill_and_restart(victim: str) -> None:
        await system.kill(victim)
        await system.restart(victim)

    def progress(events: int) -> None:
        for mark in [mark for mark in marks if mark <= events]:
            killing.append(asyncio.create_task(kill_and_restart(marks.pop(mark))))

    options = FlowOptions(ACCOUNTS, frame_size=32, window=256)
    flow = mapping(tmp_path)
    async with asyncio.timeout(120):
        result = await run_flow(client, flow, parse(lines(cycles)), options, progress)
        await asyncio.gather(*killing)
    assert len(killing) == len(victims)
    assert outcome(result) == {name: expected(cycles)[name] for name in outcome(result)}
    assert result.reconnects >= victims.count("gateway")
    assert before - await amzn(client, ACCOUNTS.asks) == 30 * cycles
    assert await seen_once(client, flow.prefix, result) == cycles


async def test_the_command_survives_every_server(
    system: Stack, client: Client, ordergate: Ordergate, flow_file: Path
) -> None:
    """With gateway, matching and compliance killed under it, the run ends with the same summary and a verified log."""
    start_seq = (await client.portfolio(ACCOUNTS.asks)).as_of_seq
    flow = asyncio.create_task(ordergate("flow", flow_file, "--json", "--speed", 1, "--frame-size", 16, "--window", 64))
    victims = ["compliance", "gateway", "matching"]
    reports = 0
    async with asyncio.timeout(100), aclosing(client.reports(ACCOUNTS.asks, resume_after=start_seq)) as stream:
        async for _ in stream:
            reports += 1
            if reports % 200 == 0:
                victim = victims.pop(0)
                await system.kill(victim)
                await system.restart(victim)
            if not victims:
                break
    finished = await flow
    assert (finished.code, finished.err) == (0, "")
    (summary,) = finished.objects
    assert {name: summary[name] for name in expected(300)} == expected(300)
    assert summary["reconnects"] >= 1
    assert summary["audit"]["ok"]
    assert summary["audit"]["tree_size"] >= summary["last_seq"]


def mapping(path: Path) -> Mapping:
    """A mapping with a run id of this test's own."""
    return Mapping(f"t{abs(hash(path)) % 10**12}", "AMZN", ACCOUNTS)


def outcome(result: FlowResult) -> dict[str, Any]:
    """What the client saw, in the words of `expected`."""
    tally = result.tally
    return {
        "orders": tally.accepted,
        "fills": tally.fills,
        "filled_qty": tally.filled_qty,
        "orders_replaced": tally.replaces,
        "orders_canceled": tally.cancels,
        "rests_canceled": tally.unfilled_rests,
        "rejects": dict(tally.rejects),
        "repeats": tally.repeats,
        "self_trades_prevented": tally.self_trades_prevented,
        "unanswered": result.unanswered,
    }


async def seen_once(client: Client, prefix: str, result: FlowResult) -> int:
    """Fills of the run as a fresh report stream tells them; the last report of the run ends it."""
    fills = 0
    keys = set()
    async with aclosing(client.reports(ACCOUNTS.taker, resume_after=result.tally.start_seq)) as reports:
        async for report in reports:
            if report.cl_ord_id.startswith(prefix):
                fills += bool(report.last_qty)
                keys.add((report.cl_ord_id, report.exec_type))
            if fills == result.tally.fills and len(keys) == 4 * fills:
                return fills
    raise AssertionError("the report stream ended")

"""A reader of reports over REST that does not read: Envoy holds it up, the gateway cuts it, and nobody else notices."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest_asyncio
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import Client
from runtime.stack.home import isolated
from runtime.stack.system import Stack, stack

BASKET = 250
REPORTS_MIN = 8_000
GROWTH_MB_MAX = 24.0
"""What the gateway may need beyond what it needed before, for who reads and who does not."""
RECEIVE_BUFFER_BYTES = 65_536
"""Enough for a reader that reads on to have the end before its call is broken off."""


@pytest_asyncio.fixture
async def system(tmp_path: Path) -> AsyncIterator[Stack]:
    """A system of the test's own that is less patient than others."""
    async with stack(isolated(tmp_path / "home", slow_reader_s=1.0)) as running:
        yield running


def basket(number: int) -> list[orders.OrderTerms]:
    """Orders that rest far from the market, each at a price of its own."""
    return [
        orders.OrderTerms(
            account="DEMO",
            cl_ord_id=f"{number}-{place}",
            symbol="AAPL",
            side=types.SIDE_BUY,
            ord_type=types.ORD_TYPE_LIMIT,
            time_in_force=types.TIME_IN_FORCE_GTC,
            qty="1",
            price=f"1.{place % 100:02}",
        )
        for place in range(BASKET)
    ]


@asynccontextmanager
async def lines(system: Stack, resume_after: int) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """DEMO's reports over REST; little is under way to a reader that does not read."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)]
    headers = {"Authorization": f"Bearer {system.token()}"}
    asked = {"account": "DEMO", "resume_after": str(resume_after)}
    async with (
        httpx.AsyncClient(
            base_url=system.rest_url, timeout=60, transport=httpx.AsyncHTTPTransport(socket_options=small)
        ) as client,
        client.stream("GET", "/api/v1/execution-reports:stream", params=asked, headers=headers) as response,
    ):
        response.raise_for_status()
        yield (json.loads(line) async for line in response.aiter_lines())


async def cut(system: Stack) -> float:
    """How many readers the gateway has cut."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{system.settings.gateway_metrics_port}/metrics")).text
    return next(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("ordergate_gateway_readers_cut_total ")
    )


def resident_mb(system: Stack) -> float:
    """The gateway's memory."""
    memory: int = psutil.Process(system.pid("gateway")).memory_info().rss
    return memory / 1e6


def seqs_in(told: list[dict[str, Any]]) -> list[int]:
    """The sequences of the reports in lines of a stream."""
    return [int(line["seq"]) for line in told if "report" in line]


async def trade(
    system: Stack, trader: Client, beside: AsyncIterator[orders.ExecutionReport]
) -> tuple[list[int], float]:
    """Orders until the silent reader is cut, and many in all, each heard by the reader beside it before the next ones.

    Returns:
        The sequences of their reports, and by how much the gateway's memory grew at most.
    """
    placed: list[int] = []
    before_mb = most_mb = resident_mb(system)
    while len(placed) < REPORTS_MIN or not await cut(system):
        results = await trader.submit_many(basket(1 + len(placed)))
        seqs = [one.report.seq for one in results if one.report is not None]
        assert [(await anext(beside)).seq for _ in range(BASKET)] == seqs
        placed += seqs
        most_mb = max(most_mb, resident_mb(system))
    return placed, most_mb - before_mb


async def test_a_rest_reader_that_does_not_read_is_cut(system: Stack) -> None:
    """In bounded memory of the gateway, while a reader beside it has every report as it comes; once it reads on it
    finds SLOW_CONSUMER in band behind what was under way, and the place from which on it misses nothing."""
    async with Client([f"127.0.0.1:{system.settings.envoy_port}"], token=system.token()) as trader:
        first = await trader.submit(basket(0)[0])
        async with lines(system, first.seq) as slow, aclosing(trader.reports("DEMO", resume_after=first.seq)) as beside:
            assert "subscribed" in await anext(slow)
            placed, growth_mb = await trade(system, trader, beside)
            late = [line async for line in slow]
    assert growth_mb < GROWTH_MB_MAX
    got = seqs_in(late)
    end = late[-1]["end"]
    assert (end["reason"], int(end["resume_after"])) == ("REASON_SLOW_CONSUMER", got[-1])
    assert len(got) < len(placed)
    async with lines(system, got[-1]) as again:
        async for line in again:
            got += seqs_in([line])
            if len(got) == len(placed):
                break
    assert got == placed

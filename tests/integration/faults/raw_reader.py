"""A reader of a report stream without the SDK, which would drop what comes twice: it writes down whatever comes.

It goes from one gateway to the other whenever a connection ends or falls
silent, and asks for what comes after the last message that it has. Recorded as
any other reader in `history`.
"""

import asyncio
from collections.abc import Callable
from itertools import cycle
from typing import Any

import grpc
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import order_entry_pb2_grpc
from ordergate.orders.v1 import orders_pb2 as orders

from clients.sdk.calls import bearer
from runtime.channels import client_channel
from tests.integration.faults.history import Heard, History
from tests.integration.faults.servers import Servers

SILENCE_MAX_S = 3.0
"""Three heartbeats."""
AGAIN_S = 0.05
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
IsLast = Callable[[orders.ExecutionReport], bool]


class RawReader:
    """One account's reader, from the beginning on."""

    def __init__(self, history: History, venue: Servers, account: str) -> None:
        self._history = history
        self._addresses = cycle(venue.addresses)
        self._token = venue.token(account)
        self._account = account
        self._heard = Heard(f"raw reports of {account}", frozenset({account}), 0)
        self._seq = 0
        history.readers.append(self._heard)

    async def run(self, is_last: IsLast) -> None:
        """Reads until it has heard the last report there is."""
        while not await self._read_one(is_last):
            # Nobody tells when a gateway is back: it is asked again and again.
            await asyncio.sleep(AGAIN_S)

    async def _read_one(self, is_last: IsLast) -> bool:
        """Reads one connection to its end; says whether it has heard the last report."""
        request = entry.StreamExecutionReportsRequest(account=self._account, resume_after=self._seq)
        async with client_channel(next(self._addresses)) as channel:
            stub = order_entry_pb2_grpc.OrderEntryServiceStub(channel)
            call: Any = stub.StreamExecutionReports(request, metadata=bearer(self._token()))
            try:
                while True:
                    async with asyncio.timeout(SILENCE_MAX_S):
                        message = await call.read()
                    if message is grpc.aio.EOF:
                        return False
                    if self._take(message) and is_last(message.report):
                        return True
            except TimeoutError:
                return False
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                return False

    def _take(self, message: entry.StreamExecutionReportsResponse) -> bool:
        """Notes what a message says; whether that is a report."""
        assert message.prev_seq == self._seq, f"{self._heard.name}: {message.prev_seq} after {self._seq}"
        self._seq = message.seq
        if not message.HasField("report"):
            return False
        assert message.report.seq == message.seq
        self._heard.reports.append((self._history.now(), message.report))
        return True

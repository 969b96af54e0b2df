"""An account as it is and as it goes on, over gaps that no stream can fill; a part of `clients.sdk.client`."""

import asyncio
from collections.abc import AsyncGenerator

from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.orders.v1 import portfolio_pb2 as contract

from clients.sdk.backoff import Backoff
from clients.sdk.errors import StreamGap
from clients.sdk.holdings import Holdings
from clients.sdk.trading import Trading


class Accounts(Trading, Holdings):
    """Orders and holdings together; a part of `Client`."""

    async def account(
        self, account: str
    ) -> AsyncGenerator[contract.GetAccountSnapshotResponse | orders.ExecutionReport, None]:
        """An account as it is, and then every report that changes it; a snapshot again when the history is gone.

        A snapshot replaces all that was told before it; no report after it is missing or repeated.

        Raises:
            OrdergateError: the gateway refused, or patience is over.
        """
        backoff = Backoff(self._caller.patience.reconnect_s)
        while True:
            snapshot = await self.snapshot(account)
            yield snapshot
            try:
                async for report in self.reports(account, resume_after=snapshot.as_of_seq):
                    backoff.succeeded()
                    yield report
            except StreamGap:
                delay_s = backoff.next_delay()
                if delay_s is None:
                    raise
                await asyncio.sleep(delay_s)

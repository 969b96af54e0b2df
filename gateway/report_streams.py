"""Opens streams of reports: whose they are, where they begin, how long they may live.

Called by `gateway.order_service`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.drop_copy import ACCOUNTS_MAX, DropCopy
from gateway.link import Link
from gateway.lookup import check_account
from gateway.rates.charge import payer
from gateway.rates.limits import RateLimits, taken
from gateway.reports import Reports
from gateway.stream import ReportStream, Stream
from runtime.auth import current_principal, current_verifier
from runtime.errors import Refused
from runtime.lifetimes import Lifetimes
from runtime.settings import Settings


class ReportStreams:
    """The report streams and drop copies of one gateway."""

    def __init__(
        self, settings: Settings, link: Link, reports: Reports, lifetimes: Lifetimes, limits: RateLimits
    ) -> None:
        self._settings = settings
        self._link = link
        self._reports = reports
        self._lifetimes = lifetimes
        self._limits = limits
        self._numbers = count(1)

    def of_account(self, request: wire.StreamExecutionReportsRequest, context: Any) -> AsyncIterator[Any]:
        """The messages of StreamExecutionReports; what came before its beginning is refused when it is read."""
        check_account(request.account)
        return self._served(ReportStream, "reports", [request.account], request, context)

    def drop_copy(self, request: wire.StreamDropCopyRequest, context: Any) -> AsyncIterator[Any]:
        """The messages of StreamDropCopy.

        The authorization has filled in the accounts of a caller who is bound to
        some; without any the caller may see all.
        """
        accounts = list(dict.fromkeys(request.accounts))
        if len(accounts) > ACCOUNTS_MAX:
            text = f"a drop copy has at most {ACCOUNTS_MAX} accounts, or all"
            raise Refused(types.REASON_FIELD_INVALID, text, field="accounts")
        if "" in accounts:
            raise Refused(types.REASON_FIELD_MISSING, "an account is empty", field="accounts")
        return self._served(DropCopy, "drop-copy", accounts, request, context)

    async def _served(
        self,
        kind: type[Stream],
        name: str,
        accounts: list[str],
        request: wire.StreamExecutionReportsRequest | wire.StreamDropCopyRequest,
        context: Any,
    ) -> AsyncIterator[Any]:
        """Opens a stream and gives its messages until it ends or its call does."""
        # One of all accounts is charged to its caller.
        for account in accounts or [""]:
            await taken(self._limits.take_query, payer(account))
        self._link.check_up()
        resume_after = request.resume_after if request.HasField("resume_after") else None
        if resume_after is not None:
            await self._reports.reach(self._link.stub, resume_after)
        stream_id = f"{self._settings.gateway_id}-{name}-{self._reports.epoch}-{next(self._numbers)}"
        heartbeat_s = self._settings.heartbeat_interval_s
        stream = kind(stream_id, accounts, resume_after, lambda: self._link.stub, self._reports, heartbeat_s)
        life = self._lifetimes.begin(stream, current_principal(), current_verifier(), context)

        def ended(_: Any) -> None:
            self._lifetimes.end(life)
            stream.leave()

        # A call that is broken off leaves its generator behind for the collector: this comes at once.
        context.add_done_callback(ended)
        self._reports.subscribe(stream)
        async for message in stream.write():
            yield message

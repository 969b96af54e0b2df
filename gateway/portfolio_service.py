"""PortfolioService: the ledger of matching, with decimals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ordergate.orders.v1 import portfolio_pb2 as wire
from ordergate.orders.v1 import portfolio_pb2_grpc

from gateway.accounts import Accounts
from gateway.convert import order_of
from gateway.holdings import balance_of, exposures_of, portfolio_of, position_of
from gateway.link import Link
from gateway.lookup import check_account
from gateway.portfolio_stream import Portfolios
from gateway.rates.charge import charged, payer
from gateway.rates.limits import RateLimits, taken
from runtime.instruments import Instruments
from runtime.lifetimes import Lifetimes


class PortfolioService(portfolio_pb2_grpc.PortfolioServiceServicer):
    """Positions, cash and buying power."""

    def __init__(
        self,
        link: Link,
        instruments: Instruments,
        accounts: Accounts,
        portfolios: Portfolios,
        lifetimes: Lifetimes,
        limits: RateLimits,
    ) -> None:
        self._link = link
        self._instruments = instruments
        self._accounts = accounts
        self._portfolios = portfolios
        self._lifetimes = lifetimes
        self._limits = limits

    async def ListPositions(self, request: wire.ListPositionsRequest, context: Any) -> wire.ListPositionsResponse:
        """The positions of an account."""
        async with self._charged(request.account, context):
            if request.symbol:
                self._instruments.require(request.symbol)
            ledger = await self._accounts.ledger(request.account)
        return wire.ListPositionsResponse(
            account=request.account,
            positions=[
                position_of(state, self._instruments)
                for state in ledger.positions
                if request.symbol in ("", state.symbol)
            ],
            as_of_seq=ledger.as_of_seq,
        )

    async def ListBalances(self, request: wire.ListBalancesRequest, context: Any) -> wire.ListBalancesResponse:
        """The cash of an account."""
        async with self._charged(request.account, context):
            ledger = await self._accounts.ledger(request.account)
        return wire.ListBalancesResponse(
            account=request.account,
            balances=[balance_of(state) for state in ledger.cash if request.currency in ("", state.currency)],
            as_of_seq=ledger.as_of_seq,
        )

    async def GetPortfolio(self, request: wire.GetPortfolioRequest, context: Any) -> wire.GetPortfolioResponse:
        """Cash and positions of an account, and what is at stake."""
        async with self._charged(request.account, context):
            ledger = await self._accounts.ledger(request.account)
        return portfolio_of(request.account, ledger, self._instruments)

    async def GetAccountSnapshot(
        self, request: wire.GetAccountSnapshotRequest, context: Any
    ) -> wire.GetAccountSnapshotResponse:
        """An account as a whole, open orders included, to go on from."""
        async with self._charged(request.account, context):
            ledger = await self._accounts.ledger(request.account, with_open_orders=True)
        return wire.GetAccountSnapshotResponse(
            account=request.account,
            as_of_seq=ledger.as_of_seq,
            account_seq=ledger.account_seq,
            epoch=ledger.epoch,
            open_orders=[order_of(state, self._instruments) for state in ledger.orders],
            balances=[balance_of(state) for state in ledger.cash],
            positions=[position_of(state, self._instruments) for state in ledger.positions],
            exposures=exposures_of(ledger, self._instruments),
        )

    async def StreamPortfolio(
        self, request: wire.StreamPortfolioRequest, context: Any
    ) -> AsyncIterator[wire.StreamPortfolioResponse]:
        """Streams the portfolio of an account."""
        check_account(request.account)
        await taken(self._limits.take_query, payer(request.account))
        async for message in self._portfolios.stream(request, context):
            yield message

    def _charged(self, account: str, context: Any) -> charged:
        """Takes a query's token for the block, on a server that takes on work and knows the instruments.

        Raises:
            Refused: the gateway is about to stop, or has not reached matching yet, or no account is named.
        """
        self._lifetimes.check_open()
        self._link.check_known()
        check_account(account)
        return charged(context, self._limits.take_query, payer(account))

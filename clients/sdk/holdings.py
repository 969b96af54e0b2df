"""The calls and streams about what an account holds; a part of `clients.sdk.client`."""

from collections.abc import AsyncGenerator

from ordergate.orders.v1 import portfolio_pb2 as contract

from clients.sdk.calls import Caller
from clients.sdk.places import Service
from clients.sdk.streams import StreamKind, follow

_PORTFOLIO = StreamKind("portfolios", resumes=False, snapshots=frozenset({"portfolio"}))


class Holdings:
    """What can be asked about an account; a part of `Client`."""

    _caller: Caller
    _portfolio: Service

    async def positions(self, account: str, *, symbol: str = "") -> contract.ListPositionsResponse:
        """What an account holds."""
        request = contract.ListPositionsRequest(account=account, symbol=symbol)
        response: contract.ListPositionsResponse = await self._caller.call(self._portfolio.ListPositions, request)
        return response

    async def balances(self, account: str, *, currency: str = "") -> contract.ListBalancesResponse:
        """The cash of an account."""
        request = contract.ListBalancesRequest(account=account, currency=currency)
        response: contract.ListBalancesResponse = await self._caller.call(self._portfolio.ListBalances, request)
        return response

    async def portfolio(self, account: str) -> contract.GetPortfolioResponse:
        """Cash, positions, buying power and exposure of an account."""
        request = contract.GetPortfolioRequest(account=account)
        response: contract.GetPortfolioResponse = await self._caller.call(self._portfolio.GetPortfolio, request)
        return response

    async def portfolios(
        self, account: str, *, interval_ms: int = 0
    ) -> AsyncGenerator[contract.GetPortfolioResponse, None]:
        """The portfolio as it is, and again whenever it or the price of what it holds has changed.

        Args:
            account: whose.
            interval_ms: shortest time between two of them, 10 to 60000; the gateway's default when 0.
        """
        request = contract.StreamPortfolioRequest(account=account, interval_ms=interval_ms)
        messages = follow(self._caller, _PORTFOLIO, self._portfolio.StreamPortfolio, lambda _position: request)
        async for message in messages:
            yield message.portfolio

    async def snapshot(self, account: str) -> contract.GetAccountSnapshotResponse:
        """An account as a whole at one sequence; `reports` and `session` go on after its `as_of_seq`."""
        request = contract.GetAccountSnapshotRequest(account=account)
        response: contract.GetAccountSnapshotResponse = await self._caller.call(
            self._portfolio.GetAccountSnapshot, request
        )
        return response

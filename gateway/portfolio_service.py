"""PortfolioService: the ledger of matching, with decimals."""

from typing import Any

from ordergate.matching.v1 import matching_pb2 as link_wire
from ordergate.orders.v1 import portfolio_pb2 as wire
from ordergate.orders.v1 import portfolio_pb2_grpc
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import balance_of, position_of
from gateway.link import Link
from gateway.lookup import matching_reached
from runtime.errors import Refused
from runtime.instruments import Instruments


class PortfolioService(portfolio_pb2_grpc.PortfolioServiceServicer):
    """Positions, cash and buying power."""

    def __init__(self, link: Link, instruments: Instruments) -> None:
        self._link = link
        self._instruments = instruments

    async def ListPositions(self, request: wire.ListPositionsRequest, context: Any) -> wire.ListPositionsResponse:
        """The positions of an account."""
        if request.symbol:
            self._link.check_known()
            self._instruments.require(request.symbol)
        ledger = await self._ledger(request.account)
        return wire.ListPositionsResponse(
            account=request.account,
            positions=[
                position_of(state, self._instruments)
                for state in ledger.positions
                if not request.symbol or state.symbol == request.symbol
            ],
            as_of_seq=ledger.as_of_seq,
        )

    async def GetPortfolio(self, request: wire.GetPortfolioRequest, context: Any) -> wire.GetPortfolioResponse:
        """Cash and positions of an account."""
        ledger = await self._ledger(request.account)
        return wire.GetPortfolioResponse(
            account=request.account,
            balances=[balance_of(state) for state in ledger.cash],
            positions=[position_of(state, self._instruments) for state in ledger.positions],
            open_orders=ledger.open_orders,
            as_of_seq=ledger.as_of_seq,
        )

    async def _ledger(self, account: str) -> link_wire.GetAccountResponse:
        if not account:
            raise Refused(types.REASON_FIELD_MISSING, "account is missing", field="account")
        with matching_reached():
            ledger = await self._link.stub.GetAccount(link_wire.GetAccountRequest(account=account))
        if not ledger.found:
            text = "there is no such account"
            raise Refused(types.REASON_ACCOUNT_UNKNOWN, text, field="account", metadata={"account": account[:40]})
        return ledger

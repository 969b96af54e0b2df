"""Asks matching for the ledger of an account.

Called by `gateway.portfolio_service` and `gateway.portfolio_stream`.
"""

from __future__ import annotations

import grpc
from ordergate.matching.v1 import matching_pb2 as link_wire
from ordergate.types.v1 import types_pb2 as types

from gateway.link import Link
from gateway.lookup import check_account, matching_reached
from runtime.errors import Refused, reason_of
from runtime.instruments import Instruments


class Accounts:
    """The accounts that matching knows."""

    def __init__(self, link: Link, instruments: Instruments) -> None:
        self._link = link
        self._instruments = instruments

    async def ledger(self, account: str, *, with_open_orders: bool = False) -> link_wire.GetAccountResponse:
        """The ledger of an account as of one event; every instrument in it is known afterwards.

        Raises:
            Refused: there is no such account, matching cannot be reached, or MESSAGE_TOO_LARGE: there are more
                open orders than fit.
        """
        check_account(account)
        request = link_wire.GetAccountRequest(account=account, with_open_orders=with_open_orders)
        with matching_reached():
            try:
                ledger = await self._link.stub.GetAccount(request)
            except grpc.aio.AioRpcError as error:
                if (reason := reason_of(error)) != types.REASON_MESSAGE_TOO_LARGE:
                    raise
                raise Refused(reason, error.details() or "there are too many open orders") from None
            if not ledger.found:
                text = "there is no such account"
                raise Refused(types.REASON_ACCOUNT_UNKNOWN, text, field="account", metadata={"account": account[:40]})
            if any(self._instruments.get(state.symbol) is None for state in ledger.positions):
                await self._link.learn()
        return ledger

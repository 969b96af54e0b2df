"""The client: every public call and stream of ordergate, typed.

Unary calls retry what is safe to retry; streams heal themselves; failures are
`OrdergateError`s. The calls are grouped by what they are about: `Trading`,
`Holdings`, `Market`, `AuditLog`. All of them may go to one address, where Envoy
stands, or to several gateways that stand for each other.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc
from ordergate.compliance.v1 import audit_pb2_grpc
from ordergate.marketdata.v1 import marketdata_pb2_grpc
from ordergate.orders.v1 import order_entry_pb2_grpc, portfolio_pb2_grpc

from clients.sdk.accounts import Accounts
from clients.sdk.audit import AuditLog
from clients.sdk.calls import Caller, Patience, open_channel
from clients.sdk.market import Market
from clients.sdk.places import Places, Service
from clients.sdk.tokens import TokenProvider, static_token

Addresses = str | Sequence[str]


class Client(Accounts, Market, AuditLog):
    """A connection to an installation of ordergate.

    Args:
        gateway: address of the gateway, or of Envoy; or of several gateways, of which one is used until it fails.
        marketdata: address of the market data server; the gateway's when not given.
        compliance: address of the compliance server; the gateway's when not given.
        token: a bearer token, or a provider that is asked before each call.
        credentials: TLS credentials, such as `tls_credentials` gives; plain text without.
        patience: how long to wait and retry.

    Raises:
        ValueError: no address is given.
    """

    def __init__(
        self,
        gateway: Addresses,
        *,
        marketdata: Addresses | None = None,
        compliance: Addresses | None = None,
        token: str | TokenProvider | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        patience: Patience | None = None,
    ) -> None:
        provider = static_token(token) if isinstance(token, str) else token
        self._caller = Caller(provider, patience or Patience())
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}
        gateways = self._places(gateway)
        self._orders = Service(order_entry_pb2_grpc.OrderEntryServiceStub, gateways)
        self._portfolio = Service(portfolio_pb2_grpc.PortfolioServiceStub, gateways)
        self._market = Service(marketdata_pb2_grpc.MarketDataServiceStub, self._places(marketdata or gateway))
        self._audit = Service(audit_pb2_grpc.AuditServiceStub, self._places(compliance or gateway))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        for channel in self._channels.values():
            await channel.close()

    def _places(self, addresses: Addresses) -> Places:
        named = [addresses] if isinstance(addresses, str) else list(addresses)
        if not named:
            raise ValueError("a client needs at least one address")
        for address in named:
            if address not in self._channels:
                self._channels[address] = open_channel(address, self._credentials)
        return Places([self._channels[address] for address in named])

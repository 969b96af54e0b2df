"""One connection to a server, and unary calls over it that retry what is safe to retry."""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any

import grpc

from clients.sdk import errors
from clients.sdk.backoff import Backoff
from clients.sdk.tokens import TokenProvider
from runtime.channels import OPTIONS, client_channel

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client waits.

    Args:
        call_s: deadline of one attempt of a unary call, and of a stream's first answer.
        retry_s: total time over all attempts of a unary call, and for the first connection of a stream.
        reconnect_s: how long a stream that had begun may stay broken.
    """

    call_s: float = 5.0
    retry_s: float = 10.0
    reconnect_s: float = 120.0


def open_channel(address: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    """A channel to `address`; with TLS when `credentials` are given."""
    if credentials is None:
        return client_channel(address)
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)


async def bearer(provider: TokenProvider | None) -> Metadata:
    """The call metadata that carries the provider's present token."""
    if provider is None:
        return ()
    token = provider()
    if inspect.isawaitable(token):
        token = await token
    return (("authorization", f"Bearer {token}"),)


class Caller:
    """Makes calls with a fresh token, a deadline and safe retries."""

    def __init__(self, token: TokenProvider | None, patience: Patience) -> None:
        self.token = token
        self.patience = patience

    async def call(self, method: Any, request: Any) -> Any:
        """Calls a unary method. Every request of ordergate may be repeated: its key makes it idempotent.

        Raises:
            OrdergateError: the typed answer, once it is definite or patience is over.
        """
        backoff = Backoff(self.patience.retry_s)
        while True:
            try:
                return await method(request, metadata=await bearer(self.token), timeout=self.patience.call_s)
            except grpc.aio.AioRpcError as failure:
                error = errors.from_rpc(failure)
            if not isinstance(error, errors.Unavailable):
                raise error
            delay_s = backoff.next_delay(error.retry_after or 0.0)
            if delay_s is None:
                raise error
            await asyncio.sleep(delay_s)

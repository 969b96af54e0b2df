"""One connection to a server, and unary calls over it that retry what is safe to retry."""

import asyncio
import inspect
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import grpc

from clients.sdk import errors
from clients.sdk.backoff import Backoff
from clients.sdk.places import Method
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


def bearer(token: str) -> Metadata:
    """The call metadata that carries a token."""
    return (("authorization", f"Bearer {token}"),) if token else ()


class Caller:
    """Makes calls with a fresh token, a deadline and safe retries."""

    def __init__(self, token: TokenProvider | None, patience: Patience) -> None:
        self._provider = token
        self.patience = patience

    async def token(self) -> str:
        """The provider's present token; empty without a provider.

        Raises:
            Unavailable: the provider has failed, which says nothing about the next time.
        """
        if self._provider is None:
            return ""
        try:
            token = self._provider()
            return await token if inspect.isawaitable(token) else token
        except errors.OrdergateError:
            raise
        except Exception as failure:
            raise errors.Unavailable(f"there is no token: {failure}", reason="NO_TOKEN") from failure

    async def call(self, method: Method, request: Any) -> Any:
        """Calls a unary method. Every request of ordergate may be repeated: its key makes it idempotent.

        Repeated is what could not be answered, and what a budget had no room for, at the time that the
        server names; with a new token once when the old one has run out.

        Raises:
            OrdergateError: the typed answer, once it is definite or patience is over.
        """
        backoff = Backoff(self.patience.retry_s)
        has_renewed = False
        while True:
            place, token = method.place, ""
            try:
                token = await self.token()
                return await method.at(place)(request, metadata=bearer(token), timeout=self.patience.call_s)
            except grpc.aio.AioRpcError as failure:
                error = errors.from_rpc(failure)
            except errors.Unavailable as failure:
                error = failure
            at_least_s = error.retry_after or 0.0
            if error.reason == "TOKEN_EXPIRED" and not has_renewed and await self.token() != token:
                has_renewed = True
                continue
            if isinstance(error, errors.Unavailable):
                at_least_s = 0.0 if method.leave(place) else at_least_s
            elif not isinstance(error, errors.RateLimited) or error.retry_after is None:
                raise error
            delay_s = backoff.next_delay(at_least_s)
            if delay_s is None:
                raise error
            await asyncio.sleep(delay_s)

    async def pages(self, method: Method, request: Any) -> AsyncGenerator[Any, None]:
        """The pages of a list, one call for each."""
        while True:
            page = await self.call(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

"""What keeps one connection of a session alive: its dead-man timer and its token, each renewed in time.

Both run beside the commands and never wait for them. Used by `clients.sdk.session`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count

from ordergate.orders.v1 import order_entry_pb2 as entry

from clients.sdk import errors
from clients.sdk.calls import Caller
from clients.sdk.inbox import RENEWALS_FROM
from clients.sdk.tokens import expires_at_s

RENEWALS_PER_TIMER = 3
LEAD_FRACTION = 0.2
LEAD_S_MAX = 60.0
"""A token is replaced when less than this part of its life is left, and not earlier than that."""
TRIES_PER_LEAD = 10
TRY_S_MIN = 0.05

Put = Callable[[entry.OrderSessionRequest], Awaitable[None]]
_renewals = count(RENEWALS_FROM)


async def renew_timer(put: Put, timer_ms: int) -> None:
    """Renews the dead-man timer three times in its span, until it is cancelled."""
    while True:
        await asyncio.sleep(timer_ms / 1000 / RENEWALS_PER_TIMER)
        renewal = entry.SessionCommand(correlation_id=next(_renewals), renew_timer=entry.RenewTimer())
        await put(entry.OrderSessionRequest(frame=entry.CommandFrame(commands=[renewal])))


class TokenKeeper:
    """Shows the gateway a new token before the one that it knows runs out.

    Args:
        caller: has the provider.
        token: the one that the connection began with.
        expires_s: when it runs out, Unix time; None to read it in the token.
    """

    def __init__(self, caller: Caller, token: str, expires_s: float | None) -> None:
        self._caller = caller
        self._token = token
        self._expires_s = expires_s or expires_at_s(token)
        self._asked_for = asyncio.Event()

    def hurry(self) -> None:
        """The gateway says that the token is about to run out."""
        self._asked_for.set()

    async def run(self, put: Put) -> None:
        """Works until it is cancelled; ends at once where a token does not say when it runs out."""
        while self._expires_s is not None:
            lead_s = min(LEAD_S_MAX, max(0.0, self._expires_s - time.time()) * LEAD_FRACTION)
            await self._wait(self._expires_s - time.time() - lead_s)
            while not await self._renewed(put):
                await self._wait(max(TRY_S_MIN, lead_s / TRIES_PER_LEAD))

    async def _wait(self, seconds: float) -> None:
        """Until then, or until the gateway asks."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._asked_for.wait()
        self._asked_for.clear()

    async def _renewed(self, put: Put) -> bool:
        """Whether the provider had another token, which the gateway has now been shown."""
        try:
            token = await self._caller.token()
        except errors.Unavailable:
            return False
        if token == self._token:
            return False
        await put(entry.OrderSessionRequest(authentication=entry.Authentication(token=token)))
        self._token, self._expires_s = token, expires_at_s(token)
        return True

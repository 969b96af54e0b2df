"""Charges a unary call to a budget, and tells its caller what is left of it.

What is left are the header fields `ratelimit-limit`, `-remaining` and `-reset`
of the IETF draft "RateLimit header fields": initial metadata of the call, and
so headers of a REST answer, whether the request was carried out or refused; a
refusal has `retry-after` too. They travel while the request is being carried out.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from ordergate.orders.v1 import order_entry_pb2 as wire

from gateway.rates.limits import RateExceeded, taken
from runtime.auth import current_principal

MS_PER_S = 1_000


def payer(account: str) -> str:
    """Whose budget of queries a call draws on: the account's for whoever holds it, their own for those who oversee it.

    So nobody's watching takes from what a trader may ask.
    """
    principal = current_principal()
    return account if account in principal.accounts else f"~{principal.subject}"


def fields(budget: wire.RateBudget) -> tuple[tuple[str, str], ...]:
    """The header fields of a budget; the reset is in whole seconds, rounded up."""
    return (
        ("ratelimit-limit", str(budget.limit)),
        ("ratelimit-remaining", str(budget.remaining)),
        ("ratelimit-reset", str(-(-budget.reset_ms // MS_PER_S))),
    )


class charged:  # noqa: N801  # reads as a participle where it is used
    """Takes tokens for the block, which is refused without them; sends what is left of them."""

    __slots__ = ("_account", "_context", "_count", "_take", "_telling")

    def __init__(self, context: Any, take: Callable[[str, int], wire.RateBudget], account: str, count: int = 1) -> None:
        self._context = context
        self._take = take
        self._account = account
        self._count = max(1, count)
        self._telling: asyncio.Future[None]

    async def __aenter__(self) -> None:
        """Takes the tokens.

        Raises:
            RateExceeded: there are not so many.
        """
        try:
            budget = await taken(self._take, self._account, self._count)
        except RateExceeded as error:
            retry_after = ("retry-after", str(math.ceil(error.retry_after_s or 0)))
            await self._context.send_initial_metadata((*fields(error.budget), retry_after))
            raise
        self._telling = asyncio.ensure_future(self._context.send_initial_metadata(fields(budget)))
        self._telling.add_done_callback(_heard)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        """Makes sure that the answer does not overtake its headers."""
        if not self._telling.done() and (kind is None or issubclass(kind, Exception)):
            await asyncio.wait((self._telling,))


def _heard(telling: asyncio.Future[None]) -> None:
    """Headers that could not be sent are no fault: the caller is gone, and the answer will not reach it either."""
    if not telling.cancelled():
        telling.exception()

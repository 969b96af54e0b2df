"""The budgets of requests: who may send how many orders, cancels and queries, and how many are left.

An account has a budget for orders, one for cancels and one for queries; a
session has its own for orders and for cancels. Cancels never draw from what
orders use up. A taking is all or nothing, over both budgets that it touches.
Services and sessions call this for every request, so it does no I/O; with
`REDIS_URL` the budgets of accounts are leases out of common ones, which
`gateway.rates.shared` renews in the background.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.rates.bucket import NEVER_NS, RENEWING_NS
from gateway.rates.budgets import Budget, Budgets
from gateway.rates.shared import PATIENCE_S, SharedBudgets
from runtime.errors import Refused
from runtime.settings import Settings

NS_PER_S: Final = 1_000_000_000
RENEWING_S: Final = 0.01
"""When to try again where only a lease is used up."""
RENEWALS_MAX: Final = 4
"""How often one request waits for a lease."""


class RateLimits:
    """The rate limits of one gateway."""

    def __init__(
        self,
        settings: Settings,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        patience_s: float = PATIENCE_S,
    ) -> None:
        orders = settings.rate_orders_burst, settings.rate_orders_per_s
        cancels = settings.rate_cancels_burst, settings.rate_cancels_per_s
        queries = settings.rate_queries_burst, settings.rate_queries_per_s
        self._clock_ns = clock_ns
        self._orders = Budgets(wire.RATE_SCOPE_ACCOUNT_ORDERS, *orders)
        self._cancels = Budgets(wire.RATE_SCOPE_ACCOUNT_CANCELS, *cancels)
        self._queries = Budgets(wire.RATE_SCOPE_ACCOUNT_QUERIES, *queries)
        self._session_orders = Budgets(wire.RATE_SCOPE_SESSION_ORDERS, *orders)
        self._session_cancels = Budgets(wire.RATE_SCOPE_SESSION_CANCELS, *cancels)
        self._shared: SharedBudgets | None = None
        if settings.redis_url is not None:
            accounts = (self._orders, self._cancels, self._queries)
            self._shared = SharedBudgets(settings.redis_url, accounts, clock_ns, patience_s)

    def take_orders(self, account: str, count: int = 1, session_id: str = "") -> wire.RateBudget:
        """Takes what new orders, replaces and quotes cost: one for each order, replace and quoted instrument.

        Returns:
            The budget that has the fewest left, as it is now.

        Raises:
            Refused: RATE_EXCEEDED, with the time after which so many can be sent.
        """
        return self._take(account, count, self._orders, session_id, self._session_orders)

    def take_cancels(self, account: str, count: int = 1, session_id: str = "") -> wire.RateBudget:
        """Takes what cancels and mass cancels cost.

        Returns:
            The budget that has the fewest left, as it is now.

        Raises:
            Refused: RATE_EXCEEDED, with the time after which so many can be sent.
        """
        return self._take(account, count, self._cancels, session_id, self._session_cancels)

    def take_query(self, account: str, count: int = 1) -> wire.RateBudget:
        """Takes what queries cost.

        Returns:
            The account's budget of queries, as it is now.

        Raises:
            Refused: RATE_EXCEEDED, with the time after which it can be asked again.
        """
        return self._take(account, count, self._queries, "", self._queries)

    def budgets(self, account: str) -> list[wire.RateBudget]:
        """What an account has left, by scope."""
        now_ns = self._clock_ns()
        return [kind.told(kind.of(account, now_ns), now_ns) for kind in (self._orders, self._cancels, self._queries)]

    def session_budgets(self, session_id: str) -> list[wire.RateBudget]:
        """What a session has left, by scope."""
        now_ns = self._clock_ns()
        kinds = (self._session_orders, self._session_cancels)
        return [kind.told(kind.of(session_id, now_ns), now_ns) for kind in kinds]

    def forget_session(self, session_id: str) -> None:
        """Drops the budgets of a session that has ended."""
        self._session_orders.by_name.pop(session_id, None)
        self._session_cancels.by_name.pop(session_id, None)

    async def run(self) -> None:
        """Renews the leases out of shared budgets until it is cancelled; returns at once where there are none."""
        if self._shared is not None:
            await self._shared.run()

    def _take(self, account: str, count: int, accounts: Budgets, session_id: str, sessions: Budgets) -> wire.RateBudget:
        now_ns = self._clock_ns()
        budget = accounts.of(account, now_ns)
        wait_ns = budget.take(now_ns, count)
        if budget.shared:
            assert self._shared is not None, "only shared budgets are leased"
            self._shared.used(budget, now_ns)
        if wait_ns:
            raise self._exceeded(accounts, budget, count, wait_ns, now_ns)
        if not session_id:
            return accounts.told(budget, now_ns)
        own = sessions.of(session_id, now_ns)
        wait_ns = own.take(now_ns, count)
        if wait_ns:
            budget.give_back(count)
            raise self._exceeded(sessions, own, count, wait_ns, now_ns)
        tightest = own.remaining(now_ns) < budget.remaining(now_ns)
        return sessions.told(own, now_ns) if tightest else accounts.told(budget, now_ns)

    def _exceeded(self, kind: Budgets, budget: Budget, count: int, wait_ns: int, now_ns: int) -> RateExceeded:
        told, name = kind.told(budget, now_ns), kind.label.replace("_", " ")
        text = f"too many requests: the budget of {name} has {told.remaining} of {told.limit} left"
        if wait_ns == RENEWING_NS:
            assert self._shared is not None, "only shared budgets are leased"
            return RateExceeded(kind, text, told, RENEWING_S, self._shared.renewed)
        kind.refused.inc()
        if wait_ns == NEVER_NS:
            text = f"{count} requests at once never fit: the budget of {name} holds {told.limit}"
            wait_ns = budget.reset_ns(now_ns)
        return RateExceeded(kind, text, told, wait_ns / NS_PER_S)


class RateExceeded(Refused):
    """A request that does not fit into its budget now."""

    def __init__(
        self,
        kind: Budgets,
        text: str,
        budget: wire.RateBudget,
        retry_after_s: float,
        renewed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        metadata = {"scope": kind.label.upper(), "limit": str(budget.limit), "remaining": str(budget.remaining)}
        super().__init__(types.REASON_RATE_EXCEEDED, text, metadata=metadata, retry_after_s=retry_after_s)
        self.budget = budget
        """The budget as it is."""
        self.renewed = renewed
        """Where only a lease is used up: waits until it has been renewed. Who waits can try again then."""


async def taken(take: Callable[..., wire.RateBudget], *request: object) -> wire.RateBudget:
    """Takes from a budget, and waits for a lease that is being renewed; `take` is a method of RateLimits.

    Raises:
        RateExceeded: there are not so many.
    """
    for _ in range(RENEWALS_MAX):
        try:
            return take(*request)
        except RateExceeded as exceeded:
            if exceeded.renewed is None:
                raise
            await exceeded.renewed()
    return take(*request)

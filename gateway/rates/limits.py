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
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter

from gateway.rates.bucket import NEVER_NS, Bucket
from runtime.errors import Refused
from runtime.settings import Settings

BUCKETS_MAX: Final = 65_536
"""Budgets of one scope that are kept. A full one is forgotten first: a new one is like it."""
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000

Scope: TypeAlias = wire.RateScope.ValueType

refused_total = Counter("ordergate_gateway_rate_refused_total", "Requests refused because of a rate limit.", ["scope"])


class Budget(Protocol):
    """A bucket of this gateway's own, or a lease out of one that gateways share."""

    burst: int

    @property
    def shared(self) -> bool:
        """Whether other gateways draw from it too."""
        ...

    def take(self, now_ns: int, count: int = 1) -> int:
        """Takes tokens: 0, or after how many ns they can be taken, or NEVER_NS."""
        ...

    def give_back(self, count: int) -> None:
        """Puts tokens back."""
        ...

    def remaining(self, now_ns: int) -> int:
        """Whole tokens that are left."""
        ...

    def reset_ns(self, now_ns: int) -> int:
        """After how many ns it is full again."""
        ...

    def is_full(self, now_ns: int) -> bool:
        """Whether it is like a new one."""
        ...


class Budgets:
    """All budgets of one scope, by account or session."""

    def __init__(self, scope: Scope, burst: int, rate_per_s: float, buckets_max: int = BUCKETS_MAX) -> None:
        self.scope = scope
        self.burst = burst
        self.rate_per_s = rate_per_s
        self.by_name: dict[str, Budget] = {}
        self._buckets_max = buckets_max
        name = wire.RateScope.Name(scope).removeprefix("RATE_SCOPE_").lower()
        self.refused = refused_total.labels(name)
        self.name = name.replace("_", " ")

    def of(self, name: str, now_ns: int) -> Budget:
        """The budget of an account or session."""
        return self.by_name.get(name) or self._made(name, now_ns)

    def told(self, budget: Budget, now_ns: int) -> wire.RateBudget:
        """The budget as clients see it."""
        return wire.RateBudget(
            scope=self.scope,
            limit=self.burst,
            remaining=budget.remaining(now_ns),
            reset_ms=-(-budget.reset_ns(now_ns) // NS_PER_MS),
            refill_per_s=self.rate_per_s,
            shared=budget.shared,
        )

    def _made(self, name: str, now_ns: int) -> Budget:
        if len(self.by_name) >= self._buckets_max:
            self._make_room(now_ns)
        self.by_name[name] = made = self.new(now_ns)
        return made

    def new(self, now_ns: int) -> Budget:
        """A budget for someone who has none yet."""
        return Bucket(self.burst, self.rate_per_s, now_ns)

    def _make_room(self, now_ns: int) -> None:
        for name in [name for name, budget in self.by_name.items() if budget.is_full(now_ns)]:
            del self.by_name[name]
        if len(self.by_name) >= self._buckets_max:
            del self.by_name[next(iter(self.by_name))]


class RateLimits:
    """The rate limits of one gateway."""

    def __init__(self, settings: Settings, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        orders = settings.rate_orders_burst, settings.rate_orders_per_s
        cancels = settings.rate_cancels_burst, settings.rate_cancels_per_s
        queries = settings.rate_queries_burst, settings.rate_queries_per_s
        self._clock_ns = clock_ns
        self._orders = Budgets(wire.RATE_SCOPE_ACCOUNT_ORDERS, *orders)
        self._cancels = Budgets(wire.RATE_SCOPE_ACCOUNT_CANCELS, *cancels)
        self._queries = Budgets(wire.RATE_SCOPE_ACCOUNT_QUERIES, *queries)
        self._session_orders = Budgets(wire.RATE_SCOPE_SESSION_ORDERS, *orders)
        self._session_cancels = Budgets(wire.RATE_SCOPE_SESSION_CANCELS, *cancels)

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

    def _take(self, account: str, count: int, accounts: Budgets, session_id: str, sessions: Budgets) -> wire.RateBudget:
        now_ns = self._clock_ns()
        budget = accounts.of(account, now_ns)
        wait_ns = budget.take(now_ns, count)
        if wait_ns:
            raise _exceeded(accounts, budget, count, wait_ns, now_ns)
        if not session_id:
            return accounts.told(budget, now_ns)
        own = sessions.of(session_id, now_ns)
        wait_ns = own.take(now_ns, count)
        if wait_ns:
            budget.give_back(count)
            raise _exceeded(sessions, own, count, wait_ns, now_ns)
        tightest = own.remaining(now_ns) < budget.remaining(now_ns)
        return sessions.told(own, now_ns) if tightest else accounts.told(budget, now_ns)


class RateExceeded(Refused):
    """A request that does not fit into its budget, and the budget as it is."""

    def __init__(self, text: str, budget: wire.RateBudget, scope: str, retry_after_s: float) -> None:
        metadata = {"scope": scope, "limit": str(budget.limit), "remaining": str(budget.remaining)}
        super().__init__(types.REASON_RATE_EXCEEDED, text, metadata=metadata, retry_after_s=retry_after_s)
        self.budget = budget


def _exceeded(kind: Budgets, budget: Budget, count: int, wait_ns: int, now_ns: int) -> RateExceeded:
    kind.refused.inc()
    told = kind.told(budget, now_ns)
    if wait_ns == NEVER_NS:
        text = f"{count} requests at once never fit: the budget of {kind.name} holds {told.limit}"
        wait_ns = budget.reset_ns(now_ns)
    else:
        text = f"too many requests: the budget of {kind.name} has {told.remaining} of {told.limit} left"
    return RateExceeded(text, told, wire.RateScope.Name(kind.scope).removeprefix("RATE_SCOPE_"), wait_ns / NS_PER_S)

"""The budgets of one scope: a bucket for each account or session, or a lease out of a shared one.

Bounded in number: a caller that names ever new accounts takes no memory.
`gateway.rates.limits` draws from them, `gateway.rates.shared` turns them from
the gateway's own into leases and back.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

from ordergate.orders.v1 import order_entry_pb2 as wire
from prometheus_client import Counter

from gateway.rates.bucket import Bucket
from gateway.rates.lease import Lease

BUCKETS_MAX: Final = 65_536
"""Budgets of one scope that are kept. Full ones are forgotten first: a new one is like them."""
NAME_CHARACTERS_MAX: Final = 64
"""Longer names share the budget of their beginning; no account that exists has one."""
NS_PER_MS: Final = 1_000_000
KEY_PREFIX: Final = "{ordergate}:rate:"
"""How the keys of shared buckets begin; the braces keep them together in a cluster."""

OF_CALLERS: Final = frozenset(
    {wire.RATE_SCOPE_ACCOUNT_ORDERS, wire.RATE_SCOPE_ACCOUNT_CANCELS, wire.RATE_SCOPE_ACCOUNT_QUERIES}
)
"""Budgets whose names callers give; those of sessions are the gateway's own, and differ at their ends."""

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
        """Takes tokens: 0, or after how many ns they can be taken, or NEVER_NS or RENEWING_NS."""
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
        self.is_shared = False
        self.label = wire.RateScope.Name(scope).removeprefix("RATE_SCOPE_").lower()
        self.refused = refused_total.labels(self.label)
        self._buckets_max = buckets_max

    def share(self, now_ns: int) -> None:
        """Makes a lease of every budget, and of those to come; what this gateway has left of each is kept."""
        self.is_shared = True
        for name, own in self.by_name.items():
            self.by_name[name] = self._lease(name, now_ns, own.remaining(now_ns))

    def keep_own(self, now_ns: int) -> None:
        """Makes a bucket of every lease, with what is known to be left of it; each gateway has its own from here on."""
        self.is_shared = False
        for name, lease in self.by_name.items():
            self.by_name[name] = Bucket(self.burst, self.rate_per_s, now_ns, lease.remaining(now_ns))

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
        if self.scope in OF_CALLERS:
            name = name[:NAME_CHARACTERS_MAX]
        known = self.by_name.get(name)
        if known is not None:
            return known
        if len(self.by_name) >= self._buckets_max:
            self._make_room(now_ns)
        new = self._lease(name, now_ns) if self.is_shared else Bucket(self.burst, self.rate_per_s, now_ns)
        self.by_name[name] = new
        return new

    def _lease(self, name: str, now_ns: int, tokens: int | None = None) -> Lease:
        return Lease(f"{KEY_PREFIX}{self.label}:{name}", self.burst, self.rate_per_s, now_ns, tokens)

    def _make_room(self, now_ns: int) -> None:
        for name in [name for name, budget in self.by_name.items() if budget.is_full(now_ns)]:
            del self.by_name[name]
        if len(self.by_name) >= self._buckets_max:
            del self.by_name[next(iter(self.by_name))]

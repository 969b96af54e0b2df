"""Budgets that several gateways share through Redis or Valkey: leases, renewed in the background.

No request waits for the store as long as its lease has tokens. What was used of
leases is asked for in one call for all of them, by a script that keeps a token
bucket for each key in the store's own time. When the store is down, or slower
than `patience_s`, every lease becomes a bucket of the gateway's own at once, and
the store is tried again until it answers. Nothing is lost with it: a budget that
the store has forgotten is full. Run by `gateway.rates.limits`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.rates.budgets import Budget, Budgets
from gateway.rates.lease import Lease
from runtime.logs import get_logger

RENEW_PAUSE_S: Final = 0.001
"""Shortest time between two renewals: what gathers meanwhile goes into one call."""
RENEW_INTERVAL_S: Final = 0.1
"""Longest time for which what was used stays unknown to the other gateways."""
PROBE_INTERVAL_S: Final = 1.0
"""Time between two looks at a store that nothing is asked of."""
RETRY_INTERVAL_S: Final = 0.5
"""Time between two attempts to reach a store that did not answer."""
PATIENCE_S: Final = 0.5
"""A store that needs longer for an answer is as good as none."""
LEASES_MAX: Final = 512
"""Leases that are renewed in one call."""

RENEW = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local told = {}
for i, key in ipairs(KEYS) do
  local burst, rate, wanted = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local held = redis.call('HMGET', key, 'tokens', 'at_us')
  local tokens = burst
  if held[1] then
    local elapsed_us = math.max(0, now_us - tonumber(held[2]))
    tokens = math.min(burst, tonumber(held[1]) + elapsed_us * rate / 1000000)
  end
  local granted = math.min(wanted, math.floor(tokens))
  tokens = math.min(burst, tokens - granted)
  redis.call('HSET', key, 'tokens', string.format('%.17g', tokens), 'at_us', string.format('%.0f', now_us))
  redis.call('PEXPIRE', key, math.ceil((burst - tokens) * 1000 / rate) + 1000)
  told[2 * i - 1] = granted
  told[2 * i] = math.floor(tokens)
end
return told
"""
"""For each key, with its burst, rate in a second and tokens wanted (below 0 for tokens given back): takes as many as
there are, up to those wanted, and tells how many, and how many are left. A bucket that is full again is forgotten."""

log = get_logger(__name__)
shared_gauge = Gauge("ordergate_gateway_rate_shared", "1 while budgets are shared with other gateways.")
fallbacks_total = Counter(
    "ordergate_gateway_rate_fallbacks_total", "Times that the store of shared budgets was lost, and local ones used."
)
renewal_seconds = Histogram(
    "ordergate_gateway_rate_renewal_seconds",
    "Time for one renewal of leases.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
)


class SharedBudgets:
    """The budgets of one gateway's accounts, shared as long as the store answers."""

    def __init__(
        self, url: str, kinds: Sequence[Budgets], clock_ns: Callable[[], int], patience_s: float = PATIENCE_S
    ) -> None:
        """Describes the store; `run` connects.

        Args:
            url: the store, as `redis://…`, `rediss://…` or `unix://…`.
            kinds: the budgets that are shared while it answers.
            clock_ns: the clock of the budgets, ns.
            patience_s: how long an answer may take.
        """
        self._url = url
        self._kinds = kinds
        self._clock_ns = clock_ns
        self._patience_s = patience_s
        self._used: set[Lease] = set()
        self._low = asyncio.Event()
        self._renewal: asyncio.Future[None] | None = None

    def used(self, lease: Budget, now_ns: int) -> None:
        """Hears that a lease was drawn from, or could not be."""
        assert isinstance(lease, Lease), "only leases are renewed"
        self._used.add(lease)
        if lease.is_low(now_ns):
            self._low.set()

    async def renewed(self) -> None:
        """Waits until leases that are used up have been renewed, or are not needed any more."""
        if self._renewal is None:
            self._renewal = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._renewal)

    async def run(self) -> None:
        """Shares the budgets whenever the store answers, until it is cancelled."""
        try:
            while True:
                # No socket_timeout: it makes the client write within asyncio.wait_for, which loses a cancellation
                # on Python 3.11. `_renew` bounds the whole call.
                client: Redis = Redis.from_url(
                    self._url, socket_timeout=None, socket_connect_timeout=self._patience_s, retry=Retry(NoBackoff(), 0)
                )
                try:
                    await self._share(client)
                except (RedisError, OSError, TimeoutError) as error:
                    self._keep_own(error)
                finally:
                    with suppress(RedisError, OSError):
                        await client.aclose()
                await asyncio.sleep(RETRY_INTERVAL_S)
        finally:
            self._keep_own(None)

    async def _share(self, client: Redis) -> None:
        """Renews leases until the store fails.

        Raises:
            RedisError: it answered with an error, or not.
            OSError: it cannot be reached.
            TimeoutError: it is too slow.
        """
        await self._renew(client, [])
        for kind in self._kinds:
            kind.share(self._clock_ns())
        shared_gauge.set(1)
        log.info("rate budgets are shared")
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_INTERVAL_S if self._used else PROBE_INTERVAL_S):
                    await self._low.wait()
            self._low.clear()
            used, self._used = list(self._used), set()
            for begin in range(0, max(1, len(used)), LEASES_MAX):
                await self._renew(client, used[begin : begin + LEASES_MAX])
            self._tell_renewed()
            await asyncio.sleep(RENEW_PAUSE_S)

    async def _renew(self, client: Redis, leases: Sequence[Lease]) -> None:
        """Fills leases up, as far as their buckets reach; without leases only asks whether the store is there."""
        wanted: list[Any] = []
        for lease in leases:
            wanted += (lease.burst, lease.rate_per_s, lease.ask())
        began = time.perf_counter()
        async with asyncio.timeout(self._patience_s):
            told = await client.eval(RENEW, len(leases), *(lease.key for lease in leases), *wanted)
        renewal_seconds.observe(time.perf_counter() - began)
        now_ns = self._clock_ns()
        for lease, granted, left in zip(leases, told[::2], told[1::2], strict=True):
            lease.granted(granted, left, now_ns)
            if lease.has_too_many:
                self._used.add(lease)

    def _keep_own(self, error: Exception | None) -> None:
        """Goes on without the store."""
        if self._kinds[0].is_shared:
            for kind in self._kinds:
                kind.keep_own(self._clock_ns())
            shared_gauge.set(0)
            if error is not None:
                fallbacks_total.inc()
                log.warning("rate budgets are local, the store does not answer", why=str(error) or "it is too slow")
        self._used.clear()
        self._low.clear()
        self._tell_renewed()

    def _tell_renewed(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None and not renewal.done():
            renewal.set_result(None)

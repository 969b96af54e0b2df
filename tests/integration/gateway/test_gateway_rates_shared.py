"""Budgets that gateways share through a real Valkey: what they pass together, and what happens when it is gone."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import prometheus_client
import pytest
import pytest_asyncio
from ordergate.orders.v1 import order_entry_pb2 as wire
from redis.asyncio import Redis

from gateway.rates.budgets import Budgets
from gateway.rates.lease import lease_size
from gateway.rates.limits import RateExceeded, RateLimits, taken
from gateway.rates.shared import RENEW, SharedBudgets
from runtime.settings import Settings
from tests.integration.gateway.valkey import Store, store

GATEWAYS = 3
PATIENT_S = 30.0
"""For tests of what gateways share: a busy machine is no reason to stop sharing."""
ENDS_WITHIN_S = 20.0
BURST = 120
SLOW = 0.001
"""A rate so low that nothing comes back during a test."""


@pytest_asyncio.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Store]:
    """A Valkey of the test's own."""
    async with store(tmp_path) as running:
        yield running


@asynccontextmanager
async def gateway_limits(
    url: str, burst: int = BURST, rate_per_s: float = SLOW, patience_s: float = PATIENT_S
) -> AsyncIterator[RateLimits]:
    """The rate limits of one gateway, running."""
    settings = Settings().model_copy(
        update={
            "redis_url": url,
            "rate_orders_burst": burst,
            "rate_orders_per_s": rate_per_s,
            "rate_cancels_burst": burst,
            "rate_cancels_per_s": rate_per_s,
        }
    )
    limits = RateLimits(settings, patience_s=patience_s)
    running = asyncio.create_task(limits.run())
    try:
        yield limits
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def gateways(url: str, **settings: float) -> AsyncIterator[list[RateLimits]]:
    """Several gateways' rate limits, sharing already."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(gateway_limits(url, **settings)) for _ in range(GATEWAYS)]  # type: ignore[arg-type]
        for limits in made:
            await becomes(limits, shared=True)
        yield made


async def becomes(limits: RateLimits, *, shared: bool, account: str = "DEMO") -> None:
    """Waits until an account's budgets are shared, or are not."""
    while limits.budgets(account)[0].shared != shared:
        await asyncio.sleep(0.002)


async def passes(limits: RateLimits, account: str = "DEMO", count: int = 1) -> bool:
    """Whether an order passes, as a unary call finds out."""
    try:
        await taken(limits.take_orders, account, count)
    except RateExceeded:
        return False
    return True


async def flood(limits: RateLimits, account: str = "DEMO", workers: int = 5) -> int:
    """How many orders pass until each of some clients is refused."""

    async def client() -> int:
        passed = 0
        while await passes(limits, account):
            passed += 1
        return passed

    return sum(await asyncio.gather(*(client() for _ in range(workers))))


async def test_gateways_together_keep_to_one_budget(valkey: Store) -> None:
    """A flood over three gateways passes the burst, at least, and at most one lease's size more for each gateway."""
    async with gateways(valkey.url) as every:
        passed = sum(await asyncio.gather(*(flood(limits) for limits in every)))
        assert BURST <= passed <= BURST + GATEWAYS * lease_size(BURST)
        told = every[0].budgets("DEMO")[0]
        assert (told.shared, told.limit, told.remaining) == (True, BURST, 0)
        assert [await passes(limits) for limits in every] == [False] * GATEWAYS


async def test_one_gateway_may_use_all_of_it(valkey: Store) -> None:
    """A budget is not divided: what one gateway uses up the others do not have any more, but for their leases."""
    async with gateways(valkey.url) as every:
        busy, *others = every
        passed = await flood(busy)
        assert BURST <= passed <= BURST + lease_size(BURST)
        rest = sum([await flood(limits) for limits in others])
        assert passed + rest <= BURST + GATEWAYS * lease_size(BURST)


async def test_what_comes_back_is_shared_too(valkey: Store) -> None:
    """Over a span of time the gateways together pass burst + rate * time, and a lease each, whatever they ask."""
    rate = 400.0
    async with gateways(valkey.url, rate_per_s=rate) as every:
        began = time.perf_counter()
        passed = 0
        while time.perf_counter() - began < 1.0:
            passed += sum(await asyncio.gather(*(flood(limits, workers=2) for limits in every)))
        elapsed_s = time.perf_counter() - began
        assert passed <= BURST + rate * elapsed_s + GATEWAYS * lease_size(BURST)
        assert passed > BURST


async def test_budgets_of_accounts_and_of_cancels_are_apart(valkey: Store) -> None:
    """An account that has used up its orders cancels through every gateway, and another account is not held up."""
    async with gateways(valkey.url) as every:
        await asyncio.gather(*(flood(limits) for limits in every))
        for limits in every:
            assert not await passes(limits)
            assert (await taken(limits.take_cancels, "DEMO")).shared
            assert await passes(limits, "MM")


async def test_a_basket_larger_than_a_lease_passes(valkey: Store) -> None:
    """What does not fit into a lease waits for it to grow; what never fits into the budget is refused at once."""
    async with gateways(valkey.url) as every:
        assert await passes(every[0], count=BURST // 2)
        assert not await passes(every[1], count=BURST + 1)
        assert await passes(every[1], count=BURST // 4)
        assert not await passes(every[2], count=2 * BURST // 3)


async def test_a_session_that_cannot_wait_is_told_when(valkey: Store) -> None:
    """Where only the lease is used up, the refusal says to come again at once."""
    async with gateway_limits(valkey.url) as limits:
        await becomes(limits, shared=True)
        with pytest.raises(RateExceeded) as error:
            limits.take_orders("DEMO", lease_size(BURST) + 1, "s-1")
        assert error.value.renewed is not None
        await error.value.renewed()
        assert limits.take_orders("DEMO", lease_size(BURST) + 1, "s-1").remaining <= BURST


async def test_without_the_store_each_gateway_has_its_own(valkey: Store) -> None:
    """Killed: nobody waits, each goes on with what it knew; started again, it is shared again, and told so."""
    async with gateways(valkey.url, rate_per_s=SLOW) as every:
        assert await passes(every[0], count=BURST // 2)
        fallbacks = metric("ordergate_gateway_rate_fallbacks_total")
        await valkey.kill()
        for limits in every:
            await becomes(limits, shared=False)
            assert await passes(limits)
        assert metric("ordergate_gateway_rate_fallbacks_total") == fallbacks + GATEWAYS
        assert await flood(every[0]) < BURST
        assert every[0].budgets("DEMO")[0].remaining == 0, "losing the store is no new budget"
        await valkey.start()
        for limits in every:
            await becomes(limits, shared=True)
        assert metric("ordergate_gateway_rate_shared") == 1


async def test_a_store_that_hangs_is_as_good_as_none(valkey: Store) -> None:
    """It takes connections and answers nothing: local budgets within the patience, and back when it goes on."""
    async with gateway_limits(valkey.url, patience_s=0.2) as limits:
        await becomes(limits, shared=True)
        valkey.hang()
        try:
            # More than the lease: whoever waits for it is let go with the local budget.
            assert await passes(limits, count=lease_size(BURST) + 1)
            assert not limits.budgets("DEMO")[0].shared
            assert await passes(limits)
        finally:
            valkey.go_on()
        await becomes(limits, shared=True)


async def test_a_gateway_starts_without_the_store(tmp_path: Path) -> None:
    """Nothing at the URL: the budgets are local from the beginning, and shared once it is there."""
    async with store(tmp_path) as late:
        await late.kill()
        async with gateway_limits(late.url) as limits:
            assert await passes(limits)
            assert not limits.budgets("DEMO")[0].shared
            await late.start()
            await becomes(limits, shared=True)
            assert await passes(limits)


async def test_no_request_goes_to_the_store(valkey: Store) -> None:
    """Ten thousand orders through one gateway need few calls of the store: leases are renewed, requests do not ask."""
    async with gateway_limits(valkey.url, burst=100_000, rate_per_s=100_000.0) as limits, client_of(valkey) as client:
        await becomes(limits, shared=True)
        before = await evals(client)
        for number in range(10_000):
            limits.take_orders("DEMO")
            if number % 100 == 0:
                await asyncio.sleep(0)
        await passes(limits, count=lease_size(100_000))
        assert await evals(client) - before < 200


async def test_it_ends_whenever_it_is_told_to(valkey: Store) -> None:
    """Cancelled in the midst of a renewal, at whichever step of it: the renewals end, and the budgets are its own."""
    for steps in range(60):
        limits = RateLimits(Settings().model_copy(update={"redis_url": valkey.url}), patience_s=PATIENT_S)
        running = asyncio.create_task(limits.run())
        await becomes(limits, shared=True)
        limits.take_orders("DEMO", lease_size(limits.budgets("DEMO")[0].limit))
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=ENDS_WITHIN_S)
        assert running in done, f"it goes on, though it was cancelled {steps} steps into a renewal"
        assert not limits.budgets("DEMO")[0].shared


async def test_the_script_keeps_a_bucket(valkey: Store) -> None:
    """Grants what is there and no more, takes back, never holds more than its burst, and forgets what is full again."""
    async with client_of(valkey) as client:

        async def ask(burst: int, rate: float, wanted: int) -> list[int]:
            told: list[int] = await client.eval(RENEW, 1, "bucket", burst, rate, wanted)
            return told

        assert await ask(10, SLOW, 4) == [4, 6]
        assert await ask(10, SLOW, 9) == [6, 0]
        assert await ask(10, SLOW, 1) == [0, 0]
        assert await ask(10, SLOW, -3) == [-3, 3]
        assert await ask(10, SLOW, -30) == [-30, 10]
        assert await ask(5, SLOW, 9) == [5, 0]
        assert await client.pttl("bucket") > 5_000_000
        assert await ask(5, 1_000_000.0, 5) == [5, 0]
        assert 0 < await client.pttl("bucket") <= 1_001


async def test_the_stores_clock_may_step_back(valkey: Store) -> None:
    """A bucket from the future gives what it holds, and fills up from the present on."""
    async with client_of(valkey) as client:
        await client.hset("bucket", mapping={"tokens": "2", "at_us": "99999999999999999"})
        assert await client.eval(RENEW, 1, "bucket", "10", "1000", "5") == [2, 0]
        while (await client.eval(RENEW, 1, "bucket", "10", "1000", "1"))[0] == 0:
            await asyncio.sleep(0.001)


async def test_many_leases_are_renewed_in_few_calls(valkey: Store) -> None:
    """Thousands of accounts at once: each is renewed, in calls of bounded size."""
    kind = Budgets(wire.RATE_SCOPE_ACCOUNT_ORDERS, 80, SLOW)
    shared = SharedBudgets(valkey.url, [kind], time.monotonic_ns, PATIENT_S)
    running = asyncio.create_task(shared.run())
    async with client_of(valkey) as client:
        await until(lambda: kind.is_shared)
        before = await evals(client)
        names = [f"A-{number}" for number in range(2_000)]
        for name in names:
            lease = kind.of(name, now := time.monotonic_ns())
            assert lease.take(now, 10) == 0
            shared.used(lease, now)
        while await client.dbsize() < len(names):
            await asyncio.sleep(0.005)
        await shared.renewed()
        assert await evals(client) - before < 50
        assert all(kind.of(name, 0).take(time.monotonic_ns(), 10) == 0 for name in names)
    running.cancel()
    await asyncio.wait([running])


async def until(holds: Callable[[], bool]) -> None:
    """Waits until something holds."""
    while not holds():
        await asyncio.sleep(0.005)


@asynccontextmanager
async def client_of(valkey: Store) -> AsyncIterator[Redis]:
    """A client of the store."""
    client: Redis = Redis.from_url(valkey.url)
    try:
        yield client
    finally:
        await client.aclose()


async def evals(client: Redis) -> int:
    """How often the store has run a script."""
    asked: Awaitable[dict[str, dict[str, int]]] = client.info("commandstats")
    stats = await asked
    return stats.get("cmdstat_eval", {"calls": 0})["calls"]


def metric(name: str) -> float:
    """A metric's value."""
    return prometheus_client.REGISTRY.get_sample_value(name) or 0.0

"""Leases: what a gateway may let pass without asking, and what gateways let pass together."""

from hypothesis import given
from hypothesis import strategies as st
from ordergate.orders.v1 import order_entry_pb2 as wire

from gateway.rates.bucket import NEVER_NS, PARTS, RENEWING_NS, Bucket, parts_per_ns
from gateway.rates.budgets import Budgets
from gateway.rates.lease import Lease, lease_size

NS_PER_S = 10**9


def renew(lease: Lease, bucket: Bucket, now_ns: int) -> None:
    """What the store does: gives as many tokens as it has, or takes some back."""
    asked = lease.ask()
    granted = min(asked, bucket.remaining(now_ns))
    if granted > 0:
        assert bucket.take(now_ns, granted) == 0
    else:
        bucket.give_back(-granted)
    lease.granted(granted, bucket.remaining(now_ns), now_ns)


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, NS_PER_S), st.integers(1, 12), st.sampled_from(["take", "renew"])),
    min_size=1,
    max_size=80,
)


@given(st.integers(1, 60), st.floats(0.5, 200.0), steps)
def test_gateways_together_pass_no_more_than_the_bound(
    burst: int, rate: float, story: list[tuple[int, int, int, str]]
) -> None:
    """In whatever order they take and renew: burst + rate * time, and one lease's size for each gateway."""
    bucket, now_ns, passed = Bucket(burst, rate, 0), 0, 0
    leases = [Lease("k", burst, rate, 0) for _ in range(3)]
    for gateway, pause_ns, count, what in story:
        now_ns += pause_ns
        if what == "renew":
            renew(leases[gateway], bucket, now_ns)
        elif leases[gateway].take(now_ns, count) == 0:
            passed += count
        bound = burst * PARTS + now_ns * parts_per_ns(rate) + len(leases) * lease_size(burst) * PARTS
        assert passed * PARTS <= bound


@given(st.integers(1, 60), st.floats(0.5, 200.0), st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_budget_that_one_gateway_uses_alone_is_used_up_in_full(burst: int, rate: float, counts: list[int]) -> None:
    """What does not fit into a lease is asked for: refused is only what the bucket has not, or never fits at once."""
    bucket, lease = Bucket(burst, rate, 0), Lease("k", burst, rate, 0)
    for count in counts:
        held = lease.remaining(0)
        wait_ns = lease.take(0, count)
        if wait_ns == RENEWING_NS:
            renew(lease, bucket, 0)
            wait_ns = lease.take(0, count)
            assert wait_ns == 0
        assert (wait_ns == NEVER_NS) == (count > burst)
        if wait_ns > 0:
            assert held < count
        renew(lease, bucket, 0)


def test_what_was_used_is_asked_for() -> None:
    """Up to its size, and on top what a request was refused for; a lease that has all asks for nothing."""
    lease = Lease("k", 80, 1.0, 0)
    assert (lease.size, lease.ask()) == (10, 0)
    lease.take(0, 4)
    assert lease.ask() == 4
    assert lease.take(0, 7) == RENEWING_NS
    assert lease.ask() == 4
    assert lease.take(0, 9) == RENEWING_NS
    assert lease.take(0, 9) == RENEWING_NS
    assert lease.ask() == 12


def test_what_is_too_many_is_given_back() -> None:
    """Tokens that were asked for and not used after all return to the bucket, and are gone at once here."""
    lease = Lease("k", 80, 1.0, 0)
    lease.take(0, 30)
    lease.granted(lease.ask(), 50, 0)
    assert lease.has_too_many
    assert lease.ask() == -20
    assert not lease.has_too_many
    assert lease.take(0, 11) == RENEWING_NS
    lease.granted(-20, 70, 0)
    assert lease.remaining(0) == 80


def test_it_is_low_only_while_asking_can_help() -> None:
    """Half used up, or refused, and the bucket is not known to be empty."""
    lease = Lease("k", 80, 1.0, 0)
    lease.take(0, 4)
    assert not lease.is_low(0)
    lease.take(0, 1)
    assert lease.is_low(0)
    lease.granted(0, 0, 0)
    assert not lease.is_low(0)
    assert lease.is_low(NS_PER_S)


def test_an_empty_bucket_says_how_long_to_wait() -> None:
    """When the bucket has nothing left the wait is until it has what is missing, as far as is known."""
    lease = Lease("k", 8, 2.0, 0)
    lease.take(0, 1)
    lease.ask()
    lease.granted(0, 0, 0)
    assert lease.take(0, 1) == NS_PER_S // 2
    assert lease.take(NS_PER_S // 2, 1) == RENEWING_NS
    assert lease.reset_ns(NS_PER_S // 2) == 7 * NS_PER_S // 2
    assert lease.take(0, 9) == NEVER_NS


def test_budgets_become_leases_and_buckets_again() -> None:
    """Each way what is left is taken along, so that losing the store gives nobody a fresh budget."""
    budgets = Budgets(wire.RATE_SCOPE_ACCOUNT_ORDERS, 80, 1.0)
    budgets.of("A", 0).take(0, 78)
    budgets.of("B", 0)
    budgets.share(0)
    first, second = budgets.of("A", 0), budgets.of("B", 0)
    assert first.shared
    assert isinstance(first, Lease)
    assert first.key == "{ordergate}:rate:account_orders:A"
    assert (first.take(0, 3), second.take(0, 10)) == (RENEWING_NS, 0)
    first.granted(-first.ask() * 0, 5, 0)
    assert budgets.told(first, 0).shared
    budgets.keep_own(0)
    assert not budgets.of("A", 0).shared
    assert budgets.of("A", 0).remaining(0) == 7
    assert not budgets.of("C", 0).shared
    assert budgets.of("C", 0).remaining(0) == 80


def test_a_name_of_any_length_costs_little() -> None:
    """Names that are longer than any account's share the budget of their beginning."""
    budgets = Budgets(wire.RATE_SCOPE_ACCOUNT_QUERIES, 4, 1.0)
    budgets.of("x" * 100_000, 0).take(0, 3)
    assert budgets.of("x" * 200_000, 0).remaining(0) == 1
    assert [len(name) for name in budgets.by_name] == [64]

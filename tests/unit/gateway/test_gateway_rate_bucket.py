"""Token buckets: what passes, what comes back, and how long to wait for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rates.bucket import NEVER_NS, Bucket, parts_per_ns

NS_PER_S = 10**9
bursts = st.integers(1, 50)
rates = st.one_of(st.floats(0.001, 5.0), st.floats(5.0, 200_000.0))
takings = st.lists(st.tuples(st.integers(0, 3 * NS_PER_S), st.integers(1, 12)), min_size=1, max_size=60)


@given(bursts, rates, takings)
def test_no_span_lets_more_pass_than_its_burst_and_rate(burst: int, rate: float, steps: list[tuple[int, int]]) -> None:
    """Between any two moments at most burst + rate * time passes, to the last part of a token."""
    bucket, now_ns = Bucket(burst, rate, 0), 0
    passed: list[tuple[int, int]] = []
    for pause_ns, count in steps:
        now_ns += pause_ns
        if bucket.take(now_ns, count) == 0:
            passed.append((now_ns, count))
    for i, (begin_ns, _) in enumerate(passed):
        total = 0
        for end_ns, count in passed[i:]:
            total += count
            assert total * 10**12 <= burst * 10**12 + (end_ns - begin_ns) * parts_per_ns(rate)


@given(bursts, rates, takings)
def test_waiting_as_long_as_told_is_enough_and_not_too_long(
    burst: int, rate: float, steps: list[tuple[int, int]]
) -> None:
    """After the time that a refusal names the same taking succeeds; one ns earlier it does not."""
    bucket, now_ns = Bucket(burst, rate, 0), 0
    for pause_ns, count in steps:
        now_ns += pause_ns
        wait_ns = bucket.take(now_ns, count)
        if wait_ns > 0:
            assert bucket.take(now_ns + wait_ns - 1, count) == 1
            assert bucket.take(now_ns + wait_ns, count) == 0
            now_ns += wait_ns
        assert (wait_ns == NEVER_NS) == (count > burst)


@given(bursts, rates, st.integers(1, 50))
def test_it_fills_up_exactly(burst: int, rate: float, used: int) -> None:
    """What was taken is back after the time that `reset_ns` names, not a nanosecond before, and no more."""
    used = min(used, burst)
    bucket = Bucket(burst, rate, 0)
    assert bucket.take(0, used) == 0
    assert bucket.remaining(0) == burst - used
    reset_ns = bucket.reset_ns(0)
    assert reset_ns == -(-used * 10**12 // parts_per_ns(rate))
    assert not bucket.is_full(reset_ns - 1)
    assert bucket.is_full(reset_ns)
    assert bucket.remaining(10 * reset_ns) == burst
    assert bucket.reset_ns(10 * reset_ns) == 0


def test_a_refused_taking_takes_nothing() -> None:
    """What does not fit leaves the bucket as it was, so that something smaller still fits."""
    bucket = Bucket(5, 1.0, 0)
    assert bucket.take(0, 3) == 0
    assert bucket.take(0, 3) == NS_PER_S
    assert bucket.remaining(0) == 2
    assert bucket.take(0, 2) == 0
    assert bucket.take(0, 1) == NS_PER_S


def test_what_is_given_back_is_there_again_and_no_more() -> None:
    """A taking that came to nothing costs nothing; the bucket never holds more than its burst."""
    bucket = Bucket(5, 1.0, 0)
    bucket.take(0, 4)
    bucket.give_back(4)
    assert bucket.is_full(0)
    bucket.give_back(1)
    assert bucket.take(0, 6) == NEVER_NS
    assert bucket.remaining(0) == 5


def test_time_that_seems_to_go_back_gives_nothing() -> None:
    """An older moment neither refills nor makes the way forward count twice."""
    bucket = Bucket(2, 1.0, 10 * NS_PER_S)
    assert bucket.take(10 * NS_PER_S, 2) == 0
    assert bucket.take(5 * NS_PER_S, 1) == NS_PER_S
    assert bucket.remaining(11 * NS_PER_S) == 1


@pytest.mark.parametrize(("tokens", "left"), [(0, 0), (3, 3), (9, 5)])
def test_it_can_begin_with_less(tokens: int, left: int) -> None:
    """A bucket takes over what another one had, up to its own size."""
    assert Bucket(5, 1.0, 0, tokens).remaining(0) == left


@given(rates)
def test_a_rate_is_kept_to_the_thousandth(rate: float) -> None:
    """A rate is rounded once, to thousandths of a token in a second, and never to nothing."""
    assert parts_per_ns(rate) >= 1
    assert abs(parts_per_ns(rate) / 1000 - rate) <= 0.0005 + 1e-9

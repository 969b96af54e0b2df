"""Budgets of accounts and sessions: what draws from what, and what a refusal says."""

import pytest
from google.rpc import error_details_pb2
from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.rates.budgets import Budgets
from gateway.rates.charge import fields
from gateway.rates.limits import RateExceeded, RateLimits
from runtime.errors import Refused, status_of
from runtime.settings import Settings

NS_PER_S = 10**9
ORDERS, CANCELS = wire.RATE_SCOPE_ACCOUNT_ORDERS, wire.RATE_SCOPE_ACCOUNT_CANCELS
SESSION_ORDERS = wire.RATE_SCOPE_SESSION_ORDERS


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns


def limits(clock: Clock, **changes: float) -> RateLimits:
    """Small limits."""
    small: dict[str, float] = {
        "rate_orders_per_s": 2.0,
        "rate_orders_burst": 4,
        "rate_cancels_per_s": 1.0,
        "rate_cancels_burst": 2,
        "rate_queries_per_s": 1.0,
        "rate_queries_burst": 1,
    }
    return RateLimits(Settings().model_copy(update=small | changes), clock)


def test_each_taking_tells_what_is_left() -> None:
    """Limit, what remains, when it is full again and how fast, for this gateway alone."""
    rates = limits(Clock())
    told = rates.take_orders("A", 3)
    assert (told.scope, told.limit, told.remaining, told.reset_ms) == (ORDERS, 4, 1, 1500)
    assert (told.refill_per_s, told.shared) == (2.0, False)
    assert fields(told) == (("ratelimit-limit", "4"), ("ratelimit-remaining", "1"), ("ratelimit-reset", "2"))


def test_a_refusal_is_coded_and_says_when() -> None:
    """RESOURCE_EXHAUSTED with RetryInfo; after that time, and not before, it passes."""
    clock = Clock()
    rates = limits(clock)
    rates.take_orders("A", 4)
    with pytest.raises(RateExceeded) as error:
        rates.take_orders("A", 3)
    refused: Refused = error.value
    assert (refused.reason, refused.retry_after_s) == (types.REASON_RATE_EXCEEDED, 1.5)
    assert refused.metadata == {"scope": "ACCOUNT_ORDERS", "limit": "4", "remaining": "0"}
    assert error.value.budget.reset_ms == 2000
    retry = error_details_pb2.RetryInfo()
    assert any(packed.Unpack(retry) for packed in status_of(refused).details)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, NS_PER_S // 2)
    clock.now_ns += 3 * NS_PER_S // 2 - 1
    with pytest.raises(RateExceeded):
        rates.take_orders("A", 3)
    clock.now_ns += 1
    assert rates.take_orders("A", 3).remaining == 0


def test_what_can_never_fit_says_so() -> None:
    """More at once than the budget holds is refused with what it holds."""
    with pytest.raises(RateExceeded, match="5 requests at once never fit: the budget of account orders holds 4"):
        limits(Clock()).take_orders("A", 5)


def test_cancels_pass_when_orders_are_used_up() -> None:
    """Orders, cancels and queries do not draw from each other."""
    rates = limits(Clock())
    rates.take_orders("A", 4)
    with pytest.raises(RateExceeded):
        rates.take_orders("A")
    assert rates.take_cancels("A").remaining == 1
    assert rates.take_query("A").remaining == 0
    with pytest.raises(RateExceeded):
        rates.take_query("A")
    assert rates.take_cancels("A").scope == CANCELS


def test_accounts_do_not_draw_from_each_other() -> None:
    """One account's flood leaves another's budget full."""
    rates = limits(Clock())
    rates.take_orders("A", 4)
    assert rates.take_orders("B").remaining == 3


def test_a_session_has_a_budget_of_its_own() -> None:
    """It draws from its account's and from its own; what the one refuses is not taken from the other."""
    rates = limits(Clock())
    rates.take_orders("A", 3, "s-1")
    assert rates.take_orders("B", 1, "s-1").scope == SESSION_ORDERS
    with pytest.raises(RateExceeded) as error:
        rates.take_orders("B", 1, "s-1")
    assert error.value.budget.scope == SESSION_ORDERS
    assert [told.remaining for told in rates.session_budgets("s-1")] == [0, 2]
    assert [told.remaining for told in rates.budgets("B")] == [3, 2, 1]
    with pytest.raises(RateExceeded) as error:
        rates.take_orders("A", 2, "s-2")
    assert error.value.budget.scope == ORDERS
    assert [told.remaining for told in rates.session_budgets("s-2")] == [4, 2]


def test_the_tightest_budget_is_told() -> None:
    """Of the account's and the session's, the one that will refuse first."""
    rates = limits(Clock())
    assert rates.take_cancels("A", 1, "s-1").scope == CANCELS
    rates.take_cancels("B", 1, "s-1")
    assert rates.take_orders("A", 1, "s-1").remaining == 3


def test_a_session_that_has_ended_is_forgotten() -> None:
    """Nothing is kept of it."""
    rates = limits(Clock())
    rates.take_orders("A", 3, "s-1")
    rates.forget_session("s-1")
    assert rates.session_budgets("s-1")[0].remaining == 4
    rates.forget_session("never-seen")


def test_budgets_are_bounded_in_number() -> None:
    """Full ones make room, else the oldest; a caller that names ever new accounts takes no memory."""
    budgets = Budgets(ORDERS, 4, 1.0, buckets_max=3)
    for name in ("A", "B", "C"):
        budgets.of(name, 0).take(0, 1 if name == "B" else 3)
    budgets.of("D", NS_PER_S)
    assert set(budgets.by_name) == {"A", "C", "D"}
    budgets.of("D", NS_PER_S).take(NS_PER_S, 4)
    budgets.of("E", NS_PER_S)
    assert set(budgets.by_name) == {"C", "D", "E"}

"""Delays between attempts."""

from clients.sdk.backoff import FACTOR, INITIAL_S, MAX_S, Backoff


def test_delays_grow_to_their_maximum() -> None:
    """Without jitter's luck the delay doubles each time and stays bounded."""
    backoff = Backoff(1e9, clock=lambda: 0.0, jitter=lambda: 1.0)
    delays = [backoff.next_delay() for _ in range(10)]
    assert delays[:2] == [INITIAL_S, INITIAL_S * FACTOR]
    assert delays[-1] == MAX_S


def test_jitter_halves_a_delay_at_most() -> None:
    """Clients that failed together do not come back together, and not at once."""
    assert Backoff(1e9, clock=lambda: 0.0, jitter=lambda: 0.0).next_delay() == INITIAL_S / 2


def test_the_server_may_ask_for_more() -> None:
    """A retry delay from the server is the least."""
    assert Backoff(1e9, clock=lambda: 0.0).next_delay(1.5) == 1.5


def test_patience_ends_and_begins_anew_after_a_success() -> None:
    """Patience counts from the first failure in a row."""
    now = [0.0]
    backoff = Backoff(10.0, clock=lambda: now[0], jitter=lambda: 1.0)
    assert backoff.next_delay() is not None
    now[0] = 9.99
    assert backoff.next_delay() is None
    backoff.succeeded()
    now[0] = 100.0
    assert backoff.next_delay() == INITIAL_S

"""Gap detection: each message names the one before it."""

import pytest

from clients.sdk.chain import Chain, ChainBroken


def test_a_whole_chain_advances() -> None:
    """Messages that follow each other move the position."""
    chain = Chain()
    chain.begin(7)
    assert chain.advance(7, 9)
    assert chain.advance(9, 10)
    assert chain.position == 10


def test_a_missing_message_breaks_the_chain() -> None:
    """A message that follows something else than what is held is a gap, and names both."""
    chain = Chain(7)
    with pytest.raises(ChainBroken) as broken:
        chain.advance(9, 10)
    assert (broken.value.expected, broken.value.got) == (7, 9)
    assert chain.position == 7


def test_a_heartbeat_reveals_a_lost_last_message() -> None:
    """Silence cannot hide a loss: the heartbeat names the last sequence that was sent."""
    chain = Chain(7)
    chain.confirm(7)
    with pytest.raises(ChainBroken):
        chain.confirm(8)


def test_what_was_had_before_is_not_given_again() -> None:
    """A message that a replay repeats does not advance."""
    chain = Chain(9)
    assert not chain.advance(5, 8)
    assert chain.advance(8, 11)
    assert chain.position == 11


def test_a_connection_may_not_begin_later_than_the_reader_stands() -> None:
    """Resuming later than asked for would skip messages."""
    chain = Chain(7)
    chain.begin(7)
    with pytest.raises(ChainBroken):
        chain.begin(8)


def test_sequence_zero_is_a_position() -> None:
    """A reader of everything begins before the first message, and misses it if it is not sent."""
    chain = Chain(0)
    chain.begin(0)
    with pytest.raises(ChainBroken):
        chain.advance(1, 2)

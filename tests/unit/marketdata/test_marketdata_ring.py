"""The ring that many readers follow."""

import pytest

from marketdata.ring import Behind, Ring


def filled(capacity: int, count: int) -> Ring[int]:
    """A ring to which the numbers from 0 were appended."""
    ring: Ring[int] = Ring(capacity)
    for item in range(count):
        ring.append(item)
    return ring


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 11])
def test_a_ring_keeps_the_newest(count: int) -> None:
    """Reading from the oldest kept number gives the newest items in order, at any point of the wrap."""
    ring = filled(4, count)
    assert ring.take(ring.start, 100) == list(range(count))[-4:]
    assert ring.end == count


@pytest.mark.parametrize("cursor", [7, 8, 9, 10])
def test_a_reader_gets_what_it_has_not_taken_yet(cursor: int) -> None:
    """Items from the cursor on come, at most as many as asked for, and none when all are taken."""
    ring = filled(4, 10)
    assert ring.take(cursor, 2) == [item for item in (6, 7, 8, 9) if item >= cursor][:2]


def test_a_reader_that_fell_off_the_old_end_is_told() -> None:
    """A cursor before the oldest kept item raises instead of skipping items."""
    with pytest.raises(Behind):
        filled(4, 10).take(5, 1)


def test_appending_gives_what_was_pushed_out() -> None:
    """The item that no longer fits is handed back; none is while there is room."""
    ring: Ring[int] = Ring(2)
    assert [ring.append(item) for item in range(4)] == [None, None, 0, 1]


@pytest.mark.parametrize(("value", "number"), [(-1, 6), (60, 7), (65, 7), (70, 8), (90, 10), (99, 10)])
def test_a_place_is_found_by_an_ascending_key(value: int, number: int) -> None:
    """The number of the first item whose key is above the value, also across the wrap."""
    ring: Ring[int] = Ring(4)
    for item in range(10):
        ring.append(item * 10)
    assert ring.after(lambda item: item, value) == number


def test_a_ring_without_room_is_refused() -> None:
    """A capacity below 1 is a mistake of the caller."""
    with pytest.raises(ValueError, match="at least 1"):
        Ring(0)

"""Depth by price."""

from marketdata.depth import Depth, DepthBook, Level, Quote, changed_levels


def book_of(*orders: tuple[int, bool, int, int]) -> DepthBook:
    """A book in which the orders came to rest one after the other."""
    book = DepthBook()
    for order in orders:
        book.rest(*order)
    return book


def test_levels_are_summed_and_best_comes_first() -> None:
    """Bids descend, asks ascend, and a level has the quantity and number of its orders."""
    book = book_of((1, True, 99, 5), (2, True, 100, 1), (3, True, 100, 2), (4, False, 103, 7), (5, False, 102, 8))
    assert book.depth(10) == Depth((Level(100, 3, 2), Level(99, 5, 1)), (Level(102, 8, 1), Level(103, 7, 1)))
    assert book.depth(1) == Depth((Level(100, 3, 2),), (Level(102, 8, 1),))


def test_an_order_that_moves_leaves_its_old_level() -> None:
    """A replace to another price takes the quantity along; the emptied level is gone."""
    book = book_of((1, True, 99, 5), (1, True, 98, 4))
    assert book.depth(10) == Depth((Level(98, 4, 1),), ())
    assert len(book) == 1


def test_a_fill_lowers_the_level_and_not_its_orders() -> None:
    """Fewer leaves at the same price change only the level's quantity."""
    book = book_of((1, False, 99, 5), (2, False, 99, 5), (1, False, 99, 2))
    assert book.depth(10).asks == (Level(99, 7, 2),)


def test_an_order_that_never_rested_can_be_removed() -> None:
    """The end of an order that was not in the book changes nothing."""
    book = book_of((1, True, 99, 5))
    book.remove(2)
    assert book.quote() == Quote(99, 5, 0, 0)
    book.remove(1)
    assert book.quote() == Quote()


def test_a_quote_is_crossed_only_by_two_sides() -> None:
    """Bid at or above ask is crossed; one side alone never is."""
    assert Quote(100, 1, 100, 1).crossed
    assert not Quote(99, 1, 100, 1).crossed
    assert not Quote(100, 1, 0, 0).crossed


def test_a_level_that_left_has_quantity_zero() -> None:
    """Changes name gone levels with 0 and leave out what stayed as it was."""
    before = Depth((Level(100, 3, 2), Level(99, 5, 1)), (Level(102, 8, 1),))
    after = Depth((Level(101, 1, 1), Level(99, 5, 1)), (Level(102, 9, 1),))
    assert changed_levels(before, after) == Depth((Level(100, 0, 0), Level(101, 1, 1)), (Level(102, 9, 1),))

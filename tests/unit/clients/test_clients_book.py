"""The depth that a reader builds from a stream."""

from ordergate.marketdata.v1 import marketdata_pb2 as md

from clients.sdk.book import BookBuilder, BookLevel


def levels(*levels: tuple[str, str]) -> list[md.Level]:
    """Levels of one order each."""
    return [md.Level(px=px, qty=qty, orders=1) for px, qty in levels]


def test_changes_apply_to_the_snapshot() -> None:
    """A level with quantity 0 goes, others are put in their place, best first."""
    builder = BookBuilder("X", 10)
    snapshot = md.BookLevels(bids=levels(("9.5", "1"), ("9", "2")), asks=levels(("10", "3")))
    builder.apply(md.SubscribeBookResponse(seq=4, snapshot=snapshot))
    changes = md.BookLevels(bids=levels(("9.50", "0"), ("9.25", "7")), asks=levels(("9.75", "1")))
    book = builder.apply(md.SubscribeBookResponse(seq=6, changes=changes))
    assert book.bids == (BookLevel("9.25", "7", 1), BookLevel("9", "2", 1))
    assert [level.px for level in book.asks] == ["9.75", "10"]
    assert (book.symbol, book.seq) == ("X", 6)


def test_prices_are_ordered_as_numbers() -> None:
    """9.9 is below 10 although its text is not."""
    builder = BookBuilder("X", 10)
    snapshot = md.BookLevels(bids=levels(("9.9", "1"), ("10", "1")), asks=levels(("100", "1"), ("99.5", "1")))
    book = builder.apply(md.SubscribeBookResponse(snapshot=snapshot))
    assert [level.px for level in book.bids] == ["10", "9.9"]
    assert [level.px for level in book.asks] == ["99.5", "100"]


def test_a_new_snapshot_replaces_everything() -> None:
    """After a reconnect nothing of the old book remains."""
    builder = BookBuilder("X", 10)
    builder.apply(md.SubscribeBookResponse(snapshot=md.BookLevels(bids=levels(("9", "1")))))
    book = builder.apply(md.SubscribeBookResponse(snapshot=md.BookLevels(asks=levels(("8", "1")))))
    assert not book.bids
    assert [level.px for level in book.asks] == ["8"]

"""Messages put together from parts that were encoded before."""

import pytest
from ordergate.marketdata.v1 import marketdata_pb2 as marketdata

from marketdata.wire import Envelope, embedded


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_100_000])
def test_an_embedded_field_is_what_protobuf_writes(length: int) -> None:
    """Tag and length around the bytes equal protobuf's own encoding, for lengths of one to four bytes."""
    trade = marketdata.Trade(trade_id="x" * length)
    whole = marketdata.Tick(trade=trade)
    assert embedded(3, trade.SerializeToString()) == whole.SerializeToString()


def test_an_envelope_numbers_messages_and_names_the_one_before() -> None:
    """Each message carries the seq of the message before it, the epoch and the shared body."""
    out = Envelope(marketdata.SubscribeBookResponse(stream_id="s"))
    body = marketdata.SubscribeBookResponse(changes=marketdata.BookLevels(bids=[marketdata.Level(px="1")]))
    read = [
        marketdata.SubscribeBookResponse.FromString(out.wrap(seq, epoch, body.SerializeToString()))
        for seq, epoch in ((7, 1), (9, 2), (9, 2))
    ]
    assert [(one.stream_id, one.epoch, one.seq, one.prev_seq) for one in read] == [
        ("s", 1, 7, 0),
        ("s", 2, 9, 7),
        ("s", 2, 9, 9),
    ]
    assert all(one.changes == body.changes for one in read)

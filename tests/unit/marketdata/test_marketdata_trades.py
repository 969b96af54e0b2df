"""The log of the newest trades."""

import pytest

from marketdata.ring import Behind
from marketdata.trades import Trade, TradeLog


def trade(seq: int, symbol: str = "AAPL") -> Trade:
    """A trade at a journal position."""
    return Trade(seq, seq, symbol, 100, 1, 1, 0)


def log_of(kept_max: int, *trades: Trade) -> TradeLog:
    """A log to which trades were added."""
    log = TradeLog(kept_max)
    for one in trades:
        log.add(one)
    return log


def test_a_reader_resumes_after_any_position() -> None:
    """A position between two trades, on one, before all and after all."""
    log = log_of(10, trade(4), trade(8), trade(12))
    read = {seq: [one.seq for one in log.take(log.cursor_after(seq), 10)] for seq in (0, 4, 5, 8, 12, 99)}
    assert read == {0: [4, 8, 12], 4: [8, 12], 5: [8, 12], 8: [12], 12: [], 99: []}


def test_only_lost_trades_of_the_readers_symbols_are_missing() -> None:
    """A busy symbol that pushed itself out is no gap for the reader of a quiet one."""
    log = log_of(2, trade(1, "MSFT"), trade(2), trade(3), trade(4))
    assert log.missing_after(0, ["AAPL"]) == 2
    assert log.missing_after(2, ["AAPL"]) == 0
    assert log.missing_after(0, ["MSFT"]) == 1
    assert log.missing_after(0, ["NVDA"]) == 0
    assert log.missing_after(0, ["MSFT", "AAPL"]) == 2


def test_a_reader_too_slow_for_what_is_kept_is_told() -> None:
    """A cursor whose trade was pushed out raises."""
    log = log_of(2, trade(1))
    cursor = log.cursor_after(0)
    for seq in (2, 3):
        log.add(trade(seq))
    with pytest.raises(Behind):
        log.take(cursor, 1)
